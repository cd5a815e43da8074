"""Values into an element type: what survives the cast, and what is refused.

Responsible for one promise: a number that leaves here is the number that came in, apart from
fractions whose author let them be rounded. It does not know about shapes, batches or bytes.
"""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import numpy as np

from oracle.core.schema import LARGEST_RANK, ElementType, TensorSpec
from oracle.errors import TensorError

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def has_type(spec: TensorSpec, array: Array) -> bool:
    """Whether the array's element type is the schema's, in either byte order."""
    dtype = spec.element.dtype
    return array.dtype == dtype or array.dtype.newbyteorder("<") == dtype


def convert(spec: TensorSpec, values: Any, *, allow_rounding: bool | None = None) -> Array:
    """`values` as an array of the element type of `spec`, or `TensorError` where that loses value.

    The shape is left as it is. `allow_rounding` as in `tensor.encode_inputs`; NaN passes.
    """
    literal = not isinstance(values, np.ndarray | np.generic)
    try:
        source: Array = np.asarray(values)
    except (ValueError, OverflowError, TypeError):
        raise _no_numbers(spec, values) from None
    if source.dtype.kind in "OUS":
        raise _no_numbers(spec, source.tolist())
    if source.dtype.kind not in "biuf" or (source.dtype.kind == "f" and source.dtype.itemsize > 8):
        raise TensorError(
            f"tensor {spec.name!r}: {source.dtype} values are not numbers that fit",
            hint=f"pass {spec.element.value}",
        )
    if literal and source.dtype.kind == "f":
        _check_literal_integers(spec, values, source)
    if has_type(spec, source):
        return source
    rounding = literal if allow_rounding is None else allow_rounding
    kept = _survives(spec.element, source, rounding=rounding)
    if not kept.all():
        raise _refused(spec, source, first_index(~kept), literal=literal)
    return source.astype(spec.element.dtype)


def _refused(
    spec: TensorSpec, source: Array, index: tuple[int, ...], *, literal: bool
) -> TensorError:
    """What is wrong with one value, and what can be done about it."""
    value, element = source[index], spec.element
    width = "" if literal else f" ({source.dtype})"  # a literal has none of its own
    found = f"tensor {spec.name!r}: {value} at {list(index)}{width}"
    if element.is_float and source.dtype.kind == "f":
        with np.errstate(over="ignore"):
            rounded = value.astype(element.dtype)
        if np.isfinite(value) and np.isinf(rounded):
            largest = np.finfo(element.dtype).max
            return TensorError(
                f"{found} is beyond {element.value}",
                hint=f"the largest {element.value} is {largest:.3g}: scale the input",
            )
        return TensorError(
            f"{found} is not exactly representable as {element.value}",
            hint=f"allow_rounding=True rounds to the nearest; or pass {element.value}",
            cli_hint=f"--round rounds to the nearest; or save the array as {element.value}",
        )
    if element.is_float:
        return TensorError(
            f"{found} is not exactly representable as {element.value}",
            hint="integers are never rounded: give it as a fraction where the nearest will do",
        )
    if element is ElementType.BOOL:
        held = "0 and 1"
    else:
        limits = np.iinfo(element.dtype)
        held = f"whole numbers from {limits.min} to {limits.max}"
    return TensorError(
        f"{found} is not exactly representable as {element.value}",
        hint=f"{element.value} holds {held}",
    )


def _no_numbers(spec: TensorSpec, values: Any) -> TensorError:
    return TensorError(
        f"tensor {spec.name!r}: {why_no_numbers(values)}",
        hint=f"it is {spec.in_words}: numbers only, without quotes, and rows of one length",
    )


def why_no_numbers(values: Any) -> str:
    """What keeps nested lists from being a regular array of numbers of 64 bits, with its place."""
    index: list[int] = []
    lengths: dict[int, int] = {}
    ragged: list[str] = []

    def found(value: Any) -> str | None:
        if not isinstance(value, list | tuple):
            what = _no_number(value)
            return what and (f"{what} at {index}" if index else f"{what} is no number")
        if len(index) >= LARGEST_RANK:
            return f"lists nested more than {LARGEST_RANK} deep"
        usual = lengths.setdefault(len(index), len(value))
        if usual != len(value):
            ragged.append(f"{index} has {len(value)}, others before it have {usual}")
        for number, item in enumerate(value):
            index.append(number)
            if what := found(item):
                return what
            index.pop()
        return None

    what = found(values)
    if what is None and ragged:
        what = f"rows of different lengths: {ragged[0]}"
    return what or "not a regular array of numbers"


def _no_number(value: Any) -> str | None:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**64 else "an integer of more than 64 bits"
    if isinstance(value, float | np.generic | np.ndarray):
        return None
    return "an object" if isinstance(value, dict) else f"{type(value).__name__}"


def _survives(element: ElementType, source: Array, *, rounding: bool) -> Array:
    """For each value, whether casting it to `element` keeps it (or may round it)."""
    target = element.dtype
    if target.kind == "b":
        return cast(Array, (source == 0) | (source == 1))
    if target.kind in "iu":
        return _survives_as_integer(target, source)
    with np.errstate(over="ignore"):
        rounded = source.astype(target)
    if source.dtype.kind == "f":
        # A NaN survives here; where it is not allowed, check_inputs refuses it by index.
        kept = (np.isfinite(rounded) == np.isfinite(source)) if rounding else (rounded == source)
        return cast(Array, kept | np.isnan(source))
    digits = np.finfo(target).nmant + 1
    largest = max(-int(source.min()), int(source.max())) if source.size else 0
    if source.dtype.kind == "b" or largest <= 2**digits:
        return np.ones(source.shape, dtype=np.bool_)
    # Casting back can overflow or saturate, so large integers are compared as Python integers.
    pairs = zip(source.ravel().tolist(), rounded.ravel().tolist(), strict=True)
    flags = [int(nearest) == exact for exact, nearest in pairs]
    return np.array(flags, dtype=np.bool_).reshape(source.shape)


def _survives_as_integer(target: np.dtype[Any], source: Array) -> Array:
    """For each value, whether it is a whole number within the range of the integer type."""
    if source.dtype.kind == "b":
        return np.ones(source.shape, dtype=np.bool_)
    limits = np.iinfo(target)
    if source.dtype.kind in "iu":
        return (source >= limits.min) & (source <= limits.max)
    wide = source.astype(np.float64)
    whole = np.isfinite(wide) & (np.floor(wide) == wide)
    # 2**63 and 2**64 are floats, their predecessors are not: hence the open upper end.
    in_range = (wide >= float(limits.min)) & (wide < float(int(limits.max) + 1))
    return cast(Array, whole & in_range)


def _check_literal_integers(spec: TensorSpec, values: Any, source: Array) -> None:
    """Refuse integers that numpy rounded because they stood in one list with fractions."""
    if not bool((np.abs(source) >= 2.0**53).any()):
        return
    for literal in np.asarray(values, dtype=object).ravel().tolist():
        if isinstance(literal, int) and int(float(literal)) != literal:
            raise TensorError(
                f"tensor {spec.name!r}: {literal} cannot stand in a list of fractions"
            )


def first_index(flags: Array) -> tuple[int, ...]:
    """The index of the first set flag, in row-major order."""
    return tuple(int(axis) for axis in np.unravel_index(int(np.argmax(flags)), flags.shape))
