"""A request's input and an answer's result by the model's schema, as what a page shows of them.

Sizes are bounded: of much, the beginning is shown and the rest is counted. What does not fit the
schema is shown as bytes, with the reason. Fetches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.core.chronicle import ModelRecord
from oracle.core.decision import decide
from oracle.core.model import UNCERTIFIED
from oracle.core.schema import ModelSchema, TensorSpec
from oracle.core.tensor import Tensors, decode_inputs, decode_outputs, input_batch
from oracle.errors import SchemaError, TensorError
from oracle.explorer.picture import Frame, frame_of
from oracle.explorer.words import number, plain

MOST_ROWS: Final = 4
MOST_VALUES: Final = 256
MOST_BARS: Final = 24
_SHOWN_BYTES: Final = 256
_WAD: Final = 10**18
_COLUMNS: Final = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a tensor: lines of values, and where it is an image its number."""

    lines: tuple[tuple[str, ...], ...]
    picture: bool


@dataclass(frozen=True, slots=True)
class View:
    """One tensor. `more_values` of each row and `more_rows` are left out."""

    name: str
    number: int
    element: str
    shape: str
    rows: tuple[Row, ...]
    frame: Frame | None
    more_rows: int
    more_values: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One score: its place, its value, and how long it is drawn, of -1 to 1."""

    label: str
    shown: str
    value: float
    length: float
    best: bool


@dataclass(frozen=True, slots=True)
class Scores:
    """What one row's scores decide, against twice the error bar."""

    name: str
    bars: tuple[Bar, ...]
    more: int
    label: int
    margin: float | None
    twice: float | None
    clear: bool


@dataclass(frozen=True, slots=True)
class Values:
    """Float outputs that are no scores, each with its error bar."""

    name: str
    shown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A message. `problem` says why there are no tensors; `raw` is its beginning in hex."""

    views: tuple[View, ...]
    tensors: Tensors
    problem: str | None
    raw: str
    byte_count: int


def schema_of(model: ModelRecord | None) -> ModelSchema | None:
    """A model's schema; None where nobody can follow it."""
    if model is None:
        return None
    try:
        return ModelSchema.from_json(model.schema)
    except SchemaError:
        return None


def decoded_input(schema: ModelSchema | None, data: bytes) -> Decoded:
    """A request's input."""
    if schema is None:
        return _raw(data, "the model's schema cannot be read")
    try:
        return _decoded(schema.inputs, decode_inputs(schema, data), data)
    except TensorError as error:
        return _raw(data, error.message)


def decoded_result(schema: ModelSchema | None, request_input: bytes, data: bytes) -> Decoded:
    """An answer's result."""
    if not data:
        return _raw(data, "the operator declares that the model gives no output for this input")
    if schema is None:
        return _raw(data, "the model's schema cannot be read")
    try:
        batch = input_batch(schema, len(request_input))
        return _decoded(schema.outputs, decode_outputs(schema, data, batch), data)
    except TensorError as error:
        return _raw(data, error.message)


def error_bar_of(model: ModelRecord | None) -> Fraction | None:
    """Epsilon as a number; None for "not certified"."""
    if model is None or model.epsilon == UNCERTIFIED:
        return None
    return Fraction(model.epsilon, _WAD)


def scores_of(schema: ModelSchema, result: Decoded, bar: Fraction | None) -> list[Scores]:
    """What the first rows' scores decide, of each output that has several scores a row."""
    found = []
    for spec in schema.outputs:
        values = result.tensors.get(spec.name)
        if values is None or not _are_scores(spec, values):
            continue
        for row in values[:MOST_ROWS]:
            found.append(_scores(plain(spec.name), [float(one) for one in row], bar))
    return found


def values_of(schema: ModelSchema, result: Decoded) -> list[Values]:
    """The other float outputs' first values."""
    found = []
    for spec in schema.outputs:
        values = result.tensors.get(spec.name)
        if values is None or not spec.element.is_float or _are_scores(spec, values):
            continue
        flat = values.reshape(-1)[:MOST_ROWS]
        found.append(Values(plain(spec.name), tuple(number(float(one)) for one in flat)))
    return found


def labels_of(schema: ModelSchema, result: Decoded) -> list[str]:
    """The labels that the model itself gives, of its first rows."""
    for spec in schema.outputs:
        values = result.tensors.get(spec.name)
        if values is not None and not spec.element.is_float and spec.row_size == 1:
            return [number(_item(one)) for one in values.reshape(-1)[:MOST_ROWS]]
    return []


def _are_scores(spec: TensorSpec, values: NDArray[Any]) -> bool:
    return spec.element.is_float and values.ndim == 2 and values.shape[1] > 1


def _scores(name: str, row: Sequence[float], bar: Fraction | None) -> Scores:
    decision = decide(row, bar)
    finite = [abs(one) for one in row if np.isfinite(one)]
    largest = max(finite, default=1.0) or 1.0
    bars = tuple(
        Bar(
            label=str(index),
            shown=number(value),
            value=value,
            length=value / largest if np.isfinite(value) else 0.0,
            best=index == decision.label,
        )
        for index, value in enumerate(row[:MOST_BARS])
    )
    return Scores(
        name=name,
        bars=bars,
        more=max(0, len(row) - MOST_BARS),
        label=decision.label,
        margin=None if decision.margin is None else float(decision.margin),
        twice=None if bar is None else float(2 * bar),
        clear=decision.clear,
    )


def _decoded(specs: Sequence[TensorSpec], tensors: Tensors, data: bytes) -> Decoded:
    views = tuple(_view(index, spec, tensors[spec.name]) for index, spec in enumerate(specs))
    return Decoded(views, tensors, None, _beginning(data), len(data))


def _view(index: int, spec: TensorSpec, values: NDArray[Any]) -> View:
    rows = values if spec.batched else values.reshape(1, *values.shape)
    frame = frame_of(spec)
    return View(
        name=plain(spec.name),
        number=index,
        element=spec.element.value,
        shape=" × ".join(["rows"] * spec.batched + [str(one) for one in spec.row_shape]) or "one",
        rows=tuple(Row(_lines(spec, row), frame is not None) for row in rows[:MOST_ROWS]),
        frame=frame,
        more_rows=max(0, len(rows) - MOST_ROWS),
        more_values=max(0, spec.row_size - MOST_VALUES),
    )


def _lines(spec: TensorSpec, row: NDArray[Any]) -> tuple[tuple[str, ...], ...]:
    """The first values, a line for each of the last axis where that is short enough to be one."""
    flat = [number(_item(one)) for one in row.reshape(-1)[:MOST_VALUES]]
    frame = frame_of(spec)
    last = spec.row_shape[-1] if len(spec.row_shape) > 1 else 0
    width = last if 0 < last <= 2 * _COLUMNS else frame.width if frame else _COLUMNS
    width = width if width <= 2 * _COLUMNS else _COLUMNS
    return tuple(tuple(flat[start : start + width]) for start in range(0, len(flat), width))


def _item(value: Any) -> Any:
    return value.item()


def _raw(data: bytes, problem: str) -> Decoded:
    return Decoded((), {}, plain(problem, 300), _beginning(data), len(data))


def _beginning(data: bytes) -> str:
    shown = data[:_SHOWN_BYTES].hex(" ", 4)
    return shown + (" …" if len(data) > _SHOWN_BYTES else "")
