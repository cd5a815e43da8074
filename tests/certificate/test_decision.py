"""The same decisions as contracts/test/Decision.t.sol."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.decision import Status, Verdict, at_least, decide
from oracle.errors import InputError

WAD = 10**18


def test_the_best_score_decides_up_to_twice_the_bar() -> None:
    scores = [WAD // 10, 7 * WAD // 10, 2 * WAD // 10]
    assert decide(scores, 0).clear
    assert decide(scores, WAD // 4 - 1).clear
    for epsilon in (WAD // 4, WAD // 4 + 1):
        decision = decide(scores, epsilon)
        assert decision.status is Status.AMBIGUOUS
        assert decision.label == 1
        assert decision.margin == WAD // 2


def test_a_tie_is_never_clear() -> None:
    for scores, label in (([1, 5, 5], 1), ([5, 5, 5], 0), ([-5, -7, -5], 0)):
        decision = decide(scores, 0)
        assert (decision.clear, decision.label) == (False, label)
    assert decide([5, 5, 6], 0).clear


def test_one_score_and_no_certificate() -> None:
    assert decide([-WAD], 0).clear
    assert decide([-WAD], 0).margin is None
    assert not decide([-WAD], None).clear
    assert not decide([1.0, 9.0], math.inf).clear


def test_floats_are_exact() -> None:
    assert decide([0.1, 0.1 + 2**-50], 2.0**-52).clear
    assert not decide([0.1, 0.1 + 2**-50], 2.0**-51).clear
    assert not decide([math.nan, 1.0], 0.0).clear
    with pytest.raises(InputError):
        decide([], 0)
    with pytest.raises(InputError):
        decide([1.0], math.nan)
    with pytest.raises(InputError):
        decide([1.0], -1)


@given(scores=st.lists(st.integers(-50, 50), min_size=1, max_size=5), bar=st.integers(0, 30))
def test_clear_survives_every_error_within_the_bar(scores: list[int], bar: int) -> None:
    decision = decide(scores, bar)
    best = scores[decision.label]
    others = [score for index, score in enumerate(scores) if index != decision.label]
    assert all(score <= best for score in others)
    assert decision.clear == all(score + bar < best - bar for score in others)


@given(value=st.integers(-50, 50), threshold=st.integers(-50, 50), bar=st.integers(0, 30))
def test_at_least_is_what_the_bar_allows(value: int, threshold: int, bar: int) -> None:
    always, never = value - bar >= threshold, value + bar < threshold
    expected = Verdict.YES if always else Verdict.NO if never else Verdict.AMBIGUOUS
    assert at_least(value, threshold, bar) is expected
    assert at_least(Fraction(value, 7), Fraction(threshold, 7), Fraction(bar, 7)) is expected


def test_at_least_without_a_number() -> None:
    assert at_least(math.nan, 0.0, 0.0) is Verdict.AMBIGUOUS
    assert at_least(1.0, 0.0, None) is Verdict.AMBIGUOUS
    with pytest.raises(InputError):
        at_least(1.0, math.nan, 0.0)
