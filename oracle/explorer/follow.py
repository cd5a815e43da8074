"""Follows the chain into the index: a range of blocks at a time, each with the cursor in one step.

A fork is seen by the blocks that were stood on, as watchers see it, and what it took away is taken
out of the index. What an endpoint left out is read again. Judges nothing, and knows no page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import structlog

from oracle.chain.protocol_reader import ProtocolReader
from oracle.core.backoff import backoff_seconds
from oracle.core.event import BlockRef
from oracle.errors import ChainUnreachable, OracleError, ReorgDetected, WrongChain
from oracle.explorer.completeness import Completeness
from oracle.explorer.entries import entries_of
from oracle.service.ancestor import newest_canonical
from oracle.storage.explorer_store import SqlExplorerStore

_log = structlog.get_logger("oracle.explorer")

_LONGEST_REST_SECONDS = 30.0
_RANGES_AGAIN = 8


@dataclass(frozen=True, slots=True)
class FollowPolicy:
    """How the chain is read.

    Attributes:
        start_block: the deployment's; nothing happened before it.
        confirmations: blocks on top of one before it is read.
        range_blocks: most blocks a read spans.
        poll_seconds: between looks at the head.
    """

    start_block: int
    confirmations: int = 0
    range_blocks: int = 2_000
    poll_seconds: float = 2.0


class Follow:
    """The one writer of an index."""

    def __init__(
        self,
        reader: ProtocolReader,
        store: SqlExplorerStore,
        completeness: Completeness,
        policy: FollowPolicy,
    ) -> None:
        self._reader = reader
        self._store = store
        self._completeness = completeness
        self._policy = policy
        self._last: BlockRef | None = None
        self._again: tuple[int, int] | None = None
        self.head: BlockRef | None = None
        self.trouble: str | None = None

    async def run(self, changed: Callable[[], None] = lambda: None) -> None:
        """Follows until it is cancelled; what fails is tried again. `changed` is told of news.

        Raises:
            WrongChain: the chain is another one.
        """
        failures = 0
        while True:
            try:
                if await self.cycle():
                    changed()
                failures, self.trouble = 0, self._completeness.trouble
            except WrongChain:
                raise
            except OracleError as error:
                failures += 1
                self.trouble = error.message
                _log.warning("the chain cannot be read", error=error.message)
            rest = backoff_seconds(
                failures, _LONGEST_REST_SECONDS, unit_seconds=self._policy.poll_seconds
            )
            await asyncio.sleep(rest)

    async def cycle(self) -> bool:
        """Reads up to the head. True where the index changed.

        Raises:
            ChainUnreachable: no answer; the next cycle goes on at the cursor.
            WrongChain: not even the first block is the same.
        """
        head = await self._reader.head()
        if head == self._last and self._again is None:
            return False
        self.head = head
        stood_on = await self._store.recent_blocks()
        if stood_on and head.number < stood_on[0].number:
            return False  # an endpoint that is behind, or a fork that still grows
        cursor = await self._cursor(stood_on)
        target = head.number - self._policy.confirmations
        first = self._policy.start_block if cursor is None else cursor.number + 1
        for chapter in self._ranges(first, target):
            found = await self._reader.chapter(*chapter)
            if cursor is not None and await newest_canonical(self._reader, [cursor]) is None:
                raise ReorgDetected("the chain changed below what was read")
            await self._store.ingest(found.last, entries_of(found))
            cursor = found.last
        if cursor is not None:
            await self._complete(cursor)
        self._last = head
        return True

    async def _complete(self, cursor: BlockRef) -> None:
        """Reads again what may have been left out, where the contract's counts say so.

        A piece of it a cycle, so that what is new does not wait for it.
        """
        if self._again is None:
            start = await self._completeness.check(cursor)
            if start is None:
                return
            self._again = max(start, self._policy.start_block), cursor.number
        (first, last), self._again = self._again, None  # where it fails, `check` says when again
        for chapter in islice(self._ranges(first, last), _RANGES_AGAIN):
            found = await self._reader.chapter(*chapter)
            await self._store.add(entries_of(found))
            first = chapter[1] + 1
        if await newest_canonical(self._reader, [cursor]) is None:
            raise ReorgDetected("the chain changed while it was read again")
        self._again = (first, last) if first <= last else None
        if self._again is None:
            await self._completeness.complete(cursor)

    def _ranges(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        for start in range(first, last + 1, self._policy.range_blocks):
            yield start, min(start + self._policy.range_blocks - 1, last)

    async def _cursor(self, stood_on: Sequence[BlockRef]) -> BlockRef | None:
        """Where to read on, after what is not on the chain any more was taken away."""
        if not stood_on:
            return None
        block = await newest_canonical(self._reader, stood_on)
        if block == stood_on[0]:
            return block
        if block is None:
            genesis = await self._reader.block(0)
            if genesis is None:
                raise ChainUnreachable("the node has no block 0")
            if genesis.hash != self._reader.genesis_hash:
                raise WrongChain(
                    "the chain was replaced by another one",
                    hint="start the explorer again: each chain has an index of its own",
                )
        _log.info("reorg", rewound_to=None if block is None else block.number)
        await self._store.rewind(block)
        self._again = None
        self._completeness.rewound(-1 if block is None else block.number)
        return block
