"""Whether a trace has the tensors that its program asks for, before anything is judged.

Knows numbers, sizes and element types of tensors; nothing of their meaning.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from oracle.court.operands import Array
from oracle.errors import TensorError
from oracle.program.instruction import Program, TensorInfo, Trace


def check_structure(program: Program, trace: Trace) -> None:
    """Raises `TensorError` naming the row and tensor that is not as the program has it.

    A bool that is neither 0 nor 1 is no matter of structure: whatever made it is judged, and
    convicted, as any other element.
    """
    for number, row in enumerate(trace.rows):
        if len(row) != len(program.tensors):
            raise TensorError(
                f"row {number} has {len(row)} tensors instead of {len(program.tensors)}"
            )
        for value, info in zip(row, program.tensors, strict=True):
            _formed(value, info, f"row {number}")


def checked_tensor(value: Array, info: TensorInfo, where: str) -> Array:
    """The tensor as it is, contiguous.

    Raises `TensorError` for a wrong element type, shape, size, or bool that is neither 0 nor 1.
    """
    value = _formed(value, info, where)
    if value.dtype.kind == "b" and value.size and value.view(np.uint8).max() > 1:
        raise TensorError(f"{where}: tensor {info.name!r} has a bool that is neither 0 nor 1")
    return value


def _formed(value: Array, info: TensorInfo, where: str) -> Array:
    if not isinstance(value, np.ndarray) or value.dtype != info.element.dtype:
        found = getattr(value, "dtype", type(value).__name__)
        raise TensorError(
            f"{where}: tensor {info.name!r} is of type {found}, not {info.element.value}"
        )
    if value.ndim != 1:
        raise TensorError(f"{where}: tensor {info.name!r} has {value.ndim} axes, not one")
    if value.size != info.size:
        raise TensorError(
            f"{where}: tensor {info.name!r} has {value.size} elements, not {info.size}"
        )
    return np.ascontiguousarray(value)


def grouped_rows(rows: int, row_bytes: int, most_bytes: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows whose traces together stay below a size; at least one row each."""
    step = max(1, most_bytes // max(row_bytes, 1))
    for first in range(0, rows, step):
        yield first, min(first + step, rows)


def stacked(trace: Trace, first: int, last: int) -> list[Array]:
    """Each tensor of some rows end to end; not copied where there is one row."""
    rows = trace.rows[first:last]
    if len(rows) == 1:
        return [np.ascontiguousarray(value) for value in rows[0]]
    return [np.concatenate(values) for values in zip(*rows, strict=True)]
