"""Section 5 of docs/court.md written again as a contract must: no number leaves a 256-bit word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oracle.core.types import Tier
from oracle.court.binary32 import BINARY32
from oracle.court.verdict import Outcome
from oracle.program.opcode import Opcode
from tests.court.cases import INF, LARGEST, NAN, UNDEFINED, VIOLATED, WITHIN, bits_of, outcome


def word(value: int) -> int:
    assert -(2**255) <= value < 2**255
    return value


def ceiling(numerator: int, denominator: int) -> int:
    return word(word(numerator) + word(denominator) - 1) // denominator


def judged(
    claimed: int,
    terms: list[tuple[int, int]],
    count: int,
    divisor: int,
    native: tuple[int, int] | int,
) -> Outcome:
    """`native` is (r, z) in the NATIVE tier, otherwise w."""
    highest = max((q for p, q in terms if p), default=-298)
    g = max(highest - 144, -298)
    total = size = lost = 0
    for p, q in terms:
        t = word(abs(p) << (q - g)) if q >= g else (abs(p) >> min(g - q, 255))
        lost += 1 if p and q < g else 0
        total = word(total + (t if p > 0 else -t))
        size = word(size + t)
    size += lost
    if isinstance(native, tuple):
        r, z = native
        left = 2**24 - r
        if 104 - g <= 193 and word(size << 24) >= word(word((2**24 - 1) << (104 - g)) * left):
            return UNDEFINED
        tiny = ceiling(1 << 149, 1 << min(g + 298, 254)) if g + 298 < 150 else 1
        error = word(ceiling(r * size, left) + z * divisor * tiny)
    else:
        error = ceiling(native * size, 1 << 53)
    bound = word(error + lost)
    if BINARY32.is_nan(claimed):
        return VIOLATED
    negative = BINARY32.is_negative(claimed)
    if BINARY32.is_infinite(claimed):
        if 103 - g > 192:
            return VIOLATED
        signed = -total if negative else total
        threshold = word(divisor * word((2**25 - 1) << (103 - g)))
        return WITHIN if word(signed + bound) >= threshold else VIOLATED
    m, e = BINARY32.decode(claimed)
    if abs(m).bit_length() + e - g > 224:
        return VIOLATED
    y = word(abs(m) << (e - g)) if e >= g else (abs(m) >> min(g - e, 255))
    if e < g:
        bound += divisor
    if not isinstance(native, tuple):
        bound += divisor * (1 << (e - 1 - g) if e - 1 >= g else 1)
    distance = abs(word(divisor * (-y if negative else y) - total))
    return WITHIN if distance <= word(bound) else VIOLATED


def spread(generator: np.random.Generator, count: int, span: int) -> Any:
    exponents = generator.integers(-span, span + 1, count)
    with np.errstate(over="ignore", under="ignore"):
        values = (generator.normal(size=count) * np.exp2(exponents)).astype(np.float32)
    return np.clip(values, -LARGEST, LARGEST) * generator.choice([0, 1, 1, 1], count)


def claims(exact: float, generator: np.random.Generator) -> list[np.float32]:
    with np.errstate(over="ignore"):
        middle = np.float32(exact)
        around = middle.view(np.int32) + generator.integers(-3, 4, 6, dtype=np.int32)
        return [
            middle,
            *around.view(np.float32),
            *(np.float32(exact * factor) for factor in (0.0, 1 + 1e-6, 1 - 1e-4, 2.0)),
            *(INF, -INF, NAN, LARGEST, -LARGEST, np.float32(1e-45)),
            *(np.float32(x) for x in (1e-20, 1.0, -1e20)),
        ]


@pytest.mark.parametrize("tier", [Tier.ROUNDED, Tier.NATIVE])
@pytest.mark.parametrize("span", [0, 5, 60, 126])
@pytest.mark.parametrize("count", [0, 1, 4, 40])
def test_both_implementations_agree(tier: Tier, span: int, count: int) -> None:
    generator = np.random.default_rng([span, count, int(tier)])
    for _ in range(3):
        a, b = (spread(generator, count, span).astype(np.float32) for _ in range(2))
        c = spread(generator, 1, span).astype(np.float32)
        decoded = [[BINARY32.decode(raw) for raw in bits_of(x)] for x in (a, b, c)]
        products = [(p[0] * q[0], p[1] + q[1]) for p, q in zip(decoded[0], decoded[1], strict=True)]
        exact = float(np.dot(a.astype(np.float64), b.astype(np.float64)))
        native = tier is Tier.NATIVE
        for claimed in claims(exact, generator):
            (raw,) = bits_of(claimed)
            mine = judged(raw, products, count, 1, (count, count) if native else count + 1)
            assert outcome(Opcode.DOT, claimed, a, b, tier=tier) is mine
            terms = [*products, *decoded[2]]
            mine = judged(raw, terms, count, 1, (count + 1, count) if native else count + 1)
            assert outcome(Opcode.DOT, claimed, a, b, c, tier=tier) is mine
        for divisor in (max(count, 1), 2**24):
            mean = float(a.astype(np.float64).sum()) / divisor
            rounding = (count + 1, count + 1) if native else count + 2
            for claimed in claims(mean, generator):
                (raw,) = bits_of(claimed)
                mine = judged(raw, decoded[0], count, divisor, rounding)
                found = outcome(Opcode.MEAN, claimed, a, attributes=(divisor,), tier=tier)
                assert found is mine
