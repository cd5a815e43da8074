"""ArithmeticRules.sol against rules_arithmetic, rules_unary and rules_cast: the same verdicts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from random import Random
from typing import Final

import pytest

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.binary32 import BINARY32
from oracle.court.case import Case
from oracle.court.verdict import Outcome
from oracle.program.opcode import Opcode
from tests.contracts.elements import (
    INTEGER_KINDS,
    KINDS,
    element,
    related,
    with_a_fault,
    with_claim,
)
from tests.contracts.harness import Chain, Rules, case_count

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(0)]

F32: Final = ElementType.FLOAT32
PAIRS: Final = (Opcode.ADD, Opcode.SUB, Opcode.MUL, Opcode.DIV)
ROUNDED: Final = (Opcode.SQRT, Opcode.FLOOR, Opcode.CEIL, Opcode.ROUND)
SIGNED: Final = (Opcode.NEG, Opcode.ABS, Opcode.SIGN)
EDGES: Final = tuple(
    magnitude ^ sign
    for magnitude in (
        *(0, 1, 2, 3, 0x7FFFFE, 0x7FFFFF, 0x800000, 0x800001, 0xC00000, 0x1000000),
        *(0x33800000, 0x33800001, 0x34000000, 0x3EFFFFFF, 0x3F000000, 0x3F7FFFFF, 0x3F800000),
        *(0x3F800001, 0x3FC00000, 0x40000000, 0x40200000, 0x4B000001, 0x4B7FFFFF, 0x72FFFFFF),
        # Their roots lie above a tie, by less than 2^-22 of the last place.
        *(0x4B5AE03B, 0x4B6E9372),
        *(0x73000000, 0x73800000, 0x7EFFFFFF, 0x7F000000, 0x7F7FFFFF, 0x7F800000, 0x7F800001),
    )
    for sign in (0, BINARY32.sign_bit)
)


def case(opcode: Opcode, kind: ElementType, *operands: int) -> Case:
    kinds = (kind,) * len(operands)
    return Case(opcode, Tier.EXACT, (), kind, kinds, 0, tuple((bits,) for bits in operands))


def finished(source: Random, case: Case) -> Case:
    if source.random() < 0.04:
        case = with_a_fault(source, case)
    return with_claim(source, case)


def pairs(opcode: Opcode, count: int) -> Iterator[Case]:
    source = Random(int(opcode))
    for _ in range(count):
        kind = F32 if source.random() < 0.7 else source.choice(KINDS)
        first = element(source, kind)
        second = related(source, kind, first) if source.random() < 0.3 else element(source, kind)
        if source.random() < 0.5:
            first, second = second, first
        yield finished(source, case(opcode, kind, first, second))


def singles(opcode: Opcode, count: int) -> Iterator[Case]:
    source = Random(int(opcode))
    for _ in range(count):
        likely = F32 if opcode in ROUNDED else source.choice((F32, *INTEGER_KINDS))
        kind = likely if source.random() < 0.9 else source.choice(KINDS)
        yield finished(source, case(opcode, kind, element(source, kind)))


def casts(count: int) -> Iterator[Case]:
    source = Random(int(Opcode.CAST))
    for _ in range(count):
        kind, target = source.choice(KINDS), source.choice(KINDS)
        operands = ((element(source, kind),),)
        base = Case(Opcode.CAST, Tier.EXACT, (), target, (kind,), 0, operands)
        yield finished(source, base)


@pytest.fixture(scope="module")
def rules(court_chain: Chain) -> Rules:
    return court_chain.rules("ArithmeticRules")


@pytest.mark.parametrize("opcode", PAIRS)
def test_random_pairs(rules: Rules, opcode: Opcode) -> None:
    counts = rules.compare(pairs(opcode, case_count()))
    assert all(counts[outcome] > case_count() // 20 for outcome in Outcome), counts


@pytest.mark.parametrize("opcode", [*ROUNDED, *SIGNED])
def test_random_singles(rules: Rules, opcode: Opcode) -> None:
    counts = rules.compare(singles(opcode, case_count()))
    assert all(counts[outcome] > case_count() // 50 for outcome in Outcome), counts


def test_random_casts(rules: Rules) -> None:
    counts = rules.compare(casts(case_count()))
    assert all(counts[outcome] > case_count() // 20 for outcome in Outcome), counts


@pytest.mark.parametrize("opcode", PAIRS)
def test_every_pair_of_edges(rules: Rules, opcode: Opcode) -> None:
    source = Random(0)
    rules.compare(
        with_claim(source, case(opcode, F32, *operands))
        for operands in itertools.product(EDGES, repeat=2)
    )


@pytest.mark.parametrize("opcode", [*ROUNDED, *SIGNED])
def test_every_edge(rules: Rules, opcode: Opcode) -> None:
    source = Random(0)
    rules.compare(with_claim(source, case(opcode, F32, bits)) for bits in EDGES for _ in range(10))


def test_other_operations_are_for_others(rules: Rules) -> None:
    ours = {*PAIRS, *ROUNDED, *SIGNED, Opcode.CAST}
    others = [case(opcode, F32, 0, 0) for opcode in Opcode if opcode not in ours]
    assert {answer.outcome for answer in rules.answers(others)} == {Outcome.UNDEFINED}
