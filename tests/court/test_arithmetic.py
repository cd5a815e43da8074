"""ADD to SQRT, the unary operations and CAST against numpy's own results, bit by bit."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.program.opcode import Opcode
from tests.court.cases import (
    INF,
    LARGEST,
    NAN,
    SUBNORMAL,
    UNDEFINED,
    VIOLATED,
    WITHIN,
    f32,
    outcome,
)

RAW = st.integers(0, 2**32 - 1)
BINARY: dict[Opcode, Callable[[Any, Any], Any]] = {
    Opcode.ADD: operator.add,
    Opcode.SUB: operator.sub,
    Opcode.MUL: operator.mul,
    Opcode.DIV: operator.truediv,
}


def near(raw: int, noise: int) -> np.float32:
    """A number whose exponent is close to that of `raw`: sums and quotients are not dull."""
    return f32((raw & 0xFF800000) ^ (noise & 0x83FFFFFF))


@pytest.mark.parametrize("opcode", BINARY)
@settings(max_examples=120)
@given(RAW, RAW, st.booleans())
def test_float32_arithmetic_is_the_hardware_s(
    opcode: Opcode, first: int, second: int, close: bool
) -> None:
    a, b = f32(first), near(first, second) if close else f32(second)
    with np.errstate(all="ignore"):
        result = BINARY[opcode](a, b)
        found = outcome(opcode, result, a, b)
        if not (np.isfinite(a) and np.isfinite(b)) or (opcode is Opcode.DIV and b == 0):
            assert found is UNDEFINED
            return
        assert found is WITHIN
        for other in (np.nextafter(result, INF), np.nextafter(result, -INF), NAN):
            if other != result:
                assert outcome(opcode, other, a, b) is VIOLATED


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("opcode", BINARY)
def test_integers_wrap(opcode: Opcode, dtype: str) -> None:
    generator = np.random.default_rng(1)
    limits = np.iinfo(dtype)
    a = generator.integers(limits.min, limits.max, 50, dtype=dtype, endpoint=True)
    b = generator.integers(limits.min, limits.max, 50, dtype=dtype, endpoint=True)
    a[:3] = limits.max, limits.min, limits.min
    b[:3] = 1, 1, limits.max
    with np.errstate(all="ignore"):
        if opcode is Opcode.DIV:
            b[b == 0] = 3
            keep = (a != limits.min) | (b != np.asarray(-1).astype(dtype)) | (limits.min == 0)
            a, b = a[keep], b[keep]
            quotients = [abs(int(x)) // abs(int(y)) for x, y in zip(a, b, strict=True)]
            signs = [1 if (x < 0) == (y < 0) else -1 for x, y in zip(a, b, strict=True)]
            results = np.array([q * s for q, s in zip(quotients, signs, strict=True)], dtype=dtype)
        else:
            results = BINARY[opcode](a, b)
        for x, y, result in zip(a, b, results, strict=True):
            assert outcome(opcode, result, x, y) is WITHIN
            assert outcome(opcode, np.bitwise_xor(result, result.dtype.type(1)), x, y) is VIOLATED


def test_integer_quotients_that_do_not_exist() -> None:
    assert outcome(Opcode.DIV, np.int32(0), np.int32(1), np.int32(0)) is UNDEFINED
    least = np.iinfo(np.int32).min
    assert outcome(Opcode.DIV, np.int32(least), np.int32(least), np.int32(-1)) is UNDEFINED


def test_overflow_and_underflow_are_results() -> None:
    assert outcome(Opcode.ADD, INF, LARGEST, LARGEST) is WITHIN
    assert outcome(Opcode.ADD, LARGEST, LARGEST, LARGEST) is VIOLATED
    assert outcome(Opcode.ADD, INF, 1.0, 1.0) is VIOLATED
    assert outcome(Opcode.MUL, 0.0, SUBNORMAL, 0.25) is WITHIN
    assert outcome(Opcode.MUL, np.float32(-0.0), SUBNORMAL, 0.25) is WITHIN
    assert outcome(Opcode.MUL, SUBNORMAL, SUBNORMAL, 0.25) is VIOLATED
    assert outcome(Opcode.SUB, np.float32(-0.0), 1.0, 1.0) is WITHIN


UNARY: dict[Opcode, Callable[[Any], Any]] = {
    Opcode.SQRT: np.sqrt,
    Opcode.NEG: np.negative,
    Opcode.ABS: np.abs,
    Opcode.SIGN: np.sign,
    Opcode.FLOOR: np.floor,
    Opcode.CEIL: np.ceil,
    Opcode.ROUND: np.rint,
}


@pytest.mark.parametrize("opcode", UNARY)
@settings(max_examples=150)
@given(st.one_of(RAW.map(f32), st.floats(-100, 100, width=32).map(np.float32)))
def test_unary_operations(opcode: Opcode, a: np.float32) -> None:
    with np.errstate(all="ignore"):
        result = UNARY[opcode](a)
        found = outcome(opcode, result, a)
        if opcode in (Opcode.NEG, Opcode.ABS) or (opcode is Opcode.SIGN and not np.isnan(a)):
            assert found is WITHIN
        elif not np.isfinite(a) or np.isnan(result):
            assert found is UNDEFINED
            return
        else:
            assert found is WITHIN
        other = np.nextafter(result, INF if result < 1 else -INF)
        if not np.isnan(result):
            assert outcome(opcode, other, a) is VIOLATED


def test_unary_operations_on_integers_and_bools() -> None:
    assert outcome(Opcode.NEG, np.int8(-128), np.int8(-128)) is WITHIN
    assert outcome(Opcode.ABS, np.int8(5), np.int8(-5)) is WITHIN
    assert outcome(Opcode.SIGN, np.int64(-1), np.int64(-5)) is WITHIN
    assert outcome(Opcode.SIGN, np.int64(1), np.int64(-5)) is VIOLATED
    assert outcome(Opcode.FLOOR, np.int64(1), np.int64(1)) is UNDEFINED
    assert outcome(Opcode.NOT, np.bool_(False), np.bool_(True)) is WITHIN
    assert outcome(Opcode.NOT, np.bool_(True), np.bool_(True)) is VIOLATED
    assert outcome(Opcode.NEG, np.bool_(True), np.bool_(True)) is UNDEFINED


TYPES = ["float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32"]
TYPES += ["int64", "uint64", "bool"]


@pytest.mark.parametrize("target", TYPES)
@pytest.mark.parametrize("source", TYPES)
def test_casts(source: str, target: str) -> None:
    generator = np.random.default_rng(2)
    raw = generator.integers(0, 256, 8 * 40, dtype=np.uint8).tobytes()
    whole = generator.integers(-300, 300, 40)
    values = [*np.frombuffer(raw, dtype=source if source != "bool" else "uint8")[:40]]
    with np.errstate(all="ignore"):
        values += [*(whole / 2).astype(source)]
        for value in values:
            value = np.asarray(value).astype(source)[()]
            expected = np.asarray(value).astype(target)[()]
            found = outcome(Opcode.CAST, expected, value)
            if np.isnan(value) and target not in (source,):
                assert found is UNDEFINED
            elif np.issubdtype(source, np.floating) and np.issubdtype(target, np.integer):
                limits = np.iinfo(target)
                inside = np.isfinite(value) and limits.min <= int(value) <= limits.max
                assert found is (WITHIN if inside else UNDEFINED)
            elif not np.isnan(value):
                assert found is WITHIN
                if target != "bool" and np.isfinite(expected):
                    other = (
                        np.nextafter(expected, expected.dtype.type(3))
                        if np.issubdtype(target, np.floating)
                        else expected ^ expected.dtype.type(1)
                    )
                    if other != expected:
                        assert outcome(Opcode.CAST, other, value) is VIOLATED


def test_casts_at_the_edges() -> None:
    assert outcome(Opcode.CAST, np.int32(-(2**31)), np.float32(-(2.0**31))) is WITHIN
    assert outcome(Opcode.CAST, np.int32(2**31 - 1), np.float32(2.0**31)) is UNDEFINED
    assert outcome(Opcode.CAST, np.uint8(0), np.float32(-0.75)) is WITHIN
    assert outcome(Opcode.CAST, np.int8(-1), np.float32(-1.75)) is WITHIN
    assert outcome(Opcode.CAST, np.float32(2.0**24), np.int64(2**24 + 1)) is WITHIN
    assert outcome(Opcode.CAST, INF, np.float64(1e300)) is WITHIN
    assert outcome(Opcode.CAST, INF, np.float64(np.inf)) is WITHIN
    assert outcome(Opcode.CAST, LARGEST, np.float64(np.inf)) is VIOLATED
