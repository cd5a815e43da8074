"""DOT, SUM and MEAN: honest sums in any order are within, claims beyond twice the bound are not."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.core.types import Tier
from oracle.court.case import Case
from oracle.court.judge import judge
from oracle.program.opcode import Opcode
from tests.court.cases import (
    INF,
    LARGEST,
    NAN,
    SUBNORMAL,
    UNDEFINED,
    VIOLATED,
    WITHIN,
    beyond,
    bits,
    case,
    outcome,
    verdict,
)

Array = Any
BOTH = (Tier.ROUNDED, Tier.NATIVE)


def in_order(terms: Array, order: Array, dtype: Any) -> Any:
    total = dtype(0)
    for term in terms[order]:
        total = dtype(total + term)
    return total


def pairwise(terms: Array, dtype: Any) -> Any:
    while terms.size > 1:
        if terms.size % 2:
            terms = np.append(terms, dtype(0))
        terms = (terms[0::2] + terms[1::2]).astype(dtype)
    return dtype(terms[0])


def honest_sums(a: Array, b: Array, dtype: Any) -> list[Any]:
    """The same dot product as four machines might sum it, rounded once to float32 at the end."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        terms = a.astype(dtype) * b.astype(dtype)
        forward = np.arange(a.size)
        by_size = np.argsort(np.abs(terms))
        sums = [
            in_order(terms, forward, dtype),
            in_order(terms, forward[::-1], dtype),
            in_order(terms, by_size, dtype),
            pairwise(terms, dtype),
            dtype(np.dot(a.astype(dtype), b.astype(dtype))),
        ]
        return [np.float32(value) for value in sums]


def operands(kind: str, count: int, generator: np.random.Generator) -> tuple[Array, Array]:
    a = generator.normal(size=count).astype(np.float32)
    b = generator.normal(size=count).astype(np.float32)
    match kind:
        case "constant":
            a[:], b[:] = np.float32(0.1), np.float32(0.7)
        case "cancelling":
            half = count // 2
            scale = np.float32(1e4)
            a[half : 2 * half], b[half : 2 * half] = a[:half] * scale, -b[:half]
            a[:half] *= scale
            if count > 1:
                a[-1] = np.float32(1e-6)
        case "subnormal":
            a = (a * np.float32(1e-21)).astype(np.float32)
            b = (b * np.float32(1e-21)).astype(np.float32)
        case "wide":
            a *= np.exp2(generator.integers(-60, 60, count)).astype(np.float32)
            b *= np.exp2(generator.integers(-60, 60, count)).astype(np.float32)
    return a, b


KINDS = ("random", "constant", "cancelling", "subnormal", "wide")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 3, 17, 400])
@pytest.mark.parametrize("tier", BOTH)
def test_any_order_is_within_and_twice_the_bound_is_not(kind: str, count: int, tier: Tier) -> None:
    generator = np.random.default_rng([count, int(tier), KINDS.index(kind)])
    dtype = np.float64 if tier is Tier.ROUNDED else np.float32
    a, b = operands(kind, count, generator)
    pairs = zip(a.tolist(), b.tolist(), strict=True)
    terms = [Fraction(x) * Fraction(y) for x, y in pairs]
    exact, largest = sum(terms, Fraction()), max(map(abs, terms))
    for claimed in honest_sums(a, b, dtype):
        found = verdict(Opcode.DOT, claimed, a, b, tier=tier)
        assert found.outcome is WITHIN, found
        assert found.exact is not None
        assert abs(found.exact - exact) <= largest * count * Fraction(1, 2**140)
        for moved in beyond(claimed, found):
            assert outcome(Opcode.DOT, moved, a, b, tier=tier) is VIOLATED


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.floats(width=32, allow_nan=False), st.floats(width=32, allow_nan=False)),
        max_size=12,
    ),
    st.floats(width=32, allow_nan=False),
)
def test_rounded_never_convicts_float64(pairs: list[tuple[float, float]], c: float) -> None:
    a = np.array([x for x, _ in pairs], dtype=np.float32)
    b = np.array([y for _, y in pairs], dtype=np.float32)
    total = np.float64(c)
    with np.errstate(all="ignore"):
        for x, y in zip(a.astype(np.float64), b.astype(np.float64), strict=True):
            total = total + x * y
        claimed = np.float32(total)
    expected = WITHIN if np.all(np.isfinite([*a, *b, np.float32(c)])) else UNDEFINED
    assert outcome(Opcode.DOT, claimed, a, b, np.float32(c)) is expected


