"""A random mix is the same for the same seed, and holds everything it may hold."""

from __future__ import annotations

from collections import Counter

from oracle.bench.chaos_plan import ASKS_PER_MINUTE, FAILURES_PER_MINUTE, Kind, plan


def test_the_same_seed_gives_the_same_plan_and_another_does_not() -> None:
    assert plan(7, 5) == plan(7, 5)
    assert plan(7, 5) != plan(8, 5)


def test_half_an_hour_holds_every_kind_about_as_often_as_it_should() -> None:
    events = plan(1, 30)
    counts = Counter(event.kind for event in events)
    assert set(counts) == set(Kind)
    assert 0.8 < counts[Kind.ASK] / (30 * ASKS_PER_MINUTE) < 1.2
    assert 0.6 < (len(events) - counts[Kind.ASK]) / (30 * FAILURES_PER_MINUTE) < 1.2
    assert events == sorted(events, key=lambda event: event.at_seconds)
    assert all(0 < event.at_seconds < 1800 for event in events)
