"""Adversaries: runs that drift as far as the court allows, element by element.

An attacker goes through the program from first to last. At every element it takes the farthest
float that the court accepts, given the operands that it has already moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.certificate.bounds import tolerance
from oracle.certificate.frame import Frame
from oracle.certificate.gradient import Target, gradients
from oracle.program.instruction import Program
from tests.certificate.reals import real

Row = Sequence[NDArray[Any]]
Directions = dict[int, NDArray[np.float64]]

_INSIDE = 1 - 1e-6
"""Keeps clear of what the float64 arithmetic of this module may be off by."""


def drifted(
    program: Program, row: Row, directions: Directions, first: int = 0
) -> tuple[NDArray[Any], ...]:
    """A run with the same inputs whose elements lie at the edge of acceptance.

    `directions[i]` is, for every element of instruction i, in [-1, 1]: which way and how much of
    its tolerance to use; 0 (or no entry) is as near to the exact value as possible. Instructions
    before `first` stay as they are in the row.
    """
    moved = list(row)
    still = [np.zeros(tensor.size) for tensor in program.tensors]
    for number, step in enumerate(program.instructions):
        if number < first:
            continue
        exact = real(program, step, moved)
        dtype = program.tensors[step.output].element.dtype
        moved[step.output] = exact.astype(dtype)
        frame = Frame(program, step, moved, still)
        room = np.broadcast_to(tolerance(frame, np.zeros(frame.outer)), frame.outer).reshape(-1)
        share = directions.get(number)
        if share is None or not room.any():
            continue
        moved[step.output] = _edge(exact, share * room * _INSIDE, dtype)
    return tuple(moved)


def along_the_gradient(program: Program, row: Row, target: Target, sign: float) -> Directions:
    """All of every tolerance, towards where the target moves up (or down)."""
    return {
        number: sign * np.sign(adjoints[0])
        for number, adjoints in gradients(program, row, [target])
    }


def at_random(program: Program, random: np.random.Generator) -> Directions:
    """Every element up or down as a coin falls."""
    return {
        number: random.choice([-1.0, 1.0], size=step.size)
        for number, step in enumerate(program.instructions)
    }


def _edge(
    exact: NDArray[np.float64], room: NDArray[np.float64], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """The farthest floats from the exact values in the direction of, and within, `room`."""
    goal = exact + room
    edge = goal.astype(dtype)
    beyond = np.where(room > 0, edge > goal, edge < goal)
    back = np.nextafter(edge, np.where(room > 0, -np.inf, np.inf).astype(dtype))
    edge = np.where(beyond & (room != 0), back, edge)
    # a step back may leave the room on the other side: then the exact value, rounded, it is
    honest = exact.astype(dtype)
    passed = np.where(room > 0, edge < honest, edge > honest)
    return np.where(passed, honest, edge)
