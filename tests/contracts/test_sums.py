"""SumRules.sol against rules_linear.py: the same verdict on every sum in any order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.binary32 import BINARY32, scaled
from oracle.court.case import Bits, Case
from oracle.court.judge import judge
from oracle.court.verdict import Outcome
from oracle.program.opcode import Opcode
from tests.contracts.harness import Chain, case_count

pytestmark = pytest.mark.anvil

F32: Final = ElementType.FLOAT32
SIGN: Final = BINARY32.sign_bit
TIERS: Final = (Tier.ROUNDED, Tier.NATIVE, Tier.ROUNDED, Tier.NATIVE, Tier.EXACT, Tier.UNPROVEN)
COUNTS: Final = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 40, 64)


def float_of(random: random.Random, exponents: range) -> Bits:
    """A number whose exponent field lies in the range."""
    return random.choice(exponents) << 23 | random.getrandbits(23) | random.choice((0, SIGN))


def uniform(random: random.Random, count: int) -> list[Bits]:
    return [float_of(random, range(118, 130)) for _ in range(count)]


def any_size(random: random.Random, count: int) -> list[Bits]:
    return [float_of(random, range(0, 255)) for _ in range(count)]


def tiny(random: random.Random, count: int) -> list[Bits]:
    return [float_of(random, range(0, 40)) for _ in range(count)]


def huge(random: random.Random, count: int) -> list[Bits]:
    return [float_of(random, range(170, 255)) for _ in range(count)]


def sparse(random: random.Random, count: int) -> list[Bits]:
    """Zeros of both signs, and few others."""
    rest = any_size(random, count)
    return [bits if random.random() < 0.2 else random.choice((0, SIGN)) for bits in rest]


def cancelling(random: random.Random, count: int) -> list[Bits]:
    """Every other number takes away the one before it, or nearly."""
    found = any_size(random, count)
    for place in range(1, count, 2):
        found[place] = found[place - 1] ^ SIGN ^ random.choice((0, 0, 1))
    return found


def constant(random: random.Random, count: int) -> list[Bits]:
    return [float_of(random, range(100, 150))] * count


def special(random: random.Random, count: int) -> list[Bits]:
    found = uniform(random, count)
    if count and random.random() < 0.5:
        found[random.randrange(count)] = BINARY32.infinity | random.choice((0, 1, SIGN))
    return found


KINDS: Final = (uniform, uniform, any_size, tiny, huge, sparse, cancelling, constant, special)


def dots(random: random.Random) -> Case:
    count = random.choice(COUNTS)
    first = random.choice(KINDS)(random, count)
    second = (
        constant(random, count) if random.random() < 0.3 else random.choice(KINDS)(random, count)
    )
    operands = [first, second]
    if random.random() < 0.5:
        operands.append([float_of(random, range(random.choice((1, 100, 250)), 255))])
    return case(random, Opcode.DOT, operands, ())


def sums(random: random.Random) -> Case:
    operand = random.choice(KINDS)(random, random.choice(COUNTS))
    return case(random, Opcode.SUM, [operand], ())


def means(random: random.Random) -> Case:
    operand = random.choice(KINDS)(random, random.choice(COUNTS))
    divisor = random.choice((0, 0, len(operand), 3, 1 << 24, (1 << 24) + 1, -1))
    return case(random, Opcode.MEAN, [operand], (divisor,))


def case(
    random: random.Random, opcode: Opcode, operands: list[list[Bits]], attributes: tuple[int, ...]
) -> Case:
    """A case with some claim."""
    taps: list[tuple[Bits | None, ...]] = [tuple(operand) for operand in operands]
    if opcode is Opcode.DOT and len(operands[0]) > 2 and random.random() < 0.2:
        padding = random.randrange(len(operands[0]))
        taps[0] = (*taps[0][:padding], None, *taps[0][padding + 1 :])
    return Case(
        opcode=opcode,
        tier=random.choice(TIERS),
        attributes=attributes,
        output_type=F32,
        operand_types=(F32,) * len(operands),
        claimed=BINARY32.infinity | random.choice((0, SIGN, 1)),
        operands=tuple(taps),
    )


def claims(random: random.Random, found: Case) -> Iterator[Case]:
    """The case as it is, and with claims at the end of what is within, and elsewhere."""
    yield found
    verdict = judge(found)
    if verdict.exact is None:
        return
    for sign in (-1, 1):
        edge = BINARY32.round(verdict.exact + sign * verdict.bound)
        magnitude = BINARY32.magnitude(edge) + random.randint(-1, 1)
        yield replace(found, claimed=min(max(magnitude, 0), BINARY32.infinity) | edge & SIGN)
    yield replace(found, claimed=BINARY32.round(verdict.exact))
    far = BINARY32.round(verdict.exact * scaled(1, random.randint(-4, 4)))
    yield replace(found, claimed=random.choice((far, far ^ SIGN, 0, SIGN, 1, 0x7F7FFFFF)))


@pytest.mark.parametrize("family", [dots, sums, means])
def test_contract_and_python_agree(court_chain: Chain, family: object) -> None:
    assert callable(family)
    seed = random.Random(family.__name__)
    rules = court_chain.rules("SumRules")
    wanted = case_count()

    def cases() -> Iterator[Case]:
        made = 0
        while made < wanted:
            for one in claims(seed, family(seed)):
                made += 1
                yield one

    counts = rules.compare(cases())
    # No verdict is a formality.
    assert min(counts[outcome] for outcome in Outcome) > wanted // 100, counts


@pytest.mark.parametrize("count", [512, 4608, 8192])
def test_long_rows(court_chain: Chain, count: int) -> None:
    seed = random.Random(count)
    rules = court_chain.rules("SumRules")
    cases: list[Case] = []
    for kind in (uniform, any_size, cancelling):
        operands = [kind(seed, count), uniform(seed, count)]
        cases += claims(seed, replace(case(seed, Opcode.DOT, operands, ()), tier=Tier.NATIVE))
    assert rules.compare(cases).total() == len(cases)
