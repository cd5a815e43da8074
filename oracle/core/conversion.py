"""Values into an element type: what survives the cast, and what is refused.

Responsible for one promise: a number that leaves here is the number that came in, apart from
fractions whose author let them be rounded. It does not know about shapes, batches or bytes.
"""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import numpy as np

from oracle.core.schema import ElementType, TensorSpec
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
    except (ValueError, OverflowError, TypeError) as error:
        raise TensorError(
            f"tensor {spec.name!r}: not a regular array of numbers: {error}"
        ) from error
    if source.dtype.kind not in "biuf" or (source.dtype.kind == "f" and source.dtype.itemsize > 8):
        raise TensorError(f"tensor {spec.name!r}: {source.dtype} values are not numbers that fit")
    if literal and source.dtype.kind == "f":
        _check_literal_integers(spec, values, source)
    if has_type(spec, source):
        return source
    rounding = literal if allow_rounding is None else allow_rounding
    kept = _survives(spec.element, source, rounding=rounding)
    if not kept.all():
        index = first_index(~kept)
        raise TensorError(
            f"tensor {spec.name!r}: {source[index]!r} at {list(index)} ({source.dtype}) "
            f"is not exactly representable as {spec.element.value}",
            hint="pass allow_rounding=True to round to the nearest"
            if source.dtype.kind == "f" and spec.element.is_float
            else None,
        )
    return source.astype(spec.element.dtype)


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
