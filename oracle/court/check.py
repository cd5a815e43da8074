"""The whole-trace check: every element of every instruction of every row, judged.

The screen decides what is certain for many rows at once; what it leaves open goes to the exact
judge element by element, rows first, then instructions, so that the first violation found is the
first there is. Nothing is convicted by the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.court.check_structure import check_structure, grouped_rows, stacked
from oracle.court.judge import judge_element
from oracle.court.operands import Array
from oracle.court.screen import screen
from oracle.court.screen_matrix import Memory
from oracle.court.screen_nest import bind
from oracle.court.verdict import Outcome, Verdict
from oracle.program.instruction import Instruction, Program, Space, Trace
from oracle.program.opcode import Opcode

Progress = Callable[[int, int], None]
"""Called with (done, all): instructions, counted once for each group of rows."""

_GROUP_BYTES: Final = 64 << 20
"""Rows are checked together as long as their traces stay below this."""

_NOBODY: Final = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Violation:
    """An element that no honest run can have given.

    `position` counts in committed order; `index` is the same place in the ONNX tensor `tensor`.
    """

    row: int
    instruction: int
    name: str
    opcode: Opcode
    tensor: str
    position: int
    index: tuple[int, ...]
    verdict: Verdict

    def __str__(self) -> str:
        return (
            f"row {self.row}, instruction {self.instruction} ({self.opcode.name} {self.name!r}), "
            f"tensor {self.tensor!r}, element {self.position} = {list(self.index)}: "
            f"{self.verdict.numbers}: {self.verdict.reason}"
        )


@dataclass(frozen=True)
class CheckReport:
    """How the elements of a trace fared; inputs are not judged.

    `judged` of them went to the exact judge. `open` were neither certain nor judged, because the
    check stopped at the violations it was asked for. With no violation, nothing is open.
    """

    rows: int
    elements: int
    within: int
    undefined: int
    judged: int
    open: int
    violations: tuple[Violation, ...]

    @property
    def violated(self) -> int:
        """How many violations were found."""
        return len(self.violations)

    @property
    def first(self) -> Violation | None:
        """The first violated element, by row, instruction and position."""
        return self.violations[0] if self.violations else None

    @property
    def honest(self) -> bool:
        """Whether no element is violated."""
        return not self.violations


def check_trace(
    program: Program, trace: Trace, *, progress: Progress | None = None, most: int = 1
) -> CheckReport:
    """Judges every element of a trace; stops judging once `most` violations are found.

    Raises `TensorError`, naming the tensor, for a trace whose tensors are not the program's.
    """
    check_structure(program, trace)
    state = _State(program, trace, most)
    groups = list(grouped_rows(len(trace.rows), program.row_trace_bytes, _GROUP_BYTES))
    total = len(groups) * len(program.instructions)
    memory = Memory()
    for number, (first, last) in enumerate(groups):
        if state.full:
            break
        tensors = stacked(trace, first, last)
        suspects: list[NDArray[np.int64]] = []
        for place, step in enumerate(program.instructions):
            suspects.append(state.screened(step, tensors, last - first, memory))
            if progress is not None:
                progress(number * len(program.instructions) + place + 1, total)
        state.judge(suspects, first, last)
    return state.report()


class _State:
    """Counts what was found so far."""

    def __init__(self, program: Program, trace: Trace, most: int) -> None:
        self._program, self._trace, self._most = program, trace, max(most, 1)
        self._within = self._undefined = self._judged = 0
        self._violations: list[Violation] = []
        self._constants = [_bits(value) for value in program.constant_values]

    @property
    def full(self) -> bool:
        return len(self._violations) >= self._most

    def screened(
        self, step: Instruction, tensors: Sequence[Array], rows: int, memory: Memory
    ) -> NDArray[np.int64]:
        """Counts the certain elements; the others, counted over all rows of the group."""
        nest = bind(self._program, step, rows, tensors)
        found = screen(nest, tensors[step.output].reshape(nest.domain), memory)
        within = int(np.count_nonzero(found.within))
        self._within += within
        if within == nest.size:
            return _NOBODY
        undefined = np.broadcast_to(found.undefined, nest.domain)
        self._undefined += int(np.count_nonzero(undefined))
        return np.flatnonzero(~(found.within | undefined))

    def judge(self, suspects: Sequence[NDArray[np.int64]], first: int, last: int) -> None:
        """Judges what is left of a group exactly: by row, instruction, position."""
        if not any(group.size for group in suspects):
            return
        for row in range(first, last):
            tensors = [_bits(value) for value in self._trace.rows[row]]
            for number, step in enumerate(self._program.instructions):
                begin, end = np.searchsorted(
                    suspects[number], [(row - first) * step.size, (row - first + 1) * step.size]
                )
                for place in suspects[number][begin:end]:
                    if self.full:
                        return
                    self._judge(row, number, int(place) - (row - first) * step.size, tensors)

    def _judge(self, row: int, number: int, position: int, tensors: Sequence[Array]) -> None:
        def read(space: Space, tensor: int, place: int) -> int:
            return int((tensors if space is Space.TRACE else self._constants)[tensor][place])

        step = self._program.instructions[number]
        claimed = int(tensors[step.output][position])
        verdict = judge_element(self._program, step, position, read, claimed)
        self._judged += 1
        if verdict.outcome is Outcome.WITHIN:
            self._within += 1
        elif verdict.outcome is Outcome.UNDEFINED:
            self._undefined += 1
        else:
            self._violations.append(_violation(self._program, row, number, position, verdict))

    def report(self) -> CheckReport:
        rows = len(self._trace.rows)
        elements = rows * sum(step.size for step in self._program.instructions)
        known = self._within + self._undefined + len(self._violations)
        return CheckReport(
            rows=rows,
            elements=elements,
            within=self._within,
            undefined=self._undefined,
            judged=self._judged,
            open=elements - known,
            violations=tuple(self._violations),
        )


def _violation(
    program: Program, row: int, number: int, position: int, verdict: Verdict
) -> Violation:
    step = program.instructions[number]
    info = program.tensors[step.output]
    # The place of every committed element in the ONNX tensor, by laying its axes out in order.
    lengths = [info.shape[axis] for axis in info.layout]
    moved = np.unravel_index(position, lengths) if lengths else ()
    index = [0] * len(info.shape)
    for axis, place in zip(info.layout, moved, strict=True):
        index[axis] = int(place)
    return Violation(
        row=row,
        instruction=number,
        name=step.name,
        opcode=step.opcode,
        tensor=info.name,
        position=position,
        index=tuple(index),
        verdict=verdict,
    )


def _bits(value: NDArray[Any]) -> Array:
    """A tensor's elements as unsigned integers."""
    unsigned = np.dtype(f"<u{value.dtype.itemsize}")
    return np.ascontiguousarray(value).view(unsigned)
