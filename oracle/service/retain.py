"""Lets traces go when their windows have closed, and says so when the disk is in trouble.

Windows close by the chain's time, as far as the chain was read: this machine's clock may be wrong,
and a trace that is gone can cost a bond. Knows nothing of files, or of how a trace came to be kept.
"""

from __future__ import annotations

from oracle.errors import StorageError
from oracle.ports.jobs import JobStore
from oracle.ports.traces import TraceStore


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
            await self._traces.sweep(cursor.timestamp)
        if (trouble := self._traces.trouble) is not None:
            raise StorageError(trouble)
        return False
