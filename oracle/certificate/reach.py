"""Forward: how far every element can lie from the honest one in a run that the court accepts.

If x is the honest run and x' an accepted one, then x' - x at an element is the derivative applied
to x' - x at its operands, plus what the element is free to add: the two tolerances, the rounding,
and how far the operation leaves its tangent. This module bounds that addition (the *freedom*) and,
from it, the distance itself (the *reach*), which the remainders need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.certificate.bounds import rounding, tolerance
from oracle.certificate.enclosure import Enclosure, enclosure
from oracle.certificate.frame import Frame
from oracle.certificate.place import Reals
from oracle.certificate.rules import RULES
from oracle.certificate.term import Term
from oracle.program.instruction import Instruction, Program, Space

MARGIN: Final = 2.0
"""The sketch is a median of few samples; this factor makes it err on the large side."""

_SEED: Final = 20_010_223
_LARGEST: Final = 1e38
_PROBES_AT_ONCE: Final = 2**23
"""Numbers held at once while probes pass through an instruction."""


@dataclass(frozen=True)
class Freedom:
    """`total[i]` is what the elements of instruction i may add; `bend[i]` the part of it that is
    not tolerance: kinks, steps and second order. `reach[t]` belongs to tensor t, and `limit[t]`,
    where there is one: no element of it can be farther off, whatever its operands do."""

    estimated: bool
    total: tuple[Reals, ...]
    bend: tuple[Reals, ...]
    reach: tuple[Reals, ...]
    limit: Mapping[int, Reals]


def freedom(
    program: Program,
    row: Sequence[NDArray[Any]],
    *,
    probes: int = 0,
    pinned: frozenset[int] = frozenset(),
) -> Freedom:
    """The freedom of every element of one run.

    Of `pinned` instructions it is 0: of runs that agree in what they commit (see `ties`).

    With no probes the reach is propagated by absolute values: proved, but it grows with the
    1-norm of every layer, and through the kinks it feeds on itself. With probes it is an estimate,
    at most `MARGIN` times a median over so many random runs, each of which moves every element by
    its freedom times a Cauchy number: such a sum is again a Cauchy number, whose scale is exactly
    the first-order reach. Choices are then wide (see `frame`).
    """
    reaches: list[Reals] = [np.zeros(tensor.size) for tensor in program.tensors]
    tangents = _Tangents(program, probes) if probes else None
    totals: list[Reals] = []
    bends: list[Reals] = []
    known: dict[int, Enclosure] = {}
    limits: dict[int, Reals] = {}
    for number, step in enumerate(program.instructions):
        frame = Frame(program, step, row, reaches, wide=probes > 0)
        with np.errstate(all="ignore"):  # what is without bound gives infinities and NaN
            terms, linear, bend, free = _added(frame)
        moving = any(frame.reach(operand).any() for operand in range(len(step.operands)))
        found = enclosure(frame, known) if moving else None
        reach = linear + free
        if number in pinned:
            free, bend, reach = (np.zeros(step.size) for _ in range(3))
        elif found is not None:
            known[step.output] = found
            limit = limits[step.output] = found.distance(row[step.output].astype(np.float64))
            # What an element adds to the derivative is at most all that it moves, and that.
            free = np.minimum(free, limit + linear)
            bend = np.minimum(bend, free)
            reach = np.minimum(reach, limit)
        if tangents is not None:
            reach = np.minimum(reach, tangents.advance(number, terms, free))
        reaches[step.output] = reach
        totals.append(free)
        bends.append(bend)
    return Freedom(probes > 0, tuple(totals), tuple(bends), tuple(reaches), limits)


def _added(frame: Frame) -> tuple[tuple[Term, ...], Reals, Reals, Reals]:
    """The terms of an instruction, how far they carry its operands' reach, its bend, and its
    freedom (which contains the bend); all flat."""
    rule = RULES[frame.step.opcode]
    terms = rule.terms(frame)
    linear = np.zeros(frame.outer)
    for term in terms:
        reach = frame.reaches[term.place.tensor]
        if reach.any():
            linear += _shaped(frame, term.magnify(reach).reshape(frame.outer))
    bend = _shaped(frame, rule.remainder(frame))
    moved = linear + bend
    free = bend + _shaped(frame, rounding(frame, moved))
    free += _shaped(frame, tolerance(frame, np.zeros(frame.outer)))
    free += _shaped(frame, tolerance(frame, moved))
    return terms, linear.reshape(-1), bend.reshape(-1), free.reshape(-1)


class _Tangents:
    """Random runs through the linearised program, dropped when nothing reads them any more."""

    def __init__(self, program: Program, probes: int) -> None:
        self._program = program
        self._probes = probes
        self._random = np.random.default_rng(_SEED)
        self._held: dict[int, NDArray[np.float32]] = {}
        self._last_use = {
            access.tensor: number
            for number, step in enumerate(program.instructions)
            for access in step.operands
            if access.space is Space.TRACE
        }

    def advance(self, number: int, terms: Sequence[Term], free: Reals) -> Reals:
        """Takes one instruction further; returns the reach of its elements."""
        step = self._program.instructions[number]
        limited = np.where(np.isfinite(free), free, 0.0)
        moved = self._random.standard_cauchy((self._probes, step.size)) * limited
        for term in terms:
            tangents = self._held.get(term.place.tensor)
            if tangents is None:
                continue
            chunk = max(1, _PROBES_AT_ONCE // max(term.width, step.size))
            for first in range(0, self._probes, chunk):
                part = slice(first, first + chunk)
                moved[part] += term.forward(tangents[part].astype(np.float64))
        self._held[step.output] = np.clip(moved, -_LARGEST, _LARGEST).astype(np.float32)
        self._drop(number, step)
        scale = MARGIN * np.median(np.abs(moved), axis=0)
        return np.where(np.isfinite(free), scale, np.inf)

    def _drop(self, number: int, step: Instruction) -> None:
        for tensor in [*(access.tensor for access in step.operands), step.output]:
            if self._last_use.get(tensor, -1) <= number:
                self._held.pop(tensor, None)


def _shaped(frame: Frame, values: Reals) -> Reals:
    """Over the output; what is not a number is without bound."""
    full = np.broadcast_to(values, frame.outer)
    return np.where(np.isnan(full), np.inf, full)
