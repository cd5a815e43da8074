"""Lets traces go when nobody can demand them any more, and says so when the disk is in trouble.

Windows close by the chain's time, as far as the chain was read: this machine's clock may be wrong,
and a trace that is gone can cost a bond. Knows nothing of files, or of how a trace came to be kept.
"""

from __future__ import annotations

from typing import Final

from oracle.core.job import JobState
from oracle.core.request import Request
from oracle.errors import StorageError
from oracle.ports.jobs import JobStore
from oracle.ports.traces import TraceHold, TraceStore

_LATE_NEWS_SECONDS: Final = 3_600
"""A demand of a window's last second is read later: by a node that was down, much later."""

_OVER: Final = (JobState.SETTLED, JobState.SLASHED, JobState.DEFAULTED)
_MOST_AT_ONCE: Final = 1_000


def owed_until(request: Request, *, extended_to: int = 0) -> int:
    """Until when the trace of an answer may be demanded, at the latest; a Unix second.

    Args:
        extended_to: when the window ends that a demand has made longer.
    """
    return max(request.deadline + request.window, extended_to) + _LATE_NEWS_SECONDS


class Retain:
    def __init__(self, traces: TraceStore, jobs: JobStore) -> None:
        self._traces = traces
        self._jobs = jobs

    async def cycle(self) -> bool:
        """One sweep; none before a block was read.

        Raises:
            StorageError: what the operator must see to; it stands in the node's trouble until then.
        """
        if (cursor := await self._jobs.cursor()) is not None:
            usage = await self._traces.usage()
            if usage.held_bytes > usage.budget_bytes // 2 or usage.unkept:
                await self._let_go(cursor.timestamp)
            await self._traces.sweep(cursor.timestamp)
        if (trouble := self._traces.trouble) is not None:
            raise StorageError(trouble)
        return False

    async def _let_go(self, now: int) -> None:
        """Of requests that are over nobody can demand anything, long before the latest second."""
        held = await self._traces.holds()
        for start in range(0, len(held), _MOST_AT_ONCE):
            some = held[start : start + _MOST_AT_ONCE]
            over = await self._jobs.standing_in(_OVER, [one.holder for one in some])
            await self._traces.keep_until(
                [TraceHold(one.root, one.holder, now - 1) for one in some if one.holder in over]
            )
