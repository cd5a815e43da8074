"""The wait before another try doubles, and has an end."""

from __future__ import annotations

from oracle.core.backoff import backoff_seconds


def test_the_wait_doubles_up_to_the_slowest() -> None:
    waits = [backoff_seconds(tried, 30.0) for tried in range(7)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_the_unit_scales_it() -> None:
    assert [backoff_seconds(tried, 5.0, unit_seconds=0.5) for tried in range(5)] == [
        *(0.5, 1.0, 2.0),
        *(4.0, 5.0),
    ]


def test_it_stays_a_number_after_any_number_of_tries() -> None:
    assert backoff_seconds(1_000_000, 600.0) == 600.0
    assert backoff_seconds(1_000_000, 600.0, unit_seconds=0.001) == 1.024