@pytest.mark.parametrize("tier", BOTH)
def test_a_bias_belongs_to_the_sum(tier: Tier) -> None:
    generator = np.random.default_rng(8)
    a, b = operands("random", 40, generator)
    c = np.float32(1000.1)
    dtype = np.float64 if tier is Tier.ROUNDED else np.float32
    claimed = np.float32(np.dot(a.astype(dtype), b.astype(dtype)) + dtype(c))
    found = verdict(Opcode.DOT, claimed, a, b, c, tier=tier)
    assert found.outcome is WITHIN
    without = np.float32(claimed - c)
    assert outcome(Opcode.DOT, without, a, b, c, tier=tier) is VIOLATED


def test_padding_does_not_count() -> None:
    ones = np.ones(3, dtype=np.float32)
    found = case(Opcode.DOT, np.float32(2), ones, ones)
    (a, b) = found.operands
    padded = Case(**{**vars_of(found), "operands": ((a[0], None, a[2]), b)})
    assert judge(padded).outcome is WITHIN
    nothing = Case(**{**vars_of(found), "claimed": 0, "operands": ((None,) * 3, b)})
    assert judge(nothing).outcome is WITHIN
    mean = case(Opcode.MEAN, np.float32(1), ones, attributes=(0,))
    assert judge(Case(**{**vars_of(mean), "operands": ((a[0], None, a[2]),)})).outcome is WITHIN
    assert judge(Case(**{**vars_of(mean), "operands": ((None, None),)})).outcome is UNDEFINED


def vars_of(found: Case) -> dict[str, Any]:
    return {name: getattr(found, name) for name in Case.__slots__}


@pytest.mark.parametrize("tier", BOTH)
@pytest.mark.parametrize("kind", KINDS)
def test_sums_and_means(tier: Tier, kind: str) -> None:
    generator = np.random.default_rng(3)
    dtype = np.float64 if tier is Tier.ROUNDED else np.float32
    for count in (1, 2, 49, 1000):
        a, _ = operands(kind, count, generator)
        for total in (
            in_order(a.astype(dtype), np.arange(count), dtype),
            pairwise(a.astype(dtype), dtype),
        ):
            claims = [(Opcode.SUM, np.float32(total), ())]
            for divisor in (0, count + 3):
                n = dtype(divisor or count)
                claims.append((Opcode.MEAN, np.float32(dtype(total) / n), (divisor,)))
                product = dtype(total) * dtype(dtype(1) / n)
                claims.append((Opcode.MEAN, np.float32(product), (divisor,)))
            for opcode, claimed, attributes in claims:
                found = verdict(opcode, claimed, a, attributes=attributes, tier=tier)
                assert found.outcome is WITHIN, (opcode, found)
                for moved in beyond(claimed, found):
                    again = verdict(opcode, moved, a, attributes=attributes, tier=tier)
                    assert again.outcome is VIOLATED


def test_integer_sums_are_modular() -> None:
    a = np.array([2**31 - 1, 2, -5], dtype=np.int32)
    with np.errstate(over="ignore"):
        claimed = a.sum(dtype=np.int32)
    assert outcome(Opcode.SUM, claimed, a) is WITHIN
    assert outcome(Opcode.SUM, claimed + np.int32(1), a) is VIOLATED


