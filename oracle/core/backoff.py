"""How long to wait before something that failed is tried again: twice as long each time."""

from __future__ import annotations

_MOST_DOUBLINGS = 10


def backoff_seconds(tried: int, slowest_seconds: float, *, unit_seconds: float = 1.0) -> float:
    """The wait after so many tries: `unit_seconds`, doubled by each, and never above the slowest.

    >>> [backoff_seconds(tried, 30.0) for tried in range(7)]
    [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    """
    return min(slowest_seconds, unit_seconds * 2.0 ** min(tried, _MOST_DOUBLINGS))
