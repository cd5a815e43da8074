"""Inputs and results as the court reads them: rows, elements, and where a trace differs from them.

Mirrors `contracts/src/court/Interface.sol`: a message is the tensors of one side, each with all its
rows one after the other. Knows no schema and no names; judges nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.core.schema import ElementType
from oracle.court.commitment import raw_bytes
from oracle.program.instruction import Program, TensorInfo, Trace

MAX_RESULT_BYTES: Final = 98_304
"""Public nodes refuse a transaction above 128 KiB; the oracle's inputs end here, too."""


@dataclass(frozen=True, slots=True)
class MessagePlace:
    """An element of a message: `tensor` counts among the inputs, or among the outputs."""

    row: int
    tensor: int
    position: int


def row_bytes(program: Program, numbers: Sequence[int]) -> int:
    """Bytes of one row of these tensors."""
    return sum(program.tensors[number].byte_count for number in numbers)


def rows_of(program: Program, message: bytes) -> int:
    """The rows of an input; 0 where it is malformed: a length that no number of rows has, too many
    rows, a NaN or an infinity, or a bool that is neither 0 nor 1."""
    width = row_bytes(program, program.inputs)
    if width == 0 or len(message) % width:
        return 0
    rows = len(message) // width
    if rows > program.max_rows:
        return 0
    tensors = cut(program, program.inputs, message)
    for info, values in zip(_infos(program, program.inputs), tensors, strict=True):
        if info.element.is_float and not np.isfinite(values).all():
            return 0
        if info.element is ElementType.BOOL and (values.view(np.uint8) > 1).any():
            return 0
    return rows


def cut(program: Program, numbers: Sequence[int], message: bytes) -> list[NDArray[Any]]:
    """The tensors of a message of a right length, as [row, position]."""
    rows = len(message) // row_bytes(program, numbers)
    found, offset = [], 0
    for info in _infos(program, numbers):
        values = np.frombuffer(message, info.element.dtype, rows * info.size, offset)
        found.append(values.reshape(rows, info.size))
        offset += rows * info.byte_count
    return found


def first_difference(
    program: Program, numbers: Sequence[int], message: bytes, trace: Trace
) -> MessagePlace | None:
    """The first element, by row, that a trace has otherwise than a message of a right length."""
    tensors = cut(program, numbers, message)
    for row, committed in enumerate(trace.rows):
        for tensor, (number, values) in enumerate(zip(numbers, tensors, strict=True)):
            width = program.tensors[number].element.item_size
            said = _lanes(np.ascontiguousarray(values[row]), width)
            done = _lanes(committed[number], width)
            differing = np.flatnonzero((said != done).any(axis=1))
            if differing.size:
                return MessagePlace(row, tensor, int(differing[0]))
    return None


def may_be_empty(program: Program, rows: int) -> bool:
    """Whether a trace of so many rows leaves nothing to post: none, or too much."""
    return not rows or rows * row_bytes(program, program.outputs) > MAX_RESULT_BYTES


def _infos(program: Program, numbers: Sequence[int]) -> list[TensorInfo]:
    return [program.tensors[number] for number in numbers]


def _lanes(values: NDArray[Any], width: int) -> NDArray[np.uint8]:
    """The bytes of each element: NaNs differ by their bits, as on chain."""
    return np.frombuffer(raw_bytes(values), np.uint8).reshape(-1, width)