class TestSpecialValues:
    """R0."""

    ONE = np.ones(2, dtype=np.float32)

    @pytest.mark.parametrize("special", [NAN, INF, -INF])
    @pytest.mark.parametrize("tier", BOTH)
    def test_operands_that_are_not_finite(self, special: np.float32, tier: Tier) -> None:
        a = np.array([1, special], dtype=np.float32)
        assert outcome(Opcode.DOT, NAN, a, self.ONE, tier=tier) is UNDEFINED
        assert outcome(Opcode.DOT, 0.0, self.ONE, self.ONE, special, tier=tier) is UNDEFINED
        assert outcome(Opcode.SUM, NAN, a, tier=tier) is UNDEFINED
        assert outcome(Opcode.MEAN, 1.0, a, attributes=(0,), tier=tier) is UNDEFINED

    @pytest.mark.parametrize("claimed", [NAN, INF, -INF])
    @pytest.mark.parametrize("tier", BOTH)
    def test_claims_that_nothing_explains(self, claimed: np.float32, tier: Tier) -> None:
        assert outcome(Opcode.DOT, claimed, self.ONE, self.ONE, tier=tier) is VIOLATED

    def test_overflow(self) -> None:
        huge = np.array([LARGEST, LARGEST], dtype=np.float32)
        assert outcome(Opcode.SUM, INF, huge, tier=Tier.ROUNDED) is WITHIN
        assert outcome(Opcode.SUM, -INF, huge, tier=Tier.ROUNDED) is VIOLATED
        assert outcome(Opcode.SUM, LARGEST, huge, tier=Tier.ROUNDED) is VIOLATED
        assert outcome(Opcode.SUM, INF, huge, tier=Tier.NATIVE) is UNDEFINED
        mixed = np.array([LARGEST, LARGEST, -LARGEST], dtype=np.float32)
        assert outcome(Opcode.SUM, LARGEST, mixed, tier=Tier.ROUNDED) is WITHIN
        assert outcome(Opcode.SUM, INF, mixed, tier=Tier.ROUNDED) is VIOLATED
        assert outcome(Opcode.SUM, INF, mixed, tier=Tier.NATIVE) is UNDEFINED

    def test_the_threshold_of_infinity(self) -> None:
        nearly = np.array([LARGEST, np.float32(2.0**102)], dtype=np.float32)
        assert outcome(Opcode.SUM, LARGEST, nearly) is WITHIN
        assert outcome(Opcode.SUM, INF, nearly) is VIOLATED
        exactly = np.array([LARGEST, np.float32(2.0**103)], dtype=np.float32)
        assert outcome(Opcode.SUM, INF, exactly) is WITHIN
        assert outcome(Opcode.SUM, LARGEST, exactly) is WITHIN  # the tie: either neighbour

    def test_subnormals_are_numbers(self) -> None:
        a = np.array([SUBNORMAL, 1], dtype=np.float32)
        zero_one = np.array([1, 0], dtype=np.float32)
        for tier in BOTH:
            assert outcome(Opcode.DOT, SUBNORMAL, a, zero_one, tier=tier) is WITHIN
        assert outcome(Opcode.DOT, np.float32(-0.0), a, zero_one * 0) is WITHIN

    def test_what_the_court_does_not_say(self) -> None:
        assert outcome(Opcode.DOT, 5.0, self.ONE, self.ONE, tier=Tier.UNPROVEN) is UNDEFINED
        wide = self.ONE.astype(np.float64)
        assert outcome(Opcode.DOT, 2.0, wide, wide) is UNDEFINED
        assert outcome(Opcode.MEAN, np.int32(1), np.ones(2, np.int32), attributes=(0,)) is UNDEFINED


def test_a_long_constant_vector() -> None:
    """float32 in order, 25,088 equal terms: 71.5 u·S, the worst that was met in practice."""
    a = np.full(25088, 0.1, dtype=np.float32)
    claimed = np.float32(0)
    for value in (a * np.float32(0.7)).tolist():
        claimed = np.float32(claimed + np.float32(value))
    found = verdict(Opcode.DOT, claimed, a, np.full_like(a, 0.7), tier=Tier.NATIVE)
    assert found.outcome is WITHIN
    assert found.exact is not None
    assert abs(Fraction(float(claimed)) - found.exact) > found.exact * 20 / 2**24
    assert bits(claimed) != bits(np.float32(found.exact))
    assert outcome(Opcode.DOT, claimed, a, np.full_like(a, 0.7), tier=Tier.ROUNDED) is VIOLATED
