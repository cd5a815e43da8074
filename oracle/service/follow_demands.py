"""Finds demands to reveal leaves of our traces: by their logs, and by the court's own counts.

An endpoint can leave a log out and say nothing, and what is demanded and not shown costs a bond; so
the court counts what is demanded of each operator, and of each answer. Reads a bounded piece at a
time, since whoever calls has demands to meet meanwhile. Meets none itself, and forgets none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from oracle.core.dispute import RevealDemand
from oracle.core.event import BlockRef
from oracle.core.job import Job, JobState
from oracle.core.transaction import Transaction, TransactionState
from oracle.core.types import Address
from oracle.errors import ChainUnreachable
from oracle.ports.clock import Clock
from oracle.ports.contracts import CourtContract
from oracle.ports.demands import DemandSource, DemandStore
from oracle.ports.jobs import JobStore
from oracle.ports.reading import HeadReader
from oracle.ports.sending import TransactionStore
from oracle.service.journal import short

_log = structlog.get_logger("oracle.reveal")

DISPUTABLE: Final = (
    JobState.COMPUTED,
    JobState.ANSWERING,
    JobState.ANSWERED,
    JobState.SETTLING,
    JobState.ORPHANED,
)
"""What may be answered on chain and is not final, though our logs may not say so yet."""

_RANGES_AT_ONCE: Final = 8
_MOST_LOOKED_AT: Final = 1_000
_ASKED_AT_ONCE: Final = 25


@dataclass(frozen=True, slots=True)
class FollowPolicy:
    """How demands are looked for.

    Attributes:
        start_block: first block that can hold one.
        range_blocks: most blocks a read spans.
        overlap_blocks: read again each time: a reorg, or a log that came late.
    """

    start_block: int
    range_blocks: int = 2_000
    overlap_blocks: int = 64


class FollowDemands:
    def __init__(
        self,
        reader: HeadReader,
        source: DemandSource,
        demands: DemandStore,
        jobs: JobStore,
        transactions: TransactionStore,
        court: CourtContract,
        clock: Clock,
        operator: Address,
        policy: FollowPolicy,
    ) -> None:
        self._reader = reader
        self._source = source
        self._demands = demands
        self._jobs = jobs
        self._transactions = transactions
        self._court = court
        self._clock = clock
        self._operator = operator
        self._policy = policy
        self._followed: BlockRef | None = None
        self._next: int | None = None
        """Where to read on, before the head is reached."""
        self._unseen = _Unseen()

    @property
    def trouble(self) -> str | None:
        """What keeps demands from us, though every round goes well; None where nothing does."""
        return self._unseen.trouble

    def forget(self) -> None:
        """Nothing can be demanded, or it is another worker's to find out."""
        self._followed, self._next, self._unseen = None, None, _Unseen()

    async def cycle(self) -> tuple[Sequence[RevealDemand], bool]:
        """Reads on, as long as there is an answer of ours that a demand could be about.

        Returns what is new, and whether there is more to read at once.

        Raises:
            OracleError: the chain, or the database.
        """
        if not await self._jobs.jobs(DISPUTABLE, limit=1):
            self.forget()
            return [], False
        head = await self._reader.head()
        found: list[RevealDemand] = []
        if head != self._followed:
            first = await self._first(head)
            for _ in range(_RANGES_AT_ONCE):
                last = min(first + self._policy.range_blocks - 1, head.number)
                found += await self._read(first, last, head)
                first = last + 1
                if first > head.number:
                    break
            else:
                self._next = first
                return found, True
            await self._count(head)
            self._followed, self._next = head, None
        if (below := self._unseen.read_below(head.number)) is not None:
            first = max(self._unseen.floor, below - self._policy.range_blocks)
            found += await self._read(first, below - 1, head, again=True)
            self._unseen.was_read(first, head.number)
            if found:
                await self._count(head)
        return found, False

    async def _first(self, head: BlockRef) -> int:
        """Where to read on; once a head, some blocks again."""
        if self._next is not None:
            return min(self._next, head.number)
        first, cursor = self._policy.start_block, await self._demands.cursor()
        if cursor is not None:
            first = max(first, min(cursor, head.number) - self._policy.overlap_blocks)
        return first

    async def _read(
        self, first: int, last: int, head: BlockRef, *, again: bool = False
    ) -> list[RevealDemand]:
        """Notes what is in these blocks. What is read again leaves the cursor where it is."""
        there = await self._source.demands(first, last, self._operator)
        closed = await self._demands.closed(there)
        found = [*await self._demands.note(None if again else last, there)]
        found += await self._reopened(closed, head)
        for demand in found:
            _log.error(
                "DEMAND: leaves of a trace must be shown, or the bond is lost",
                seconds_left=round(demand.deadline - self._clock.now()),
                **demand_facts(demand),
            )
        return found

    async def _reopened(self, closed: Sequence[RevealDemand], head: BlockRef) -> list[RevealDemand]:
        """Those that the chain has pending all the same: what ended them was on another fork."""
        found = []
        for demand in closed:
            job = await self._jobs.job(demand.request_id)
            if job is None or job.state.terminal or head.timestamp > demand.deadline:
                continue
            # What we met is pending for an endpoint that is behind; a reorg opens its transaction.
            met = await meeting(self._transactions, self._court, demand, job)
            if TransactionState.MINED in {one.state for one in met}:
                continue
            if await self._court.is_pending(demand):
                await self._demands.reopen(demand)
                found.append(demand)
        return found

    # ---- what logs do not tell

    async def _count(self, head: BlockRef) -> None:
        unseen = self._unseen
        try:
            there = await self._court.demands_against(self._operator, head.number)
        except ChainUnreachable as error:
            unseen.trouble = f"the count of demands made of us cannot be read: {error.message}"
            return
        noted = await self._demands.count()
        missing = max(0, there - noted)
        if missing and (there, noted) != unseen.counts:
            if missing > unseen.missing:
                unseen.begin_anew()
            jobs = await self._jobs.jobs(DISPUTABLE, limit=_MOST_LOOKED_AT)
            unseen.of = await self._lacking(jobs)
            unseen.cut_off = len(jobs) == _MOST_LOOKED_AT and len(unseen.of) < missing
        elif not missing:
            unseen.of, unseen.cut_off = [], False
        elif unseen.of:
            jobs = await self._jobs.jobs_of([job.request_id for job in unseen.of])
            unseen.of = await self._lacking([job for job in jobs if job.state in DISPUTABLE])
        unseen.missing, unseen.counts = missing, (there, noted)
        unseen.told()

    async def _lacking(self, jobs: Sequence[Job]) -> list[Job]:
        """Those on whose answers more was demanded than logs told of. The others that are missing
        are on answers that are over."""
        lacking: list[Job] = []
        for start in range(0, len(jobs), _ASKED_AT_ONCE):
            some = jobs[start : start + _ASKED_AT_ONCE]
            counts = await asyncio.gather(*(self._court.demands(one.request_id) for one in some))
            for job, (made, _) in zip(some, counts, strict=True):
                if made > await self._demands.count(job.request_id):
                    lacking.append(job)
        return lacking


