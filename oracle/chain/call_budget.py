"""How many calls an endpoint may be sent, and how many it was sent.

Responsible for a bound on the calls of any minute, for leaving room in it for what cannot wait, and
for counting. Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque

_BURST_SHARE = 6
"""A sixth of a minute's calls may come at once; the rest are spread over the minute."""

_RESERVED_SHARE = 4
"""A quarter of the burst is left for what cannot wait."""

_ROUNDING = 1e-6


class CallBudget:
    """A token bucket. In no minute are more calls let through than the budget says.

    Calls wait in the order they came. An urgent one (a transaction) waits for nobody: it takes from
    the part that is left for it, and beyond that from what the others would get next. Only urgent
    calls can go beyond the budget.
    """

    def __init__(self, calls_per_minute: int) -> None:
        self._unlimited = calls_per_minute <= 0
        self._capacity = max(1.0, calls_per_minute / _BURST_SHARE)
        self._rate = max(1.0, calls_per_minute - self._capacity) / 60
        # One call must always be able to pass, however small the budget is.
        self._reserved = min(self._capacity / _RESERVED_SHARE, self._capacity - 1)
        self._tokens = self._capacity
        self._at = time.monotonic()
        self._queue = asyncio.Lock()

    async def take(self, *, urgent: bool = False) -> None:
        """Returns when the call may be sent."""
        if self._unlimited:
            return
        if urgent:
            self._refill()
            self._tokens -= 1
            return
        async with self._queue:
            while (missing := self._missing()) > _ROUNDING:  # noqa: ASYNC110 - time is what is waited for
                await asyncio.sleep(missing / self._rate)
            self._tokens -= 1

    def _missing(self) -> float:
        self._refill()
        return 1 + self._reserved - self._tokens

    def _refill(self) -> None:
        now = time.monotonic()
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._rate)
        self._at = now


class CallCount:
    """Calls since the start by method, and those of the last minute."""

    def __init__(self) -> None:
        self.by_method: Counter[str] = Counter()
        self._seconds: deque[tuple[int, int]] = deque()

    def add(self, method: str) -> None:
        self.by_method[method] += 1
        second = int(time.monotonic())
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + 1)
        else:
            self._seconds.append((second, 1))
        self._forget(second)

    def last_minute(self) -> int:
        self._forget(int(time.monotonic()))
        return sum(count for _, count in self._seconds)

    def _forget(self, now: int) -> None:
        while self._seconds and self._seconds[0][0] <= now - 60:
            self._seconds.popleft()
