"""ElementaryRules.sol against rules_elementary.py: the same verdict on every case."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Final

import pytest

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.binary32 import BINARY32, scaled
from oracle.court.case import Case
from oracle.court.elementary import FUNCTIONS
from oracle.court.rules_elementary import tolerance
from oracle.court.verdict import Outcome
from oracle.program.opcode import Opcode
from tests.contracts.harness import Chain, Rules, case_count
from tests.support import elementary_vectors
from tests.support.elementary_vectors import TURNING_POINTS

pytestmark = pytest.mark.anvil

F32: Final = ElementType.FLOAT32
SIGN: Final = BINARY32.sign_bit
NAN: Final = BINARY32.infinity + 1
NEVER_FLOAT32: Final = tuple(kind for kind in ElementType if kind is not F32)


def bits(value: float) -> int:
    return int.from_bytes(struct.pack("<f", value), "little")


def any_bits(random: random.Random) -> int:
    return random.getrandbits(32)


def near_a_turning_point(random: random.Random) -> int:
    step = random.choice((0, 0, 1, -1, 2, -2, random.randint(-1000, 1000)))
    return max(random.choice(TURNING_POINTS) + step, 0) ^ random.choice((0, SIGN))


def subnormal(random: random.Random) -> int:
    return random.getrandbits(random.randint(0, 23)) | random.choice((0, SIGN))


def small(random: random.Random) -> int:
    """Near 1 as well, where the logarithm is small."""
    return bits(random.choice((0.0, 0.0, 1.0)) + random.gauss(0, 1) * 2.0 ** random.randint(-40, 0))


def moderate(random: random.Random) -> int:
    limit = random.choice((1, 3, 7, 20, 110, 210))
    return bits(random.uniform(-limit, limit))


def not_finite(random: random.Random) -> int:
    return BINARY32.infinity + random.choice((0, 1, random.getrandbits(23))) | random.choice(
        (0, SIGN)
    )


OPERANDS: Final = (any_bits, near_a_turning_point, subnormal, small, moderate, moderate, not_finite)


def claim_at_the_bound(random: random.Random, exact: Fraction, bound: Fraction) -> int:
    """The float32 nearest to where WITHIN ends, or one of its neighbours."""
    edge = BINARY32.round(exact + random.choice((-1, 1)) * bound)
    magnitude = BINARY32.magnitude(edge) + random.randint(-2, 2)
    return min(max(magnitude, 0), BINARY32.infinity) | (edge & SIGN)


def claim_inside(random: random.Random, exact: Fraction, bound: Fraction) -> int:
    return BINARY32.round(exact + bound * random.randint(-999, 999) / 1000)


def claim_of_another_size(random: random.Random, exact: Fraction, bound: Fraction) -> int:
    return BINARY32.round(exact * scaled(1, random.randint(-4, 4)))


def claim_of_other_sign(random: random.Random, exact: Fraction, bound: Fraction) -> int:
    return BINARY32.round(exact) ^ SIGN


def special_claim(random: random.Random, exact: Fraction, bound: Fraction) -> int:
    found = (0, 1, 2, 0x7FFFFF, 0x800000, BINARY32.infinity - 1, BINARY32.infinity, NAN)
    return random.choice(found) | random.choice((0, SIGN))


def any_claim(random: random.Random, exact: Fraction, bound: Fraction) -> int:
    return random.getrandbits(32)


CLAIMS: Final[tuple[Callable[[random.Random, Fraction, Fraction], int], ...]] = (
    claim_at_the_bound,
    claim_at_the_bound,
    claim_at_the_bound,
    claim_inside,
    claim_of_another_size,
    claim_of_other_sign,
    special_claim,
    any_claim,
)


def has_value(opcode: Opcode, operand: int) -> bool:
    positive = not BINARY32.is_negative(operand) and not BINARY32.is_zero(operand)
    return BINARY32.is_finite(operand) and (positive or opcode is not Opcode.LOG)


def case(opcode: Opcode, operand: int, claimed: int) -> Case:
    return Case(opcode, Tier.NATIVE, (), F32, (F32,), claimed, ((operand,),))


def cases(opcode: Opcode, count: int, seed: int) -> Iterator[Case]:
    source = random.Random(seed)
    for _ in range(count):
        operand = source.choice(OPERANDS)(source)
        if opcode is Opcode.LOG and source.random() < 0.9:
            operand &= ~SIGN
        exact, bound = Fraction(0), Fraction(0)
        if has_value(opcode, operand):
            exact = scaled(*FUNCTIONS[opcode](operand))
            bound = tolerance(opcode, exact)
        claimed = source.choice(CLAIMS)(source, exact, bound)
        yield case(opcode, operand, claimed)


@pytest.fixture(scope="module")
def rules(court_chain: Chain) -> Rules:
    return court_chain.rules("ElementaryRules")


@pytest.mark.timeout(0)
@pytest.mark.parametrize("opcode", FUNCTIONS)
def test_random_cases(rules: Rules, opcode: Opcode) -> None:
    count = -(-case_count() // len(FUNCTIONS))
    verdicts = rules.compare(cases(opcode, count, seed=int(opcode)))
    assert all(verdicts[outcome] > count // 100 for outcome in Outcome), verdicts


@pytest.mark.parametrize("opcode", FUNCTIONS)
def test_every_turning_point_with_every_special_claim(rules: Rules, opcode: Opcode) -> None:
    operands = [raw ^ sign for raw in (*TURNING_POINTS, 1, NAN) for sign in (0, SIGN)]
    claims = (0, 1, 0x7FFFFF, 0x800000, BINARY32.infinity - 1, BINARY32.infinity, NAN)
    rules.compare(
        case(opcode, operand, claimed ^ sign)
        for operand in operands
        for claimed in claims
        for sign in (0, SIGN)
    )


def test_only_float32_has_a_rule(rules: Rules) -> None:
    base = case(Opcode.EXP, 0, bits(1.0))
    assert rules.answers([base])[0].outcome is Outcome.WITHIN
    silent = [replace(base, output_type=kind, claimed=0) for kind in NEVER_FLOAT32]
    silent += [replace(base, operand_types=(kind,)) for kind in NEVER_FLOAT32]
    silent += [replace(base, operands=((None,),))]
    assert rules.compare(silent) == {Outcome.UNDEFINED: len(silent)}


def test_the_vectors_for_forge_are_current() -> None:
    current = elementary_vectors.text()
    assert elementary_vectors.FILE.read_text() == current, (
        f"run python -m {elementary_vectors.__name__}"
    )
