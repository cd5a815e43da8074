"""Reads the chain by a stored cursor and tells the job table what happened.

Truth is `events` over block ranges; after each read, the block that the cursor stood on is compared
with the chain, so a reorg is seen before anything read across it is kept. Knows no job's next step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

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
from oracle.core.health import Following
from oracle.core.job import Trigger
from oracle.core.types import ZERO_ADDRESS, Address
from oracle.errors import ChainUnreachable, FinalityBroken, WrongChain
from oracle.ports.contracts import StakingContract
from oracle.ports.jobs import JobMove, JobPatch, JobStore
from oracle.ports.reading import ChainReader
from oracle.service import journal
from oracle.service.completeness import Completeness

_log = structlog.get_logger("oracle.watch")

_ANOTHER_CHAIN = WrongChain(
    "none of the blocks this database has read is on the chain any more",
    hint="`oracle node reset` forgets a local chain that began anew, then `oracle node run`; on a "
    "public chain, check the endpoint before anything else",
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
        finality_blocks: new blocks until the node is asked again which one is final.
        count_seconds: how long blocks may come without a look at the contract's own count.
    """

    start_block: int
    confirmations: int = 0
    range_blocks: int = 2_000
    search_depth: int = 512
    read_again_blocks: int = 512
    finality_blocks: int = 32
    count_seconds: int = 30


