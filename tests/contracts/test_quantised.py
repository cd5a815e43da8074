"""QuantisedRules.sol against rules_quantised.py: the same verdicts, above all around ties."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Final

import pytest

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.binary32 import BINARY32, scaled
from oracle.court.case import Bits, Case, Taps
from oracle.court.number import integer_range, integer_value, width
from oracle.court.rules_quantised import NARROW, QUANTISED
from oracle.court.verdict import Outcome
from oracle.program.opcode import Opcode
from tests.contracts.elements import KINDS, element, with_a_fault, with_claim
from tests.contracts.harness import Chain, Rules, case_count

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(0)]

F32, INT32 = ElementType.FLOAT32, ElementType.INT32
BYTES: Final = tuple(kind for kind in KINDS if kind in NARROW)
SHORT: Final = tuple(kind for kind in KINDS if kind in QUANTISED)
OPERATIONS: Final = (
    *(Opcode.QUANTIZE, Opcode.DEQUANTIZE, Opcode.INTEGER_DOT, Opcode.QUANTIZED_DOT),
)
MANY: Final = 80_001
"""Taps: with all elements at the upper end seven of eight products already pass 2^32."""


def case(
    opcode: Opcode, target: ElementType, kinds: tuple[ElementType, ...], *operands: Taps
) -> Case:
    return Case(opcode, Tier.EXACT, (), target, kinds, 0, operands)


def scale(source: Random) -> Bits:
    """Mostly an ordinary scale; sometimes any float32, or a power of two that makes ties exact."""
    match source.randrange(8):
        case 0:
            return element(source, F32)
        case 1:
            return BINARY32.round(scaled(1, source.randint(-149, 127)))
        case 2:
            return BINARY32.round(scaled(source.getrandbits(24) + 1, source.randint(-149, 100)))
        case _:
            return BINARY32.round(scaled(source.getrandbits(24) + 1, source.randint(-34, -20)))


def quantize(source: Random) -> Case:
    kind, divisor = source.choice(SHORT), scale(source)
    zero = element(source, kind)
    value = element(source, F32)
    if source.random() < 0.8 and BINARY32.is_finite(divisor):
        # Next to a tie, or to an end of the range.
        least, greatest = integer_range(kind)
        whole = source.choice((least, greatest, source.randint(least, greatest)))
        doubled = 2 * (whole - integer_value(kind, zero)) + source.choice((1, -1, 0))
        near = BINARY32.round(Fraction(doubled, 2) * BINARY32.value(divisor))
        value = max(near + source.choice((0, 0, 1, -1, 2, -2, 3, -3)), 0)
    return case(Opcode.QUANTIZE, kind, (F32, F32, kind), (value,), (divisor,), (zero,))


def dequantize(source: Random) -> Case:
    kind = source.choice((*SHORT, INT32))
    values = ((element(source, kind),), (scale(source),), (element(source, kind),))
    return case(Opcode.DEQUANTIZE, F32, (kind, F32, kind), *values)


def factors(source: Random) -> tuple[tuple[ElementType, ...], tuple[Taps, ...]]:
    """The four operands of a product: elements, elements and their zero points."""
    kinds = (source.choice(BYTES), source.choice(BYTES))
    count = source.choice((0, 1, 7, 8, 31, 32, 33, 64, source.randint(0, 150)))
    missing = source.choice((0, 0, 0.3))
    chosen = [
        tuple(
            None if source.random() < missing else source.choice((0x80, 0x7F, 0xFF, value, value))
            for value in source.randbytes(count)
        )
        for _ in kinds
    ]
    return kinds * 2, (*chosen, *((element(source, kind),) for kind in kinds))


def integer_dot(source: Random) -> Case:
    kinds, operands = factors(source)
    return case(Opcode.INTEGER_DOT, INT32, kinds, *operands)


def quantized_dot(source: Random) -> Case:
    kinds, operands = factors(source)
    kind = source.choice(BYTES)
    scales = [scale(source) for _ in range(3)]
    zero = element(source, kind)
    if source.random() < 0.5 and all(map(BINARY32.is_finite, scales)) and scales[2]:
        # The result's scale such that sums come near the range, or in it.
        ratio = abs(BINARY32.value(scales[0]) * BINARY32.value(scales[1]))
        scales[2] = BINARY32.round(ratio * source.choice((1, 2, 3, 100, 1000, 4096)))
    kinds += (F32, F32, F32, kind)
    operands += (*((bits,) for bits in scales), (zero,))
    if source.random() < 0.5:
        kinds, operands = (*kinds, INT32), (*operands, (element(source, INT32),))
    return case(Opcode.QUANTIZED_DOT, kind, kinds, *operands)


def quantized_dot_at_a_tie(source: Random) -> Case:
    """A bias alone, and scales that bring it within some u of the middle between two integers."""
    kind, factor = source.choice(BYTES), source.choice(BYTES)
    bias = source.getrandbits(source.randint(1, 30)) + 1
    first, second = (BINARY32.round(scaled(source.getrandbits(24) + 1, -30)) for _ in "ab")
    tie = Fraction(2 * source.randint(0, 128) + 1, 2)
    last = BINARY32.round(bias * BINARY32.value(first) * BINARY32.value(second) / tie)
    bias *= source.choice((1, -1))
    zero = element(source, kind)
    return case(
        Opcode.QUANTIZED_DOT,
        kind,
        (*(factor,) * 4, F32, F32, F32, kind, INT32),
        *((), (), (0,), (0,), (first,), (second,), (last + source.randint(-8, 8),), (zero,)),
        (bias & 0xFFFFFFFF,),
    )


MAKERS: Final = dict(
    zip(OPERATIONS, (quantize, dequantize, integer_dot, quantized_dot), strict=True)
)


def cases(opcode: Opcode, count: int) -> Iterator[Case]:
    source = Random(int(opcode))
    for _ in range(count):
        made = MAKERS[opcode](source)
        if opcode is Opcode.QUANTIZED_DOT and source.random() < 0.4:
            made = quantized_dot_at_a_tie(source)
        if source.random() < 0.04 and all(made.operands):
            made = with_a_fault(source, made)
        yield with_claim(source, made)


@pytest.fixture(scope="module")
def rules(court_chain: Chain) -> Rules:
    return court_chain.rules("QuantisedRules")


@pytest.mark.parametrize("opcode", OPERATIONS)
def test_random_cases(rules: Rules, opcode: Opcode) -> None:
    counts = rules.compare(cases(opcode, case_count()))
    assert all(counts[outcome] > case_count() // 100 for outcome in Outcome), counts


@pytest.mark.parametrize("opcode", [Opcode.INTEGER_DOT, Opcode.QUANTIZED_DOT])
@pytest.mark.parametrize("first", BYTES)
@pytest.mark.parametrize("second", BYTES)
def test_many_taps(rules: Rules, opcode: Opcode, first: ElementType, second: ElementType) -> None:
    """At the ends of the ranges the sum does not fit 32 bits."""
    source = Random(0)
    ends = [(0x7F, 0x80) if kind is ElementType.INT8 else (0xFF, 0) for kind in (first, second)]
    same = tuple((end,) * MANY for end, _ in ends)
    mixed = tuple(tuple(source.randbytes(MANY)) for _ in ends)
    zeros = tuple((other,) for _, other in ends)
    base = case(opcode, INT32, (first, second) * 2, *same, *zeros)
    if opcode is Opcode.QUANTIZED_DOT:
        one = (BINARY32.round(Fraction(1)),)
        large = (BINARY32.round(Fraction(2**24)),)
        more = (one, one, large, (0,))
        kinds = (F32, F32, F32, first)
        base = case(opcode, first, (first, second) * 2 + kinds, *base.operands, *more)
    for operands in (same, mixed):
        asked = replace(base, operands=(*operands, *base.operands[2:]))
        rules.compare(with_claim(source, asked) for _ in range(2))


def test_every_claim_around_a_tie(rules: Rules) -> None:
    """2.5 and its neighbours, for every claim of eight bits: one, two, or saturated."""
    one = BINARY32.round(Fraction(1))
    values = [BINARY32.round(Fraction(5, 2)) + step for step in range(-6, 7)]
    values += [BINARY32.round(Fraction(255, 2)) + step for step in range(-6, 7)]
    for kind in BYTES:
        rules.compare(
            replace(
                case(Opcode.QUANTIZE, kind, (F32, F32, kind), (value,), (one,), (0,)), claimed=claim
            )
            for value in values
            for claim in range(1 << width(kind))
        )


def test_other_operations_are_for_others(rules: Rules) -> None:
    asked = [case(opcode, F32, (F32,), (0,)) for opcode in Opcode if opcode not in OPERATIONS]
    assert {answer.outcome for answer in rules.answers(asked)} == {Outcome.UNDEFINED}
