"""Lets traces go when their windows have closed, and says so when the disk is in trouble.

Knows nothing of files, or of how a trace came to be kept.
"""

from __future__ import annotations

from oracle.errors import StorageError
from oracle.ports.clock import Clock
from oracle.ports.traces import TraceStore


class Retain:
    def __init__(self, traces: TraceStore, clock: Clock) -> None:
        self._traces = traces
        self._clock = clock

    async def cycle(self) -> bool:
        """One sweep.

        Raises:
            StorageError: what the operator must see to; it stands in the node's trouble until then.
        """
        await self._traces.sweep(self._clock.now())
        if (trouble := self._traces.trouble) is not None:
            raise StorageError(trouble)
        return False
