"""Finds answers by a stored cursor; the last blocks are read again each time. Judges none.

A reorg is seen by the blocks that were stood on; what was sent and mined above is open again then.
"""

from __future__ import annotations

import structlog

from oracle.core.case import Case
from oracle.core.event import BlockRef, RequestAnswered
from oracle.ports import ChainReader, JobStore
from oracle.storage.case_store import SqlCaseStore
from oracle.watcher.policy import WatcherPolicy

_log = structlog.get_logger("oracle.watcher")

_SEARCH_DEPTH = 512
"""Stored blocks that are searched for a common ancestor."""


class Follow:
    def __init__(
        self, reader: ChainReader, cases: SqlCaseStore, jobs: JobStore, policy: WatcherPolicy
    ) -> None:
        """`jobs` has the blocks that were stood on; a watcher has no other use for it."""
        self._reader = reader
        self._cases = cases
        self._jobs = jobs
        self._policy = policy
        self._last: BlockRef | None = None

    @property
    def head_block(self) -> int:
        """The last block that was read; -1 before."""
        return -1 if self._last is None else self._last.number

    async def cycle(self) -> bool:
        """Reads up to the head. True where there are new answers.

        Raises:
            ChainUnreachable: no answer; the next cycle starts at the cursor.
        """
        head = await self._reader.head()
        if head == self._last:
            return False
        await self._rewind()
        cursor = await self._cases.cursor()
        first = self._policy.start_block
        if cursor is not None:
            first = max(first, min(cursor, head.number) - self._policy.overlap_blocks)
        found = False
        while first <= head.number:
            last = min(first + self._policy.range_blocks - 1, head.number)
            batch = await self._reader.events(first, last)
            answers = [
                Case(
                    event.request_id,
                    event.operator,
                    event.position.block_number,
                    event.position.block_hash,
                )
                for event in batch.events
                if isinstance(event, RequestAnswered)
                and self._policy.only in (None, event.request_id)
            ]
            found |= bool(await self._cases.note(last, answers))
            first = last + 1
        await self._jobs.ingest(head, [], [])
        self._last = head
        return found

    async def _rewind(self) -> None:
        """Goes back to the newest block that was stood on and is still there; where there is none,
        to before the first. The database is bound to the chain, so it is no other one."""
        stood_on = await self._jobs.recent_blocks(_SEARCH_DEPTH)
        for block in stood_on:
            canonical = await self._reader.block(block.number)
            if canonical is None or canonical.hash != block.hash:
                continue
            if block != stood_on[0]:
                _log.warning("reorg", rewound_to=block.number)
                await self._jobs.rewind(block)
            return
        before = await self._reader.block(max(0, self._policy.start_block - 1))
        if stood_on and before is not None:
            _log.warning("reorg", rewound_to=before.number)
            await self._jobs.rewind(before)
