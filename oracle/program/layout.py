"""Chooses the order in which tensors are committed, so that a reduction opens few leaves.

A layout is a permutation of a tensor's axes. The best one lets the taps of one output element lie
in few contiguous runs. Inputs and outputs stay row-major, as the request and the result have them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any, Final, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray

from oracle.program.instruction import Access, Instruction, Program, Space, TensorInfo
from oracle.program.opcode import Opcode
from oracle.program.reading.program_file import read_program
from oracle.program.reading.reader import NotAView

_Key: TypeAlias = tuple[Space, int]

_POSITIONAL: Final = frozenset({Opcode.TREE})
"""Reads its tables by row-major position."""

_ALL_ORDERS_UP_TO: Final = 4
"""Axes of which all orders are tried; with more, only moving axes to the end."""


def choose_layouts(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Layouts by tensor name, for what is not best row-major. The file must be readable without."""
    program = read_program(model, layouts={})
    chosen = dict(_best(program))
    while True:
        try:
            read_program(model, layouts=chosen)
        except NotAView as fault:
            # Some reshape is a view only of the row-major order.
            if chosen.pop(fault.tensor, None) is None:
                raise
        else:
            return chosen


def runs(program: Program, step: Instruction, access: Access) -> int:
    """Contiguous pieces of the operand's tensor that one (inner) output element reads."""
    return _runs(_taps(step, access))


def _best(program: Program) -> Iterator[tuple[str, tuple[int, ...]]]:
    for (space, number), taps in _readers(program).items():
        info = (program.tensors if space is Space.TRACE else program.constants)[number]
        fixed = space is Space.TRACE and number in (*program.inputs, *program.outputs)
        identity = tuple(range(len(info.shape)))
        if fixed or not taps:
            continue
        best = min(_orders(info), key=lambda order: _cost(info, taps, order))
        if best != identity:
            yield info.name, best


def _readers(program: Program) -> dict[_Key, list[NDArray[Any]]]:
    """The tap positions of each reduction over a tensor, row-major; none where it must stay so."""
    found: dict[_Key, list[NDArray[Any]]] = {}
    positional: set[_Key] = set()
    for step in program.instructions:
        for access in step.operands:
            key = (access.space, access.tensor)
            if step.opcode in _POSITIONAL and access.space is Space.CONSTANT:
                positional.add(key)
            taps = _taps(step, access)
            if taps.size > 1:
                found.setdefault(key, []).append(taps)
    return {key: taps for key, taps in found.items() if key not in positional}


def _taps(step: Instruction, access: Access) -> NDArray[Any]:
    """Distinct positions that the output element in the middle of the domain reads."""
    middle = [length // 2 for length in step.domain]
    indices = np.indices(step.reduction).reshape(len(step.reduction), step.taps)
    rank = len(step.domain)

    def along(offset: int, coefficients: Sequence[int]) -> NDArray[Any]:
        start = offset + sum(c * m for c, m in zip(coefficients[:rank], middle, strict=True))
        return start + np.asarray(coefficients[rank:], dtype=np.int64) @ indices

    positions = along(access.offset, access.coefficients)
    counted = np.ones(positions.shape, dtype=bool)
    for guard in access.guards:
        inside = along(guard.offset, guard.coefficients)
        counted &= (inside >= 0) & (inside < guard.limit)
    return np.unique(positions[counted])


def _orders(info: TensorInfo) -> Iterator[tuple[int, ...]]:
    """Orders of the axes to try, row-major first; axes of length 1 stay in front."""
    single = [axis for axis, length in enumerate(info.shape) if length == 1]
    real = [axis for axis, length in enumerate(info.shape) if length > 1]
    yield tuple(range(len(info.shape)))
    if len(real) <= _ALL_ORDERS_UP_TO:
        yield from ((*single, *order) for order in permutations(real))
        return
    for first in range(len(real)):
        for last in range(first + 1, len(real) + 1):
            yield (*single, *real[:first], *real[last:], *real[first:last])


def _cost(
    info: TensorInfo, readers: Sequence[NDArray[Any]], order: tuple[int, ...]
) -> tuple[int, int]:
    counts = [_runs(_moved(info, taps, order)) for taps in readers]
    return max(counts), sum(counts)


def _moved(info: TensorInfo, taps: NDArray[Any], order: tuple[int, ...]) -> NDArray[Any]:
    """Row-major positions as positions in another order of the axes."""
    if math.prod(info.shape) <= 1:
        return taps
    axes = np.unravel_index(taps, info.shape)
    return np.ravel_multi_index(
        [axes[axis] for axis in order], [info.shape[axis] for axis in order]
    )


def _runs(positions: NDArray[Any]) -> int:
    return int(np.count_nonzero(np.diff(np.sort(positions)) != 1)) + 1