@dataclass(slots=True)
class _Unseen:
    """Answers on which something was demanded that no log has told of, and the search for it: the
    newest blocks first, and once in vain, after ever longer pauses."""

    missing: int = 0
    counts: tuple[int, int] = (0, 0)
    """What the court had counted and logs had told of, at the last look."""
    of: list[Job] = field(default_factory=list)
    cut_off: bool = False
    """Whether there were more answers than are looked at."""
    trouble: str | None = None
    _below: int | None = None
    _next: int = 0
    _pause_blocks: int = 1

    @property
    def floor(self) -> int:
        """The first block that is read again: before a request nothing is demanded on it."""
        return min(job.block_number for job in self.of)

    def begin_anew(self) -> None:
        """More is missing than was."""
        self._below, self._next, self._pause_blocks = None, 0, 1

    def told(self) -> None:
        """Says what there is to say, once."""
        before, self.trouble = self.trouble, None
        if self.cut_off and not self.of:
            self.trouble = (
                f"the node's logs lack {self.missing} demands, on one of more answers than are "
                "looked at; use another endpoint"
            )
            return
        if not self.of:
            if before is not None:
                _log.info("logs complete", of="demands")
            return
        if before is None:
            _log.warning("logs missing", of="demands", missing=len(self.of))
        named = ", ".join(short(job.request_id) for job in self.of[:3])
        self.trouble = (
            f"the node's logs lack demands on {len(self.of)} of our answers ({named}): each that "
            "is not met in time costs the bond; if this lasts, use another endpoint"
        )

    def read_below(self, head: int) -> int | None:
        """What is to be read again ends before this block; None where nothing is, now."""
        if not self.of:
            self._below = None
        elif self._below is None and head >= self._next:
            self._below = head + 1
        return self._below

    def was_read(self, first: int, head: int) -> None:
        """Notes how far the search has come."""
        if first > self.floor:
            self._below = first
            return
        self._below, self._next = None, head + self._pause_blocks
        self._pause_blocks *= 2


async def meeting(
    transactions: TransactionStore, court: CourtContract, demand: RevealDemand, job: Job
) -> list[Transaction]:
    """Every transaction that was ever saved to meet a demand, by any worker, oldest first."""
    return [
        one
        for one in await transactions.transactions_for(demand.request_id)
        if court.meets(one.call.data, job.request, demand)
    ]


def demand_facts(demand: RevealDemand) -> dict[str, object]:
    """What is demanded, of whom and until when, by name."""
    leaves = demand.leaves
    return {
        "request": short(demand.request_id),
        "number": demand.number,
        "row": leaves.row,
        "tensor": leaves.tensor,
        "leaves": f"{leaves.first} to {leaves.first + leaves.count - 1}",
        "demander": demand.demander,
        "deadline": demand.deadline,
    }
