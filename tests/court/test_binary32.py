"""Decoding and rounding against numpy, over all kinds of bits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.core.schema import ElementType
from oracle.court.binary32 import BINARY32, BINARY64, floor_log2, scaled
from oracle.court.number import order_key, same
from tests.court.cases import bits, f32

RAW = st.integers(0, 2**32 - 1)


@settings(max_examples=500)
@given(RAW)
def test_every_pattern_is_what_numpy_says(raw: int) -> None:
    value = f32(raw)
    assert BINARY32.is_nan(raw) == bool(np.isnan(value))
    assert BINARY32.is_infinite(raw) == bool(np.isinf(value))
    assert BINARY32.is_finite(raw) == bool(np.isfinite(value))
    if BINARY32.is_finite(raw):
        assert BINARY32.value(raw) == Fraction(float(value))
        rounded = BINARY32.round(BINARY32.value(raw))
        assert rounded == raw or (BINARY32.is_zero(raw) and rounded == 0)
        if abs(value) < np.finfo(np.float32).max:
            assert BINARY32.ulp(raw) == Fraction(float(np.spacing(abs(value))))


@settings(max_examples=500)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float64_is_rounded_as_the_hardware_does(value: float) -> None:
    with np.errstate(over="ignore", under="ignore"):
        expected = bits(np.float32(value))
    assert same(ElementType.FLOAT32, BINARY32.round(Fraction(value)), expected)
    assert same(ElementType.FLOAT64, BINARY64.round(Fraction(value)), bits(np.float64(value)))


@settings(max_examples=500)
@given(RAW, RAW)
def test_midpoints_go_to_the_even_neighbour(raw: int, noise: int) -> None:
    raw &= 0x7FFFFFFF
    if raw >= BINARY32.infinity - 1:
        return
    middle = (BINARY32.value(raw) + BINARY32.value(raw + 1)) / 2
    assert BINARY32.round(middle) == raw + (raw & 1)
    nudge = BINARY32.ulp(raw) / (noise + 3)
    assert BINARY32.round(middle + nudge) == raw + 1
    assert BINARY32.round(middle - nudge) == raw


@settings(max_examples=500)
@given(RAW)
def test_roots_are_those_of_the_hardware(raw: int) -> None:
    raw &= 0x7FFFFFFF
    if BINARY32.is_finite(raw):
        expected = bits(np.sqrt(f32(raw)))
        assert BINARY32.round_root(BINARY32.value(raw)) == expected


@given(RAW, RAW)
def test_keys_order_as_values_do(a: int, b: int) -> None:
    if BINARY32.is_nan(a) or BINARY32.is_nan(b):
        return
    first, second = (order_key(ElementType.FLOAT32, raw) for raw in (a, b))
    assert (first < second) == bool(f32(a) < f32(b))
    assert (first == second) == bool(f32(a) == f32(b))


def test_overflow_begins_half_an_ulp_beyond_the_largest() -> None:
    limit = BINARY32.overflow
    assert limit == 2**128 - 2**103
    assert BINARY32.round(limit) == BINARY32.infinity
    assert BINARY32.round(limit - scaled(1, -500)) == BINARY32.infinity - 1
    assert BINARY32.round(-limit) == BINARY32.infinity | BINARY32.sign_bit


def test_the_smallest_numbers() -> None:
    assert BINARY32.decode(1) == (1, -149)
    assert BINARY32.half_ulp(0) == scaled(1, -150)
    assert BINARY32.round(scaled(1, -150)) == 0
    assert BINARY32.round(scaled(3, -151)) == 1
    assert BINARY64.decode(1) == (1, -1074)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (0x7FC00000, "NaN (0x7fc00000)"),
        (0xFF800000, "-infinity (0xff800000)"),
        (0x80000000, "-0.0 (0x80000000)"),
        (0xBF8CCCCD, "-1.1 (0xbf8ccccd)"),
        (0x3D800000, "0.0625 (0x3d800000)"),
        (0x00000001, "1e-45 (0x00000001)"),
    ],
)
def test_numbers_can_be_read(raw: int, said: str) -> None:
    assert BINARY32.text(raw) == said


def test_a_double_keeps_its_digits() -> None:
    assert BINARY64.text(0x3FB999999999999A) == "0.1 (0x3fb999999999999a)"


@given(st.fractions(min_value=Fraction(1, 2**80), max_value=2**80))
def test_floor_log2(value: Fraction) -> None:
    power = floor_log2(value)
    assert scaled(1, power) <= value < scaled(1, power + 1)
