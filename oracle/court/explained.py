"""What a run of one's own would have given, had it gone on from what was revealed.

Tells a lie from what merely follows from one: where a tensor was shown whole, those after it are
computed from it, and only what is otherwise still is unexplained. Judges nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.court.revealed import RevealedProver
from oracle.court.screen import values
from oracle.court.screen_matrix import Memory
from oracle.court.screen_nest import bind
from oracle.errors import OracleError
from oracle.program.instruction import Instruction, Program, Space, Trace


def explained(prover: RevealedProver, own: Trace) -> Trace:
    """The own run, where nothing that it was computed from was shown to be otherwise; elsewhere
    what follows from what was shown."""
    program, memory = prover.program, Memory()
    return Trace(tuple(_row(prover, program, row, own, memory) for row in range(len(own.rows))))


def _row(
    prover: RevealedProver, program: Program, row: int, own: Trace, memory: Memory
) -> tuple[NDArray[Any], ...]:
    follows = list(own.rows[row])
    base = list(follows)
    moved: set[int] = set()

    def settle(tensor: int) -> None:
        if (row, tensor) in prover.whole:
            base[tensor] = prover.trace.rows[row][tensor]
        if base[tensor].tobytes() != own.rows[row][tensor].tobytes():
            moved.add(tensor)

    for number in program.inputs:
        settle(number)
    for step in program.instructions:
        if any(one.space is Space.TRACE and one.tensor in moved for one in step.operands):
            found = _value(program, step, base, memory)
            if found is not None:
                follows[step.output] = base[step.output] = found
        settle(step.output)
    return tuple(follows)


def _value(
    program: Program, step: Instruction, base: list[NDArray[Any]], memory: Memory
) -> NDArray[Any] | None:
    """None where a stranger's numbers lead nowhere: then the own run is as good as any."""
    try:
        found = values(bind(program, step, 1, base), memory)
    except (OracleError, ArithmeticError, IndexError, ValueError):
        return None
    return np.ascontiguousarray(found).reshape(-1)
