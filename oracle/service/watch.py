"""Reads the chain by a stored cursor and tells the job table what happened.

Truth is `events` over block ranges; after each read, the block that the cursor stood on is compared
with the chain, so a reorg is seen before anything read across it is kept. Knows no job's next step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from oracle.core.event import (
    AnswerResumed,
    AnswerVoided,
    BlockRef,
    ChainEvent,
    LogBatch,
    RequestAccepted,
    RequestAnswered,
    RequestCancelled,
    RequestDefaulted,
    RequestExpired,
    RequestSeen,
    RequestSettled,
)
from oracle.core.job import Trigger
from oracle.core.types import ZERO_ADDRESS, Address
from oracle.errors import ChainUnreachable, WrongChain
from oracle.ports import ChainReader, JobMove, JobStore, StakingContract
from oracle.service import journal
from oracle.service.completeness import Completeness

_log = structlog.get_logger("oracle.watch")

_ANOTHER_CHAIN = WrongChain(
    "none of the blocks this database has read is on the chain any more",
    hint="a local chain that started anew needs a new data directory; on a public chain, "
    "check the endpoint before anything else",
)


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """How the chain is read.

    Attributes:
        start_block: first block that can hold an event, the oracle's deployment.
        confirmations: blocks on top of one before it is read.
        range_blocks: most blocks a read spans.
        search_depth: stored blocks searched for a common ancestor.
        read_again_blocks: blocks before the cursor that are read again where logs are missing.
    """

    start_block: int
    confirmations: int = 0
    range_blocks: int = 2_000
    search_depth: int = 512
    read_again_blocks: int = 512


class Watch:
    """Follows the chain for one operator."""

    def __init__(
        self,
        reader: ChainReader,
        staking: StakingContract,
        jobs: JobStore,
        operator: Address,
        policy: WatchPolicy,
    ) -> None:
        self._reader = reader
        self._jobs = jobs
        self._operator = operator
        self._policy = policy
        self._completeness = Completeness(staking, operator)
        self._last_head: BlockRef | None = None
        self._checked = False
        self.head: BlockRef | None = None
        self.cursor: BlockRef | None = None

    @property
    def trouble(self) -> str | None:
        """What is wrong though every read went well: logs that the node does not give."""
        return self._completeness.trouble

    async def cycle(self) -> bool:
        """Reads up to the head. True where a job changed.

        Raises:
            ChainUnreachable: no answer; nothing is lost, the next cycle starts at the cursor.
            WrongChain: no block the cursor ever stood on is on this chain.
        """
        head = await self._reader.head()
        if self._last_head is not None and head == self._last_head:
            return await self._check()
        self.cursor = await self._jobs.cursor()
        if self.cursor and head.number < self.cursor.number:
            # A node that lags, or a fork that is still growing: it says nothing about what was
            # read. Only another chain would stay behind for good.
            await self._require_same_chain()
            return False
        await self._completeness.start(self.cursor)
        changed = False
        target = head.number - self._policy.confirmations
        while True:
            first = self.cursor.number + 1 if self.cursor else self._policy.start_block
            if first > target:
                break
            last = min(first + self._policy.range_blocks - 1, target)
            batch = await self._reader.events(first, last)
            if self.cursor and not await self._is_canonical(self.cursor):
                changed |= await self._rewind()
                continue
            changed |= await self._ingest(batch)
            self.cursor = batch.last
        if self.cursor and self.cursor.number >= target and not await self._at(self.cursor, head):
            changed |= await self._rewind()
            return changed
        self._last_head = self.head = head
        self._checked = False
        # What was found is passed on first; the round that then follows at once will check.
        return changed or await self._check()

    async def _check(self) -> bool:
        """Whether logs are missing up to the cursor, once a head. True where some were found."""
        if self._checked or self.cursor is None:
            return False
        self._checked = True
        if not await self._completeness.check(self.cursor):
            return False
        return await self._read_again(self.cursor)

    async def _ingest(self, batch: LogBatch) -> bool:
        seen, moves = translate(batch.events, self._operator)
        jobs = await self._jobs.ingest(batch.last, seen, moves)
        self._completeness.note(batch.events)
        journal.record(jobs)
        return bool(jobs)

    async def _read_again(self, cursor: BlockRef) -> bool:
        """Reads what the node may have withheld. What was read before changes nothing again."""
        earliest = cursor.number - self._policy.read_again_blocks + 1
        first = max(self._policy.start_block, earliest)
        if first > cursor.number:
            return False
        batch = await self._reader.events(first, cursor.number)
        if batch.last != cursor:
            return False  # a fork: the next cycle sees it, too
        changed = await self._ingest(batch)
        await self._completeness.check(cursor)
        return changed

    async def _at(self, cursor: BlockRef, head: BlockRef) -> bool:
        """Whether the cursor is canonical, asking only where the head does not tell."""
        return cursor.hash == head.hash or await self._is_canonical(cursor)

    async def _is_canonical(self, block: BlockRef) -> bool:
        canonical = await self._reader.block(block.number)
        if canonical is None:
            raise ChainUnreachable(f"the node has lost block {block.number}, which it had before")
        return canonical.hash == block.hash

    async def _rewind(self) -> bool:
        ancestor = await self._ancestor()
        _log.warning("reorg", rewound_to=ancestor.number)
        jobs = await self._jobs.rewind(ancestor)
        await self._completeness.rewind(ancestor)
        journal.record(jobs)
        self.cursor = ancestor
        return bool(jobs)

    async def _ancestor(self) -> BlockRef:
        """The newest block that was read and is still there; before the first read, at last."""
        read = await self._jobs.recent_blocks(self._policy.search_depth)
        for block in read:
            if await self._is_canonical(block):
                return block
        await self._require_same_chain()
        if len(read) < self._policy.search_depth:
            # All that was ever read is gone, but it was little: a long range counts as one block.
            before = await self._reader.block(max(0, self._policy.start_block - 1))
            if before is not None:
                return before
        raise _ANOTHER_CHAIN

    async def _require_same_chain(self) -> None:
        genesis = await self._reader.block(0)
        if genesis is None or genesis.hash != self._reader.genesis_hash:
            raise _ANOTHER_CHAIN


def translate(
    events: Iterable[ChainEvent], operator: Address
) -> tuple[list[RequestSeen], list[JobMove]]:
    """What events mean to one operator's jobs: new requests it may serve, and moves, in order."""
    seen: list[RequestSeen] = []
    moves: list[JobMove] = []
    for event in events:
        if isinstance(event, RequestSeen):
            if event.request.operator in (ZERO_ADDRESS, operator):
                seen.append(event)
        elif (move := _move(event, operator)) is not None:
            moves.append(move)
    return seen, moves


