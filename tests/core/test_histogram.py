"""Values by size: bounds are inclusive, counts cumulative."""

from __future__ import annotations

from oracle.core.histogram import Histogram


def test_values_are_counted_up_to_each_bound() -> None:
    found = Histogram((0.5, 1, 10))
    assert found.cumulative() == [("0.5", 0), ("1.0", 0), ("10.0", 0), ("+Inf", 0)]
    for value in (0.0, 0.5, 0.75, 10, 11):
        found.add(value)
    assert found.cumulative() == [("0.5", 2), ("1.0", 3), ("10.0", 4), ("+Inf", 5)]
    assert found.total == 22.25
