"""SelectionRules.sol against rules_selection, NOT and the SUM of integers: the same verdicts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Final

import pytest

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.case import Bits, Case, Taps
from oracle.court.number import FORMATS, width
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

BOOL: Final = ElementType.BOOL
COMPARED: Final = (Opcode.LESS, Opcode.LESS_EQUAL, Opcode.EQUAL)
LOGIC: Final = (Opcode.NOT, Opcode.AND, Opcode.OR, Opcode.XOR)
NUMBERS: Final = (Opcode.ARGMAX, Opcode.ARGMIN, Opcode.TOPK_INDEX)
VALUES: Final = (Opcode.REDUCE_MAX, Opcode.REDUCE_MIN, Opcode.TOPK_VALUE)
OPERATIONS: Final = (
    *(Opcode.COPY, Opcode.MAX, Opcode.MIN, Opcode.WHERE, Opcode.GATHER, Opcode.TREE, Opcode.SUM),
    *(*COMPARED, *LOGIC, *NUMBERS, *VALUES),
)
MANY: Final = 5_000
"""Taps; no whole number of words of any type."""


def case(opcode: Opcode, target: ElementType, kinds: list[ElementType], *operands: Taps) -> Case:
    return Case(opcode, Tier.EXACT, (), target, tuple(kinds), 0, operands)


def random_case(source: Random, opcode: Opcode) -> Case:
    kind = source.choice(KINDS)
    first = element(source, kind)
    second = related(source, kind, first) if source.random() < 0.5 else element(source, kind)
    match opcode:
        case Opcode.COPY:
            return copy_case(source, kind)
        case Opcode.MAX | Opcode.MIN:
            return case(opcode, kind, [kind, kind], (first,), (second,))
        case Opcode.WHERE:
            condition = (element(source, BOOL),)
            return case(opcode, kind, [BOOL, kind, kind], condition, (first,), (second,))
        case Opcode.GATHER | Opcode.TREE:
            return case(opcode, kind, [kind], (first,))
        case Opcode.SUM:
            kind = source.choice(INTEGER_KINDS)
            return case(opcode, kind, [kind], tuple(taps(source, kind, 0.1)))
        case Opcode.NOT:
            return case(opcode, BOOL, [BOOL], (element(source, BOOL),))
        case Opcode.AND | Opcode.OR | Opcode.XOR:
            return case(opcode, BOOL, [BOOL, BOOL], *((element(source, BOOL),) for _ in "ab"))
        case Opcode.LESS | Opcode.LESS_EQUAL | Opcode.EQUAL:
            return case(opcode, BOOL, [kind, kind], (first,), (second,))
        case _:
            return choice_case(source, opcode, kind)


def copy_case(source: Random, kind: ElementType) -> Case:
    count = source.randint(1, 5)
    operands = [(None if source.random() < 0.6 else element(source, kind),) for _ in range(count)]
    fill = (source.choice((0, 1, -1, -(2**31), 2**31 - 1, source.getrandbits(31))),)
    base = case(Opcode.COPY, kind, [kind] * count, *operands)
    return replace(base, attributes=fill if source.random() < 0.6 else ())


def taps(source: Random, kind: ElementType, missing: float) -> list[Bits | None]:
    """Few values, so that there are equals and ties; sometimes none that is not a number."""
    pool = [element(source, kind) for _ in range(source.randint(1, 12))]
    pool += [related(source, kind, pool[0]) for _ in range(2)]
    if kind.is_float and source.random() < 0.9:
        pool = [bits for bits in pool if not FORMATS[kind].is_nan(bits)] or [0]
    count = source.choice((0, 1, 2, 7, 31, 32, 33, source.randint(0, 130)))
    return [None if source.random() < missing else source.choice(pool) for _ in range(count)]


def choice_case(source: Random, opcode: Opcode, kind: ElementType) -> Case:
    values = taps(source, kind, source.choice((0, 0, 0.3)))
    target = ElementType.INT64 if opcode in NUMBERS else kind
    rank = source.choice((0, 0, 1, source.randint(0, 130)))
    base = case(opcode, target, [kind], tuple(values))
    return replace(base, attributes=(source.choice((0, 1, 1, -1, 2)),), rank=rank)


def finished(source: Random, case: Case) -> Case:
    if source.random() < 0.04 and case.operands[0]:
        case = with_a_fault(source, case)
    case = with_claim(source, case)
    if case.opcode in (*NUMBERS, *VALUES) and source.random() < 0.4:
        # One of the taps, or its number: wrong for a reason that is nearly right.
        number = source.randrange(max(len(case.operands[0]), 1))
        if case.opcode in VALUES:
            number = next(itertools.chain(filter(None, case.operands[0][number:]), [0]))
        case = replace(case, claimed=number & ((1 << width(case.output_type)) - 1))
    return case


def cases(opcode: Opcode, count: int) -> Iterator[Case]:
    source = Random(int(opcode))
    for _ in range(count):
        yield finished(source, random_case(source, opcode))


@pytest.fixture(scope="module")
def rules(court_chain: Chain) -> Rules:
    return court_chain.rules("SelectionRules")


@pytest.mark.parametrize("opcode", OPERATIONS)
def test_random_cases(rules: Rules, opcode: Opcode) -> None:
    counts = rules.compare(cases(opcode, case_count()))
    assert all(counts[outcome] > case_count() // 100 for outcome in Outcome), counts


@pytest.mark.parametrize("opcode", [*NUMBERS, *VALUES, Opcode.SUM])
@pytest.mark.parametrize("kind", KINDS)
def test_many_taps(rules: Rules, opcode: Opcode, kind: ElementType) -> None:
    source = Random(int(opcode))
    pool = [bits for bits in (element(source, kind) for _ in range(400)) if not _is_nan(kind, bits)]
    values = tuple(source.choice(pool) for _ in range(MANY))
    target = ElementType.INT64 if opcode in NUMBERS else kind
    base = replace(case(opcode, target, [kind], values), attributes=(1,), rank=MANY // 2)
    rules.compare(with_claim(source, base) for _ in range(6))


@pytest.mark.parametrize("opcode", [*NUMBERS, *VALUES, Opcode.SUM])
@pytest.mark.parametrize("equals", [255 * 32, 256 * 32, 257 * 32 + 1, 20_000])
def test_equal_bytes_beyond_what_a_byte_counts(rules: Rules, opcode: Opcode, equals: int) -> None:
    kind = ElementType.UINT8
    target = ElementType.INT64 if opcode in NUMBERS else kind
    base = replace(case(opcode, target, [kind], (200,) * equals), attributes=(1,), rank=equals - 1)
    claims = (0, equals - 1, equals - 2, equals) if opcode in NUMBERS else (199, 200, 201)
    rules.compare(replace(base, claimed=claimed) for claimed in claims)


@pytest.mark.parametrize("opcode", [*COMPARED, *LOGIC])
def test_a_bool_of_other_bits_is_true_but_not_a_claim(rules: Rules, opcode: Opcode) -> None:
    bytes_ = (0, 1, 2, 128, 255)
    count = 1 if opcode is Opcode.NOT else 2
    counts = rules.compare(
        replace(
            case(opcode, BOOL, [BOOL] * count, *((bits,) for bits in operands)), claimed=claimed
        )
        for operands in itertools.product(bytes_, repeat=count)
        for claimed in bytes_
    )
    assert not counts[Outcome.UNDEFINED], counts


def test_other_operations_are_for_others(rules: Rules) -> None:
    others = [opcode for opcode in Opcode if opcode not in OPERATIONS]
    kind = ElementType.FLOAT32
    asked = [case(opcode, kind, [kind, kind], (0,), (0,)) for opcode in others]
    answers = rules.answers([*asked, case(Opcode.SUM, kind, [kind], (0,))])
    assert {answer.outcome for answer in answers} == {Outcome.UNDEFINED}


def _is_nan(kind: ElementType, bits: Bits) -> bool:
    return kind.is_float and FORMATS[kind].is_nan(bits)
