"""Finds answers by a stored cursor; the last blocks are read again each time. Judges none.

A reorg is seen by the blocks that were stood on; what was sent and mined above is open again then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog

from oracle.core.case import Case
from oracle.core.event import BlockRef, RequestAnswered
from oracle.core.health import Following
from oracle.ports.jobs import JobStore
from oracle.ports.reading import ChainReader
from oracle.service.ancestor import newest_canonical
from oracle.storage.case_store import SqlCaseStore
from oracle.watcher.policy import WatcherPolicy

_log = structlog.get_logger("oracle.watcher")

_SEARCH_DEPTH = 512
"""Stored blocks that are searched for a common ancestor."""


class Follow:
    def __init__(
        self,
        reader: ChainReader,
        cases: SqlCaseStore,
        jobs: JobStore,
        policy: WatcherPolicy,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`jobs` has the blocks that were stood on; a watcher has no other use for it."""
        self._reader = reader
        self._cases = cases
        self._jobs = jobs
        self._policy = policy
        self._last: BlockRef | None = None
        self._now = now
        self._reached_at: float | None = None
        self._got_on_at: float | None = None
        self._cursor: int | None = None

    def following(self, failure: str | None = None) -> Following:
        """How far the chain is read. Args: failure: of the last look, for whoever judges it."""
        return Following(
            reached_at=self._reached_at,
            got_on_at=self._got_on_at,
            head_block=None if self._last is None else self._last.number,
            head_time=None if self._last is None else self._last.timestamp,
            cursor_block=self._cursor,
            failure=failure,
        )

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
            self._reached_at = self._got_on_at = self._now()
            return False
        stood_on = await self._jobs.recent_blocks(_SEARCH_DEPTH)
        if stood_on and head.number < stood_on[0].number:
            return False  # an endpoint that is behind, or a fork that still grows
        await self._rewind(stood_on)
        cursor = await self._cases.cursor()
        first = self._policy.start_block
        if cursor is not None:
            first = max(first, min(cursor, head.number) - self._policy.overlap_blocks)
        found = False
        answers_seen = in_window = 0
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
            answers_seen += len(answers)
            in_window += sum(
                isinstance(event, RequestAnswered) and event.settle_at > head.timestamp
                for event in batch.events
            )
            first = last + 1
            self._cursor, self._got_on_at = last, self._now()
        await self._jobs.ingest(head, [], [])
        if self._last is None and self._policy.only is None:
            _log.info(
                "read up to the head",
                block=head.number,
                answers=answers_seen,
                within_their_windows=in_window,
                unfinished=len(await self._cases.unfinished()),
            )
        self._last = head
        self._cursor, self._reached_at = head.number, self._now()
        self._got_on_at = self._reached_at
        return found

    async def _rewind(self, stood_on: Sequence[BlockRef]) -> None:
        """Goes back to the newest block that was stood on and is still there; where there is none,
        to before the first. The database is bound to the chain, so it is no other one."""
        block = await newest_canonical(self._reader, stood_on)
        if block is not None:
            if block != stood_on[0]:
                _log.info("reorg", rewound_to=block.number)
                await self._rewind_to(block)
            return
        before = await self._reader.block(max(0, self._policy.start_block - 1))
        if stood_on and before is not None:
            _log.info("reorg", rewound_to=before.number)
            await self._rewind_to(before)

    async def _rewind_to(self, block: BlockRef) -> None:
        # In this order: done again where it is cut short in between.
        await self._cases.reopen_convictions()
        await self._jobs.rewind(block)