class Watch:
    """Follows the chain for one operator."""

    def __init__(
        self,
        reader: ChainReader,
        staking: StakingContract,
        jobs: JobStore,
        operator: Address,
        policy: WatchPolicy,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._reader = reader
        self._jobs = jobs
        self._operator = operator
        self._policy = policy
        self._completeness = Completeness(staking, jobs, operator)
        self._last_head: BlockRef | None = None
        self._final: BlockRef | None = None
        self._final_asked_at: int | None = None
        self._looked_back = self._checked = False
        self._counted_at = float("-inf")
        self._contradicted_from: int | None = None
        self._look_again_from = 0
        self._pause_blocks = 1
        self.head: BlockRef | None = None
        self.cursor: BlockRef | None = None
        self._reached_at: float | None = None
        self._got_on_at: float | None = None

    def following(self, failure: str | None = None) -> Following:
        """How far the chain is read. Args: failure: of the last look, for whoever judges it."""
        head, cursor = self.head, self.cursor
        return Following(
            reached_at=self._reached_at,
            got_on_at=self._got_on_at,
            head_block=head.number if head else None,
            head_time=head.timestamp if head else None,
            cursor_block=cursor.number if cursor else None,
            failure=failure,
            missing_logs=self._completeness.missing,
        )

    @property
    def trouble(self) -> str | None:
        """What is wrong though every read went well: logs that the node does not give."""
        return self._completeness.trouble

    def forget(self) -> None:
        """Another worker has read the chain since: what is remembered of it is out of date."""
        self._completeness = self._completeness.afresh()
        self._last_head = self._final = self._final_asked_at = None
        self._looked_back = False
        self._reached_at = self._got_on_at = self._now()  # what was another's to do is not late

    async def cycle(self) -> bool:
        """Reads up to the head. True where a job changed.

        Raises:
            ChainUnreachable: no answer; nothing is lost, the next cycle starts at the cursor.
            WrongChain: no block the cursor ever stood on is on this chain; FinalityBroken: some
                are, and a block that was final is not.
        """
        head = await self._reader.head()
        if self._last_head is not None and head == self._last_head:
            self._reached()
            return await self._check()
        self.cursor = await self._jobs.cursor()
        if self.cursor and head.number < self.cursor.number:
            # A node that lags, or a fork that is still growing: it says nothing about what was
            # read. Only another chain would stay behind for good.
            await self._require_same_chain()
            await self._require_final(head)
            return False
        changed = await self._check_what_is_stored()
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
            self.cursor, self._got_on_at = batch.last, self._now()
        if self.cursor and self.cursor.number >= target and not await self._at(self.cursor, head):
            changed |= await self._rewind()
            return changed
        await self._note_final(head)
        self._last_head = self.head = head
        self._reached()
        self._checked = False
        # What was found is passed on first; the round that then follows at once will check. So does
        # one that finds no new block; on a chain where each does, it is done now and then.
        if changed or not self._count_is_due(head):
            return changed
        return await self._check()

    def _reached(self) -> None:
        self._reached_at = self._got_on_at = self._now()

    async def _check_what_is_stored(self) -> bool:
        """Once, before anything is read: logs that were lost just before this worker began."""
        if self._looked_back:
            return False
        changed = False
        # Where there is no cursor, nothing was read; off the chain, its count is another chain's.
        if (
            self.cursor is not None
            and await self._is_canonical(self.cursor)
            and await self._completeness.check(self.cursor)
        ):
            changed = await self._read_again(self.cursor, self._recent(self.cursor))
        self._looked_back = True  # not where the node gave no answer: then the next round looks
        return changed

    def _recent(self, cursor: BlockRef) -> int:
        return cursor.number - self._policy.read_again_blocks + 1

    def _count_is_due(self, head: BlockRef) -> bool:
        waited = head.timestamp - self._counted_at >= self._policy.count_seconds
        return waited or self._completeness.trouble is not None

    async def _check(self) -> bool:
        """Whether logs are missing up to the cursor, once a head. True where some were found."""
        if self._checked or self.cursor is None:
            return False
        self._checked, self._counted_at = True, self.cursor.timestamp
        missing = await self._completeness.check(self.cursor)
        first = await self._contradicted(self.cursor)
        if missing:
            recent = self._recent(self.cursor)
            first = recent if first is None else min(first, recent)
        return first is not None and await self._read_again(self.cursor, first)

    async def _contradicted(self, cursor: BlockRef) -> int | None:
        """Where to read again, as the chain refuses jobs for a state that no log told of.

        None, too, where it was tried in vain: each time, twice as many blocks are let pass.
        """
        first = await self._jobs.contradicted()
        if first != self._contradicted_from:
            self._contradicted_from = first
            self._look_again_from, self._pause_blocks = 0, 1
        if first is None:
            return None
        if cursor.number < self._look_again_from:
            return None
        self._look_again_from = cursor.number + self._pause_blocks
        self._pause_blocks *= 2
        _log.warning("the chain has moved jobs on without a log", read_again_from=first)
        return first

    async def _ingest(self, batch: LogBatch) -> bool:
        seen, moves = translate(batch.events, self._operator)
        jobs = await self._jobs.ingest(batch.last, seen, moves)
        journal.record(jobs)
        return bool(jobs)

    async def _read_again(self, cursor: BlockRef, earliest: int) -> bool:
        """Reads what the node may have withheld. What was read before changes nothing again."""
        first, changed = max(self._policy.start_block, earliest), False
        if first > cursor.number:
            return False
        while first <= cursor.number:
            last = min(first + self._policy.range_blocks - 1, cursor.number)
            batch = await self._reader.events(first, last)
            is_end = last == cursor.number
            if not (batch.last == cursor if is_end else await self._is_canonical(cursor)):
                return changed  # a fork: the next cycle sees it, too
            changed |= await self._ingest(replace(batch, last=cursor))  # which stays where it is
            first = last + 1
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

    async def _note_final(self, head: BlockRef) -> None:
        """Remembers the newest block that is final and was read, asking once in a while."""
        asked = self._final_asked_at
        if asked is not None and abs(head.number - asked) < self._policy.finality_blocks:
            return
        found = await self._reader.finalised()
        self._final_asked_at = head.number
        if found is None or self.cursor is None:
            return
        if found.number > self.cursor.number:  # the chain went on meanwhile
            if not await self._is_canonical(self.cursor):
                return
            found = self.cursor
        known = await self._known_final()
        if found.number >= self._policy.start_block and (
            known is None or found.number > known.number
        ):
            await self._jobs.finalise(found)
            self._final = found

    async def _known_final(self) -> BlockRef | None:
        if self._final is None:
            self._final = await self._jobs.finalised()
        return self._final

    async def _require_final(self, head: BlockRef) -> None:
        """What was final may be built upon: if it is gone, nothing that was read can be trusted."""
        final = await self._known_final()
        if final is None or final.number > head.number:
            return
        if not await self._is_canonical(final):
            raise FinalityBroken(
                f"the chain has replaced block {final.number}, which it had called final",
                hint="check the endpoint; if the chain itself did this, settle by hand what it "
                "undid; a local chain: `oracle node reset`, then `oracle node run`",
            )

    async def _rewind(self) -> bool:
        await self._require_final(await self._reader.head())
        ancestor = await self._ancestor()
        _log.warning("reorg", rewound_to=ancestor.number)
        jobs = await self._jobs.rewind(ancestor)
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
            patch: JobPatch = {"accepted": True, "accepted_block": block, "ended_block": None}
            return JobMove(event.request_id, Trigger.ACCEPTED_BY_US, patch)
        case RequestAccepted(operator=acceptor):
            return _ended(event, Trigger.ACCEPTED_BY_OTHER, f"accepted by {acceptor}")
        case RequestAnswered(operator=answerer) if answerer == operator:
            return JobMove(
                event.request_id,
                Trigger.ANSWERED,
                {
                    "settle_at": event.settle_at,
                    "answered_block": block,
                    "ended_block": None,
                    "result": event.result,
                    "reason": None,
                    "attempts": 0,
                    "not_before": 0.0,
                },
                event,
            )
        case RequestSettled(operator=answerer) if answerer == operator:
            return JobMove(
                event.request_id,
                Trigger.SETTLED,
                {"settled_block": block, "fee_earned": event.fee, "reason": None},
            )
        case RequestCancelled():
            return _ended(event, Trigger.WITHDRAWN, "cancelled")
        case RequestExpired():
            return _ended(event, Trigger.WITHDRAWN, "expired")
        case RequestDefaulted(operator=defaulter) if defaulter == operator:
            return _ended(event, Trigger.DEFAULTED, "not answered in time")
        case AnswerResumed():
            return JobMove(event.request_id, Trigger.POSTPONE, {"settle_at": event.settle_at})
        case AnswerVoided(operator=answerer) if answerer == operator:
            return _ended(event, Trigger.SLASHED, f"convicted by {event.watcher}")
        case _:
            return None


def _ended(event: ChainEvent, trigger: Trigger, reason: str) -> JobMove:
    patch: JobPatch = {"reason": reason, "ended_block": event.position.block_number}
    return JobMove(event.request_id, trigger, patch)
