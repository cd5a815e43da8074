"""Where the bound of an element ends: the last number within it, and the first one beyond.

Asks the exact judge, number by number, so it knows no operation and no bound. Commits nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from oracle.core.schema import ElementType
from oracle.court.case import Bits
from oracle.court.number import FORMATS, integer_range, order_key, width
from oracle.court.proving import Prover
from oracle.court.verdict import Outcome, Verdict
from tests.court_suite.forging import UNJUDGED, Bench, spread

Judge = Callable[[Bits], Verdict]
"""The verdict on a claim about one element."""

STEPS: Final = 64
"""A bound that a verdict states ends so near to where the judge says it does."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One end of an element's bound: the first value beyond it, and what lies before.

    Attributes:
        within: the last value within, None where there is none but the claim's own.
        zero: the other zero, which is the same value, None where the claim is not zero.
    """

    position: int
    within: Bits | None
    zero: Bits | None
    beyond: Bits


def edge_of(prover: Prover, row: int, number: int, sign: int, most: int) -> Edge | None:
    """An edge of the output of an instruction, of an element with room to move in if there is one.

    Args:
        sign: 1 for the upper end of the bound, -1 for the lower; the other where there is no such.
        most: elements that are looked at for room to move in, before any edge will do.

    Returns:
        None where the court would convict nobody of any element of the tensor.
    """
    step = prover.program.instructions[number]
    tight = None
    for position in spread(step.size, most):
        found = edge_at(prover, row, number, position, sign)
        if found is not None and found.within is not None:
            return found
        tight = tight or found
    if tight is not None:
        return tight
    others = (edge_at(prover, row, number, place, sign) for place in range(step.size))
    return next((found for found in others if found is not None), None)


def edge_at(prover: Prover, row: int, number: int, position: int, sign: int) -> Edge | None:
    """An edge of one element; None where the court leaves any claim open."""
    step = prover.program.instructions[number]
    kind = prover.program.tensors[step.output].element
    bench = Bench(prover.program, prover.trace.rows[row])
    claimed = bench.claimed(step, position)
    honest = bench.judge(step, position, claimed)
    assert not honest.convicts, (step, position, honest)
    if honest.outcome is Outcome.UNDEFINED:
        assert honest.reason in UNJUDGED, (step, position, honest)
        return None
    for direction in (sign, -sign):
        ends = _ends(kind, honest, lambda bits: bench.judge(step, position, bits), direction)
        if ends is not None:
            last, first = ends
            moved = order_key(kind, last) != order_key(kind, claimed)
            zero = _other_zero(kind, claimed)
            return Edge(position, last if moved else None, zero, first)
    raise AssertionError(f"{step.name!r}, {position}: every value of its type is within")


def neighbour(kind: ElementType, claimed: Bits, sign: int) -> Bits:
    """The next value of the type: one unit, or one in the last place."""
    least, greatest = _keys(kind)
    key = order_key(kind, claimed)
    return _bits(kind, key + sign if least <= key + sign <= greatest else key - sign)


def _ends(kind: ElementType, honest: Verdict, judge: Judge, sign: int) -> tuple[Bits, Bits] | None:
    """The last value within and the first one beyond; None where the type's range ends before."""
    assert honest.exact is not None, f"{honest} is not finite"
    least, greatest = _keys(kind)
    end = Fraction(honest.exact) + sign * honest.bound
    key = max(least, min(greatest, _key_of(kind, end, sign)))
    convicts = judge(_bits(kind, key)).convicts
    for _ in range(STEPS):
        # Inwards from a value beyond, outwards from one that is within, until they meet.
        following = key - sign if convicts else key + sign
        if not least <= following <= greatest:
            return None
        if judge(_bits(kind, following)).convicts is not convicts:
            last, first = (following, key) if convicts else (key, following)
            return _bits(kind, last), _bits(kind, first)
        key = following
    raise AssertionError(f"the bound of {honest} does not end where it says")


def _other_zero(kind: ElementType, claimed: Bits) -> Bits | None:
    if kind.is_float and FORMATS[kind].is_zero(claimed):
        return claimed ^ FORMATS[kind].sign_bit
    return None


def _keys(kind: ElementType) -> tuple[int, int]:
    """The least and the greatest order key of a finite value."""
    if kind is ElementType.BOOL:
        return 0, 1
    if kind.is_float:
        return 1 - FORMATS[kind].infinity, FORMATS[kind].infinity - 1
    return integer_range(kind)


def _key_of(kind: ElementType, value: Fraction, sign: int) -> int:
    if kind.is_float:
        return order_key(kind, FORMATS[kind].round(value))
    return math.floor(value) if sign > 0 else math.ceil(value)


def _bits(kind: ElementType, key: int) -> Bits:
    """The value with an order key; zero is +0."""
    if kind.is_float and key < 0:
        return -key | FORMATS[kind].sign_bit
    return key & ((1 << width(kind)) - 1)
