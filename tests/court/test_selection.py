"""Choosing, moving and comparing: exact, with ties, signed zeros, infinities and NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.court.case import Case
from oracle.court.judge import judge
from oracle.program.opcode import Opcode
from tests.court.cases import INF, NAN, UNDEFINED, VIOLATED, WITHIN, bits, case, f32, outcome

ZERO, MINUS_ZERO = np.float32(0), np.float32(-0.0)
QUIET, OTHER_NAN = f32(0x7FC00000), f32(0xFFC12345)
VALUES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, float("inf"), float("-inf"), 1e-45])
LISTS = st.lists(VALUES, min_size=1, max_size=8).map(lambda x: np.array(x, dtype=np.float32))


def test_raw_bits_are_moved() -> None:
    for value in (np.float32(1.5), np.int64(-7), np.uint8(200), np.bool_(True), np.float64(1e300)):
        assert outcome(Opcode.COPY, value, value) is WITHIN
    assert outcome(Opcode.COPY, np.int64(-8), np.int64(-7)) is VIOLATED
    assert outcome(Opcode.COPY, MINUS_ZERO, ZERO) is WITHIN
    assert outcome(Opcode.COPY, OTHER_NAN, QUIET) is WITHIN
    assert outcome(Opcode.COPY, ZERO, QUIET) is VIOLATED
    assert outcome(Opcode.COPY, QUIET, ZERO) is VIOLATED
    assert outcome(Opcode.COPY, INF, INF) is WITHIN
    assert outcome(Opcode.COPY, -INF, INF) is VIOLATED
    assert outcome(Opcode.COPY, np.float32(1), np.int32(1)) is UNDEFINED


def guarded(claimed: Any, operands: tuple[Any, ...], attributes: tuple[int, ...]) -> Case:
    made = case(Opcode.COPY, claimed, *(np.float32(1) for _ in operands), attributes=attributes)
    taps = tuple((None if value is None else bits(value),) for value in operands)
    return Case(
        made.opcode,
        made.tier,
        made.attributes,
        made.output_type,
        made.operand_types,
        made.claimed,
        taps,
    )


def test_the_first_operand_whose_guards_hold_else_the_fill() -> None:
    one, two = np.float32(1), np.float32(2)
    assert judge(guarded(two, (None, two, one), ())).outcome is WITHIN
    assert judge(guarded(one, (None, two, one), ())).outcome is VIOLATED
    assert judge(guarded(-INF, (None,), (bits(-INF),))).outcome is WITHIN
    assert judge(guarded(-INF, (None,), (bits(-INF) - 2**32,))).outcome is WITHIN
    assert judge(guarded(ZERO, (None,), ())).outcome is UNDEFINED


@given(VALUES, VALUES)
def test_larger_and_smaller(first: float, second: float) -> None:
    a, b = np.float32(first), np.float32(second)
    assert outcome(Opcode.MAX, np.maximum(a, b), a, b) is WITHIN
    assert outcome(Opcode.MIN, np.minimum(a, b), a, b) is WITHIN
    if a != b:
        assert outcome(Opcode.MAX, np.minimum(a, b), a, b) is VIOLATED
        assert outcome(Opcode.MIN, np.maximum(a, b), a, b) is VIOLATED


def test_relu_is_a_maximum_with_zero() -> None:
    assert outcome(Opcode.MAX, ZERO, np.float32(-3), 0.0) is WITHIN
    assert outcome(Opcode.MAX, MINUS_ZERO, np.float32(-3), 0.0) is WITHIN
    assert outcome(Opcode.MAX, np.float32(-3), np.float32(-3), 0.0) is VIOLATED
    assert outcome(Opcode.MAX, np.float32(3), NAN, 0.0) is UNDEFINED
    assert outcome(Opcode.MAX, np.int64(3), np.int64(3), np.int64(-3)) is WITHIN
    assert outcome(Opcode.MAX, np.uint64(2**63), np.uint64(2**63), np.uint64(3)) is WITHIN


@settings(max_examples=80)
@given(LISTS)
def test_over_taps(a: Any) -> None:
    assert outcome(Opcode.REDUCE_MAX, a.max(), a) is WITHIN
    assert outcome(Opcode.REDUCE_MIN, a.min(), a) is WITHIN
    first, last = (0,), (1,)
    assert outcome(Opcode.ARGMAX, np.int64(a.argmax()), a, attributes=first) is WITHIN
    assert outcome(Opcode.ARGMIN, np.int64(a.argmin()), a, attributes=first) is WITHIN
    behind = a.size - 1 - a[::-1].argmax()
    assert outcome(Opcode.ARGMAX, np.int64(behind), a, attributes=last) is WITHIN
    for place in range(a.size):
        if place != a.argmax():
            assert outcome(Opcode.ARGMAX, np.int64(place), a, attributes=first) is VIOLATED
        if a[place] != a.max():
            assert outcome(Opcode.REDUCE_MAX, a[place], a) is VIOLATED


@settings(max_examples=80)
@given(LISTS)
def test_ranks(a: Any) -> None:
    for largest, keys in ((1, -a), (0, a)):
        order = np.argsort(keys, kind="stable")
        for rank, place in enumerate(order):
            rest = {"attributes": (largest,), "rank": rank}
            assert outcome(Opcode.TOPK_VALUE, a[place], a, **rest) is WITHIN
            assert outcome(Opcode.TOPK_INDEX, np.int64(place), a, **rest) is WITHIN
            wrong = np.int64((place + 1) % a.size)
            if a.size > 1:
                assert outcome(Opcode.TOPK_INDEX, wrong, a, **rest) is VIOLATED
    assert outcome(Opcode.TOPK_VALUE, a[0], a, attributes=(1,), rank=a.size) is UNDEFINED


@pytest.mark.parametrize(
    "opcode",
    [Opcode.REDUCE_MAX, Opcode.REDUCE_MIN, Opcode.TOPK_VALUE],
)
def test_nan_leaves_a_choice_open(opcode: Opcode) -> None:
    a = np.array([1, np.nan], dtype=np.float32)
    assert outcome(opcode, NAN, a, attributes=(1,)) is UNDEFINED
    assert outcome(opcode, np.float32(1), a, attributes=(1,)) is UNDEFINED
    assert outcome(opcode, NAN, a[:1], attributes=(1,)) is VIOLATED


def test_where() -> None:
    one, two = np.float32(1), np.float32(2)
    assert outcome(Opcode.WHERE, one, np.bool_(True), one, two) is WITHIN
    assert outcome(Opcode.WHERE, one, np.bool_(False), one, two) is VIOLATED
    assert outcome(Opcode.WHERE, NAN, np.bool_(False), one, NAN) is WITHIN
    assert outcome(Opcode.WHERE, one, np.bool_(True), one, NAN) is WITHIN
    assert outcome(Opcode.WHERE, one, np.int32(1), one, two) is UNDEFINED


@given(st.one_of(VALUES, st.just(float("nan"))), st.one_of(VALUES, st.just(float("nan"))))
def test_comparisons_are_those_of_ieee_754(first: float, second: float) -> None:
    a, b = np.float32(first), np.float32(second)
    for opcode, result in (
        (Opcode.LESS, a < b),
        (Opcode.LESS_EQUAL, a <= b),
        (Opcode.EQUAL, a == b),
    ):
        assert outcome(opcode, np.bool_(result), a, b) is WITHIN
        assert outcome(opcode, np.bool_(not result), a, b) is VIOLATED


def test_a_bool_is_zero_or_one() -> None:
    made = case(Opcode.EQUAL, np.bool_(True), np.int32(1), np.int32(1))
    odd = Case(
        made.opcode,
        made.tier,
        made.attributes,
        made.output_type,
        made.operand_types,
        2,
        made.operands,
    )
    assert judge(made).outcome is WITHIN
    assert judge(odd).outcome is VIOLATED


@pytest.mark.parametrize("a", [False, True])
@pytest.mark.parametrize("b", [False, True])
def test_logic(a: bool, b: bool) -> None:
    for opcode, result in ((Opcode.AND, a & b), (Opcode.OR, a | b), (Opcode.XOR, a ^ b)):
        first, second = np.bool_(a), np.bool_(b)
        assert outcome(opcode, np.bool_(result), first, second) is WITHIN
        assert outcome(opcode, np.bool_(not result), first, second) is VIOLATED
    assert outcome(Opcode.AND, np.bool_(True), np.int8(1), np.int8(1)) is UNDEFINED
