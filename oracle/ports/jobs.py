"""The job table: its moves, each all or nothing, and its sums."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol, TypedDict

from oracle.core.event import BlockRef, RequestAnswered, RequestSeen
from oracle.core.job import Job, JobState, Trigger
from oracle.core.receipt import Answer
from oracle.core.types import Address


class JobPatch(TypedDict, total=False):
    """Fields of a job that a move may set, by the names of `Job`."""

    reason: str | None
    accepted: bool
    result: bytes | None
    answer: Answer | None
    signature: bytes | None
    session: str | None
    inference_seconds: float | None
    settle_at: int | None
    accepted_block: int | None
    answered_block: int | None
    settled_block: int | None
    ended_block: int | None
    fee_earned: int
    attempts: int
    not_before: float
    economics: str | None
    strikes: int


@dataclass(frozen=True, slots=True)
class JobMove:
    """Move one job along one edge of its table, setting fields in the same stroke.

    Attributes:
        posted: our answer as the chain has it; a job that does not know it takes it from there.
    """

    request_id: bytes
    trigger: Trigger
    patch: JobPatch = field(default_factory=JobPatch)
    posted: RequestAnswered | None = None


@dataclass(frozen=True, slots=True)
class DatabaseIdentity:
    """What a database belongs to. A devnet that starts anew has another genesis hash."""

    chain_id: int
    oracle: Address
    operator: Address
    genesis_hash: bytes


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the job and transaction tables. Amounts in base units and wei."""

    jobs: Mapping[JobState, int]
    fees_earned: int
    gas_spent_wei: int
    transactions: int
    reverted: int


@dataclass(frozen=True, slots=True)
class Disputable:
    """Answers of ours whose windows are open, when the last of them closes (Unix second), and what
    they can cost in all, in base units."""

    answers: int
    until: int
    bonds: int


class JobStore(Protocol):
    """The job table, the cursor, the sign-once record. Each method is one transaction."""

    async def bind(self, identity: DatabaseIdentity) -> None:
        """Raises WrongChain where the database belongs to another chain, oracle or operator."""
        ...

    async def cursor(self) -> BlockRef | None:
        """The last block whose events are in the job table."""
        ...

    async def contradicted(self) -> int | None:
        """First block of those jobs that the chain has refused more than once for their state.

        It has moved them on, and its logs of that were never read. None where there are none.
        """
        ...

    async def bound(self, through_block: int) -> int:
        """How many requests have bound us in blocks up to this one, by the logs that were read."""
        ...

    async def recent_blocks(self, limit: int) -> Sequence[BlockRef]:
        """Blocks the cursor has stood on, newest first."""
        ...

    async def ingest(
        self, last: BlockRef, seen: Sequence[RequestSeen], moves: Sequence[JobMove]
    ) -> Sequence[Job]:
        """Adds jobs, moves jobs and sets the cursor, all or nothing.

        A request seen again is re-anchored (and RESEEN if it was orphaned). A move for a request
        that is not in the table, or that the transition table does not have (a log delivered
        twice), is skipped. Returns the jobs that changed.
        """
        ...

    async def rewind(self, ancestor: BlockRef) -> Sequence[Job]:
        """Undoes what was read above `ancestor` after a reorg.

        Jobs anchored above it are ORPHANED; acceptances, answers, settlements and ends mined above
        it are undone (ACCEPT_UNMINED, ANSWER_UNMINED, SETTLE_UNMINED, END_UNMINED); transactions
        are open again, and a job that waits for one that is not ours goes back a step; the cursor
        stands on `ancestor`. Returns the jobs that changed.
        """
        ...

    async def finalised(self) -> BlockRef | None:
        """The newest block that the chain has called final."""
        ...

    async def finalise(self, block: BlockRef) -> None:
        """Records that the chain calls a block final that was read."""
        ...

    async def move(self, moves: Sequence[JobMove]) -> Sequence[Job]:
        """Moves jobs, all or none.

        Raises:
            IllegalTransition: a job is not where the move starts.
            NotFound: no such job.
        """
        ...

    async def job(self, request_id: bytes) -> Job | None: ...

    async def jobs_of(self, request_ids: Sequence[bytes]) -> Sequence[Job]:
        """Those of these jobs that there are, in no particular order."""
        ...

    async def standing_in(
        self, states: Sequence[JobState], request_ids: Sequence[bytes]
    ) -> Set[bytes]:
        """Those of these requests whose jobs are in one of the states."""
        ...

    async def jobs(
        self,
        states: Sequence[JobState],
        *,
        limit: int,
        due_at: float | None = None,
        besides: Collection[bytes] = (),
    ) -> Sequence[Job]:
        """Jobs in these states, earliest deadline first; only those due, if a time is given.

        Args:
            besides: ids of models whose jobs are left out.
        """
        ...

    async def settleable(self, chain_time: int, *, limit: int, due_at: float) -> Sequence[Job]:
        """ANSWERED jobs whose windows are over by the chain's time and that are due, those first
        whose windows closed first."""
        ...

    async def take(self, states: Sequence[JobState], *, limit: int, due_at: float) -> Sequence[Job]:
        """This worker's share of the jobs that are due in these states, earliest deadline first.

        What is taken is no other worker's until it is computed and posted, put off, or the worker's
        lease is over. What was taken before comes again.
        """
        ...

    def stop_taking(self) -> None:
        """From now on nothing is taken that was not taken before."""
        ...

    async def reserve_signatures(self, kind: str, digests: Sequence[tuple[bytes, bytes]]) -> None:
        """Records what is about to be signed, as (request id, digest) pairs, all or none.

        The same digest may come again.

        Raises:
            SignedTwice: another digest of this kind is recorded for one of the requests.
        """
        ...

    async def reserved_signatures(
        self, kind: str, request_ids: Sequence[bytes]
    ) -> Mapping[bytes, bytes]:
        """The digests that are reserved, by request."""
        ...

    async def disputable(self, now: float) -> Disputable | None:
        """The answers that can still be disputed; None where there are none."""
        ...

    async def totals(self) -> Totals: ...
