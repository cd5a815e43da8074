"""Runs that part at rounding ties: every one of them, where they are few.

QUANTIZE and QUANTIZED_DOT leave a choice only where their exact level is a tie or next to one. As
long as nothing before them can move, the court's choices are a finite list; each is carried on as
a run of its own, instead of as a bend that every later layer would widen.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.certificate.adjoint_step import choices
from oracle.certificate.frame import Frame
from oracle.certificate.reach import Freedom, freedom
from oracle.court.screen import values
from oracle.court.screen_matrix import Memory
from oracle.court.screen_nest import bind
from oracle.program.instruction import Program

Row = Sequence[NDArray[Any]]

MOST_RUNS: Final = 64
"""Six ties in a row; of more, the choices are bends."""


@dataclass(frozen=True)
class Branch:
    """A run, and the instructions whose ties it has decided (the first of them is `first`)."""

    row: Row
    pinned: frozenset[int]
    free: Freedom

    @property
    def first(self) -> int | None:
        return min(self.pinned, default=None)


def branches(program: Program, row: Row) -> tuple[Branch, ...]:
    """The run itself first, then every other that ties allow; if they are too many, the run
    alone, with nothing decided."""
    alone = undecided(program, row)
    found = list(itertools.islice(_parted(program, alone), MOST_RUNS + 1))
    return tuple(found) if len(found) <= MOST_RUNS else (alone,)


def undecided(program: Program, row: Row) -> Branch:
    """The run alone, with its ties as bends."""
    return Branch(row, frozenset(), freedom(program, row))


def _parted(program: Program, branch: Branch) -> Iterator[Branch]:
    for number, step in enumerate(program.instructions):
        if number in branch.pinned or not branch.free.reach[step.output].any():
            continue
        frame = Frame(program, step, branch.row, branch.free.reach)
        still = not any(frame.reach(operand).any() for operand in range(len(step.operands)))
        ends = choices(frame) if still else None
        if ends is None:
            break  # what comes behind can move by other than ties
        for output in _outputs(frame, *ends):
            changed = _carried_on(program, branch.row, number, output)
            pinned = branch.pinned | {number}
            yield from _parted(
                program, Branch(changed, pinned, freedom(program, changed, pinned=pinned))
            )
        return
    yield branch


def _outputs(frame: Frame, low: Any, high: Any) -> Iterator[NDArray[Any]]:
    """All that the instruction may commit, as it is in the run first."""
    honest = frame.values[frame.step.output]
    low, high = low.reshape(-1), high.reshape(-1)
    free = np.flatnonzero(low != high)
    count = math.prod(int(high[place] - low[place]) + 1 for place in free)
    if count > MOST_RUNS:
        # Told as many, so that the caller gives up.
        yield from itertools.repeat(honest, MOST_RUNS + 1)
        return
    ranges = [_honest_first(int(honest[n]), int(low[n]), int(high[n])) for n in free]
    for chosen in itertools.product(*ranges):
        output = honest.copy()
        output[free] = chosen
        yield output


def _honest_first(honest: int, low: int, high: int) -> list[int]:
    return sorted(range(low, high + 1), key=lambda number: number != honest)


def _carried_on(program: Program, row: Row, number: int, output: NDArray[Any]) -> Row:
    """The run with another output of one instruction; itself where it is the same."""
    tensor = program.instructions[number].output
    if np.array_equal(row[tensor], output):
        return row
    tensors = list(row)
    tensors[tensor] = output
    memory = Memory()
    for step in program.instructions[number + 1 :]:
        nest = bind(program, step, 1, tensors)
        tensors[step.output] = np.ascontiguousarray(values(nest, memory)).reshape(-1)
    return tuple(tensors)
