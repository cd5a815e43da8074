"""Random elements of every type, and claims next to what an operation must give.

Weighted to what goes wrong: zeros of either sign, subnormals, ends of ranges, NaN and infinities,
numbers of few bits (their products and sums are ties), equal and opposite numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Final, TypeVar

from oracle.core.schema import ElementType
from oracle.court.binary32 import BINARY32, Format, scaled
from oracle.court.case import Bits, Case, Taps
from oracle.court.judge import judge
from oracle.court.number import FORMATS, INTEGERS, integer_range, width

T = TypeVar("T")

KINDS: Final = tuple(ElementType)
INTEGER_KINDS: Final = tuple(kind for kind in ElementType if kind in INTEGERS)


def element(source: Random, kind: ElementType) -> Bits:
    """Raw bits of one element."""
    if kind is ElementType.BOOL:
        return source.choice((0, 0, 1, 1, 2, 128, 255))
    if kind.is_float:
        return _float(source, FORMATS[kind])
    return _integer(source, kind) & ((1 << width(kind)) - 1)


def finite(source: Random) -> Bits:
    """Raw bits of one finite float32."""
    while not BINARY32.is_finite(bits := element(source, ElementType.FLOAT32)):
        pass
    return bits


def related(source: Random, kind: ElementType, other: Bits) -> Bits:
    """An element that meets `other`: equal, opposite, next to it, or half of its last place."""
    top, everything = 1 << (width(kind) - 1), (1 << width(kind)) - 1
    if not kind.is_float:
        return source.choice((other, -other, ~other, other + 1, other - 1, 1, top)) & everything
    step = source.choice((0, 0, 0, 1, -1, 2))
    if source.random() < 0.5 or not FORMATS[kind].is_finite(other):
        return (other ^ source.choice((0, top))) + step & everything
    half = FORMATS[kind].round(FORMATS[kind].half_ulp(other))
    return (half + step & everything) ^ source.choice((0, top))


def with_claim(source: Random, case: Case) -> Case:
    """The case with a claim that is right, nearly right or anything."""
    kind, everything = case.output_type, (1 << width(case.output_type)) - 1
    exact = judge(replace(case, claimed=0)).exact
    if exact is not None:
        right = FORMATS[kind].round(Fraction(exact)) if kind.is_float else round(exact)
        if kind in INTEGERS:
            least, greatest = integer_range(kind)
            right = min(max(right, least), greatest)
    elif kind.is_float:
        # Not a number, infinite, or no rule.
        right = FORMATS[kind].infinity + source.choice((0, 0, 1, 2, -1))
        right |= source.choice((0, FORMATS[kind].sign_bit))
    else:
        right = element(source, kind)
    claims = (right, right, right, right + 1, right - 1, right + 2, element(source, kind))
    flipped = source.choice((0, 0, 0, 1)) << (width(kind) - 1)
    return replace(case, claimed=(source.choice(claims) ^ flipped) & everything)


def with_a_fault(source: Random, case: Case) -> Case:
    """The case with an operand missing or of another type: the court is silent, or knows a fill."""
    number = source.randrange(len(case.operands))
    if source.random() < 0.5:
        missing: Taps = (None,) * len(case.operands[number])
        return replace(case, operands=_put(case.operands, number, missing))
    kind = source.choice(KINDS)
    if source.random() < 0.3:
        return replace(case, output_type=kind, claimed=element(source, kind))
    changed = tuple(
        None if bits is None else element(source, kind) for bits in case.operands[number]
    )
    return replace(
        case,
        operand_types=_put(case.operand_types, number, kind),
        operands=_put(case.operands, number, changed),
    )


def _put(values: Sequence[T], number: int, value: T) -> tuple[T, ...]:
    return (*values[:number], value, *values[number + 1 :])


def _float(source: Random, form: Format) -> Bits:
    sign = source.choice((0, form.sign_bit))
    match source.randrange(10):
        case 0:
            edges = (0, 1, form.infinity - 1, form.infinity, form.infinity + 1, form.sign_bit - 1)
            return source.choice((*edges, 1 << form.fraction, (1 << form.fraction) - 1)) | sign
        case 1:
            return source.getrandbits(form.width)
        case 2:
            return source.getrandbits(source.randint(1, form.fraction)) | sign
        case 3 | 4 | 5:
            # Few bits, so that products, quotients and sums end exactly at or between numbers.
            exponent = source.choice((source.randint(-150, 127), source.randint(-20, 70)))
            few = source.getrandbits(source.choice((2, 5, 12, 13, 24, 25)))
            return form.round(scaled(few, exponent - source.choice((0, 12)))) | sign
        case 6:
            # Around integers and their halves, up to where a 64-bit integer ends.
            doubled = source.getrandbits(source.randint(1, 66))
            return form.round(Fraction(doubled, 2)) + source.choice((0, 0, 1)) | sign
        case 7:
            # Around the ties of a narrower format.
            narrow = BINARY32.value(source.getrandbits(31) % BINARY32.infinity)
            tie = narrow + BINARY32.half_ulp(BINARY32.round(narrow))
            return form.round(tie) + source.choice((0, 0, 1)) | sign
        case _:
            return form.round(Fraction(source.gauss(0, 1)) * 100) ^ sign


def _integer(source: Random, kind: ElementType) -> int:
    least, greatest = integer_range(kind)
    match source.randrange(5):
        case 0:
            return source.choice((0, 1, -1, least, least + 1, greatest, greatest - 1))
        case 1:
            return source.randint(-4, 4)
        case 2:
            # A tie of float32 or float64, or next to one.
            few = source.getrandbits(source.choice((25, 25, 54))) * 2 + 1
            shifted = few << source.randint(0, 40)
            return source.choice((1, -1)) * shifted + source.choice((0, 0, 1, -1))
        case _:
            return source.randint(least, greatest) >> source.randrange(width(kind))
