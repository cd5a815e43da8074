"""DOT, SUM and MEAN of float32: sums that an honest run may form in any order.

The sum is taken in a window of one 256-bit word below the largest term; what the window cuts off
goes to the operator. The bound follows from the tier. Sums of integers are exact modulo 2^bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.binary32 import BINARY32, scaled
from oracle.court.case import Case
from oracle.court.number import INTEGERS, integer_value, text, width
from oracle.court.verdict import Outcome, Verdict, equal, undefined
from oracle.program.opcode import Opcode

GRID: Final = -298
"""Every product of two float32 numbers is a whole multiple of 2^-298."""
WINDOW: Final = 144
"""Bits kept below the last bit of the largest term: 48 + 23 + 144 < 216 bits for any sum."""
MOST_ROUNDINGS: Final = 1 << 23
"""With so many gamma_n reaches 1 and bounds nothing, and a word might not hold the sum."""
LARGEST_DIVISOR: Final = 1 << 24
"""Larger ones are not exact in float32."""

Term = tuple[int, int]
"""(p, q): the number p · 2^q."""


@dataclass(frozen=True, slots=True)
class Window:
    """A sum in units of 2^`unit`: off by at most `lost`; the terms' magnitudes sum to at most
    `magnitude`."""

    unit: int
    total: int
    magnitude: int
    lost: int


@dataclass(frozen=True, slots=True)
class Rounding:
    """What an honest evaluation rounds.

    `native` counts the float32 roundings that any one term passes through, `underflows` the
    operations whose result may be subnormal and inexact; `wide` is the same as `native` in float64,
    with one to spare.
    """

    native: int
    underflows: int
    wide: int
    divisor: int = 1


def dot(case: Case) -> Verdict:
    """sum_k a·b (+ c)."""
    if any(kind is not ElementType.FLOAT32 for kind in (*case.operand_types, case.output_type)):
        return _no_rule(case)
    taps = [
        (a, b)
        for a, b in zip(case.operands[0], case.operands[1], strict=True)
        if a is not None and b is not None
    ]
    added = [bits for operand in case.operands[2:] for bits in operand]
    others = [bits for bits in added if bits is not None]
    if len(others) != len(added):
        return undefined(case.output_type, case.claimed, "a guard fails for the summand")
    if not all(map(BINARY32.is_finite, (*others, *(bits for tap in taps for bits in tap)))):
        return undefined(case.output_type, case.claimed, "an operand is not finite")
    terms = [_product(BINARY32.decode(a), BINARY32.decode(b)) for a, b in taps]
    terms += map(BINARY32.decode, others)
    count = len(taps)
    return _judge(case, terms, Rounding(len(terms), count, count + 1))


def total(case: Case) -> Verdict:
    """sum_k a."""
    kind = case.output_type
    if case.operand_types != (kind,) or (kind is not ElementType.FLOAT32 and kind not in INTEGERS):
        return _no_rule(case)
    taps = [bits for bits in case.operands[0] if bits is not None]
    if kind in INTEGERS:
        value = sum(integer_value(kind, bits) for bits in taps)
        return equal(kind, case.claimed, value & ((1 << width(kind)) - 1))
    if not all(map(BINARY32.is_finite, taps)):
        return undefined(kind, case.claimed, "an operand is not finite")
    count = len(taps)
    rounding = Rounding(max(count - 1, 0), 0, count + 1)
    return _judge(case, [BINARY32.decode(bits) for bits in taps], rounding)


def mean(case: Case) -> Verdict:
    """sum_k a / n."""
    kind = case.output_type
    if case.operand_types != (kind,) or kind is not ElementType.FLOAT32:
        return _no_rule(case)
    taps = [bits for bits in case.operands[0] if bits is not None]
    count = len(taps)
    divisor = case.attributes[0] or count
    if not 0 < divisor <= LARGEST_DIVISOR:
        return undefined(kind, case.claimed, f"a mean over {divisor}")
    if not all(map(BINARY32.is_finite, taps)):
        return undefined(kind, case.claimed, "an operand is not finite")
    rounding = Rounding(count + 1, count + 1, count + 2, divisor)
    return _judge(case, [BINARY32.decode(bits) for bits in taps], rounding)


RULES: Final[Mapping[Opcode, Callable[[Case], Verdict]]] = MappingProxyType(
    {Opcode.DOT: dot, Opcode.SUM: total, Opcode.MEAN: mean}
)


def window(terms: Sequence[Term]) -> Window:
    """The sum of the terms; the bits below the window are cut off, toward zero."""
    highest = max((exponent for part, exponent in terms if part), default=GRID)
    unit = max(highest - WINDOW, GRID)
    summed = magnitude = lost = 0
    for part, exponent in terms:
        size = _units(abs(part), exponent, unit)
        lost += int(part != 0 and exponent < unit)
        summed += size if part > 0 else -size
        magnitude += size
    return Window(unit, summed, magnitude + lost, lost)


def _judge(case: Case, terms: Sequence[Term], rounding: Rounding) -> Verdict:
    if case.tier is Tier.UNPROVEN:
        return undefined(case.output_type, case.claimed, "the tier has no bound")
    if len(terms) + 1 >= MOST_ROUNDINGS:
        return undefined(case.output_type, case.claimed, "too many terms")
    sums = window(terms)
    if case.tier is not Tier.NATIVE:
        error = _ceiling(rounding.wide * sums.magnitude, 1 << 53)
        return _compare(case, sums, error, rounding.divisor, rounded=True)
    left = (1 << 24) - rounding.native
    largest = ((1 << 24) - 1) << (104 - sums.unit)
    if sums.magnitude << 24 >= largest * left:
        return undefined(case.output_type, case.claimed, "a partial sum may overflow")
    error = _ceiling(rounding.native * sums.magnitude, left)
    smallest = _ceiling(1 << 149, 1 << (sums.unit - GRID))
    error += rounding.underflows * rounding.divisor * smallest
    return _compare(case, sums, error, rounding.divisor, rounded=False)


def _compare(case: Case, sums: Window, error: int, divisor: int, *, rounded: bool) -> Verdict:
    """Whether |divisor · claimed - sum| <= error + lost (+ divisor · half an ulp), in units."""
    claimed = case.claimed
    bound = error + sums.lost
    if BINARY32.is_finite(claimed):
        part, exponent = BINARY32.decode(claimed)
        size = _units(abs(part), exponent, sums.unit)
        if exponent < sums.unit:
            bound += divisor
        if rounded:
            bound += divisor * _ceiling(1 << (exponent - 1 - GRID), 1 << (sums.unit - GRID))
        distance = abs(divisor * (size if part > 0 else -size) - sums.total)
        holds = distance <= bound
    else:
        threshold = divisor * (((1 << 25) - 1) << (103 - sums.unit))
        signed = -sums.total if BINARY32.is_negative(claimed) else sums.total
        holds = BINARY32.is_infinite(claimed) and signed + bound >= threshold
    unit = scaled(1, sums.unit) / divisor
    return Verdict(
        Outcome.WITHIN if holds else Outcome.VIOLATED,
        text(ElementType.FLOAT32, claimed),
        sums.total * unit,
        Fraction(bound * unit),
        "within the bound" if holds else "farther from the sum than any honest run",
    )


def _units(part: int, exponent: int, unit: int) -> int:
    """part · 2^exponent in units of 2^unit, cut off; part is not negative."""
    return part << (exponent - unit) if exponent >= unit else part >> (unit - exponent)


def _ceiling(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def _product(a: Term, b: Term) -> Term:
    return a[0] * b[0], a[1] + b[1]


def _no_rule(case: Case) -> Verdict:
    kinds = [kind.value for kind in case.operand_types]
    return undefined(case.output_type, case.claimed, f"no rule for operands of types {kinds}")