def _move(event: ChainEvent, operator: Address) -> JobMove | None:
    block = event.position.block_number
    match event:
        case RequestAccepted(operator=acceptor) if acceptor == operator:
            return JobMove(event.request_id, Trigger.ACCEPTED_BY_US, {"accepted": True})
        case RequestAccepted(operator=acceptor):
            reason = f"accepted by {acceptor}"
            return JobMove(event.request_id, Trigger.ACCEPTED_BY_OTHER, {"reason": reason})
        case RequestAnswered(operator=answerer) if answerer == operator:
            return JobMove(
                event.request_id,
                Trigger.ANSWERED,
                {
                    "settle_at": event.settle_at,
                    "answered_block": block,
                    "result": event.result,
                    "reason": None,
                    "attempts": 0,
                    "not_before": 0.0,
                },
            )
        case RequestSettled(operator=answerer) if answerer == operator:
            return JobMove(
                event.request_id,
                Trigger.SETTLED,
                {"settled_block": block, "fee_earned": event.fee, "reason": None},
            )
        case RequestCancelled():
            return JobMove(event.request_id, Trigger.WITHDRAWN, {"reason": "cancelled"})
        case RequestExpired():
            return JobMove(event.request_id, Trigger.WITHDRAWN, {"reason": "expired"})
        case RequestDefaulted(operator=defaulter) if defaulter == operator:
            return JobMove(event.request_id, Trigger.DEFAULTED, {"reason": "not answered in time"})
        case AnswerResumed():
            return JobMove(event.request_id, Trigger.POSTPONE, {"settle_at": event.settle_at})
        case AnswerVoided(operator=answerer) if answerer == operator:
            return JobMove(
                event.request_id, Trigger.SLASHED, {"reason": f"convicted by {event.watcher}"}
            )
        case _:
            return None
