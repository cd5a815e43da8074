"""Finds answers by a stored cursor. Judges none; the last blocks are read again each time."""

from __future__ import annotations

from oracle.core.case import Case
from oracle.core.event import BlockRef, RequestAnswered
from oracle.ports import ChainReader
from oracle.storage.case_store import SqlCaseStore
from oracle.watcher.policy import WatcherPolicy


class Follow:
    def __init__(self, reader: ChainReader, cases: SqlCaseStore, policy: WatcherPolicy) -> None:
        self._reader = reader
        self._cases = cases
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
        self._last = head
        return found
