"""Durations counted by size, cumulatively, as a monitor wants them. Forgets each single one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Histogram:
    """Counts of values up to each bound, and beyond the last.

    Attributes:
        bounds: ascending upper bounds, each inclusive.
        total: of all values.
    """

    bounds: Sequence[float]
    total: float = 0.0
    _counts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """Each bound as text, with how many values are no larger; at last `+Inf` with all."""
        found: list[tuple[str, float]] = []
        so_far = 0
        names = [*(repr(float(bound)) for bound in self.bounds), "+Inf"]
        for name, count in zip(names, self._counts, strict=True):
            so_far += count
            found.append((name, float(so_far)))
        return found
