"""What an operator is shown of a node: sums, the latest jobs, speed over time, the chain's side.

The database's part is `OverviewStore`, the chain's `OperatorFacts`; `Overview` is both, and what
the node says of itself, at one moment. Amounts in base units and wei, times in Unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from oracle.core.dispute import RevealDemand
from oracle.core.economics import Estimate, Outcome
from oracle.core.explanation import Explanation
from oracle.core.health import Health
from oracle.core.job import Job, JobState
from oracle.core.operator import Offer
from oracle.core.transaction import Transaction
from oracle.core.types import Address
from oracle.ports.health import Heartbeat
from oracle.ports.views import CreditTotals


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job as it is listed.

    Attributes:
        seen_at, computed_at, sent_at, ended_at: by the worker's clock; None where it has not been.
        *_block: where the chain has it.
        gas_wei: its share of the transactions that served it.
    """

    request_id: bytes
    model_id: bytes
    state: JobState
    reason: str | None
    attempts: int
    fee: int
    fee_earned: int
    bond: int
    wei_per_opg: int
    gas_wei: int
    deadline: int
    settle_at: int | None
    seen_at: float
    computed_at: float | None
    sent_at: float | None
    ended_at: float | None
    inference_seconds: float | None
    seen_block: int
    accepted_block: int | None
    answered_block: int | None
    settled_block: int | None
    ended_block: int | None

    def after(self, at: float | None) -> float | None:
        """Seconds from when it was seen; 0 for what was signed before it, as for a view."""
        return None if at is None else max(0.0, at - self.seen_at)

    @property
    def profit_wei(self) -> int | None:
        """Of a settled job whose OPG has a price; None of any other."""
        if self.state is not JobState.SETTLED or not self.wei_per_opg:
            return None
        return self.fee_earned * self.wei_per_opg // 10**18 - self.gas_wei


@dataclass(frozen=True, slots=True)
class ModelSums:
    """What became of all requests to one model, and how fast its latest answers were.

    Attributes:
        median_inference_seconds, median_seconds: in the model; from the request being seen to its
            answer being sent. None where none was answered in the stretch of time.
    """

    model_id: bytes
    jobs: Mapping[JobState, int]
    median_inference_seconds: float | None
    median_seconds: float | None

    def _of(self, *states: JobState) -> int:
        return sum(self.jobs.get(one, 0) for one in states)

    @property
    def delivered(self) -> int:
        return self._of(JobState.ANSWERED, JobState.SETTLING, JobState.SETTLED)

    @property
    def defaulted(self) -> int:
        return self._of(JobState.DEFAULTED)

    @property
    def failed(self) -> int:
        return self._of(JobState.FAILED)

    @property
    def convicted(self) -> int:
        return self._of(JobState.SLASHED)

    @property
    def due(self) -> int:
        """Requests that bound this operator and have come to an end, good or bad."""
        return self.delivered + self.defaulted + self.failed + self.convicted


@dataclass(frozen=True, slots=True)
class GasSum:
    """Transactions of one purpose that were mined."""

    purpose: str
    transactions: int
    reverted: int
    wei: int


@dataclass(frozen=True, slots=True)
class Money:
    """What came in and went out over a stretch of time."""

    fees_earned: int
    gas: Sequence[GasSum]

    @property
    def gas_wei(self) -> int:
        return sum(one.wei for one in self.gas)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Answers sent in one part of a stretch of time; medians are None where there were none."""

    answers: int
    median_seconds: float | None
    slow_seconds: float | None
    """95 of 100 were no slower."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time in equal parts, the oldest first."""

    start: float
    bucket_seconds: float
    buckets: Sequence[Bucket]
    median_seconds: float | None
    slow_seconds: float | None

    @property
    def seconds(self) -> float:
        return self.bucket_seconds * len(self.buckets)

    @property
    def answers(self) -> int:
        return sum(one.answers for one in self.buckets)


@dataclass(frozen=True, slots=True)
class Sums:
    """What takes a look at many rows: not made for every moment.

    Attributes:
        money, money_in_all: of the stretch, and of all time.
        views: what answers in views brought; None where they can only be free.
    """

    stretch: Stretch
    money: Money
    money_in_all: Money
    models: Sequence[ModelSums]
    views: CreditTotals | None = None


class OverviewStore(Protocol):
    async def counts(self) -> Mapping[JobState, int]:
        """How many jobs stand in each state. Raises StorageError."""
        ...

    async def latest(self, limit: int) -> Sequence[JobLine]:
        """The latest requests, newest first. Raises StorageError."""
        ...

    async def line(self, request_id: bytes) -> JobLine | None:
        """One request. Raises StorageError."""
        ...

    async def sums(self, now: float, bucket_seconds: float, buckets: int) -> Sums:
        """Of a stretch of time that ends now, its parts at round times. Raises StorageError."""
        ...


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A standing offer, and the name of its model where the chain gives one."""

    model_id: bytes
    name: str
    tier: str
    offer: Offer
    here: bool
    """Whether the model is in this machine's store."""


@dataclass(frozen=True, slots=True)
class OperatorFacts:
    """What the chain holds for the operator and its keys.

    Attributes:
        credit: what settlements have credited to the payout account, and it has not withdrawn.
        claimable: shares of slashes that the operator may claim.
        payer: the key that pays for what is sent next.
        coin_wei: what the keys that pay for transactions have, each.
        answer_wei: what an answer costs now.
    """

    read_at: float
    signer: Address
    payout: Address
    stake: int
    locked: int
    free: int
    unanswered: int
    credit: int
    claimable: int
    payer: Address
    coin_wei: Mapping[Address, int]
    answer_wei: int
    offers: Sequence[OfferedModel]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that went wrong lately, and the verb that mends it.

    Attributes:
        times: how often in a row it was said; `at` is the last time.
    """

    at: float
    level: str
    what: str
    where: str
    mend: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything a page shows. `chain` is None before the chain has been read."""

    heartbeat: Heartbeat
    health: Health
    counts: Mapping[JobState, int]
    jobs: Sequence[JobLine]
    sums: Sums
    chain: OperatorFacts | None
    chain_trouble: str | None
    demands: Sequence[RevealDemand]
    troubles: Sequence[Trouble]
    names: Mapping[bytes, str]
    """Names of models by id, as far as they are known."""


@dataclass(frozen=True, slots=True)
class JobStory:
    """One job and all that is kept of it.

    Attributes:
        retry_refused: why it cannot be tried again by hand; None where it can.
    """

    job: Job
    line: JobLine
    model: str | None
    transactions: Sequence[Transaction]
    estimate: Estimate | None
    outcome: Outcome
    explanation: Explanation
    retry_refused: str | None


class OverviewSource(Protocol):
    async def overview(self, bucket_seconds: float, buckets: int) -> Overview:
        """The present. Raises StorageError."""
        ...

    async def story(self, request_id: bytes) -> JobStory:
        """One job. Raises NotFound where there is none, and StorageError."""
        ...


class OperatorActions(Protocol):
    """What an operator may do from a page, as the command line's verbs of the same names do."""

    async def retry(self, request_id: bytes) -> str:
        """`oracle job retry`: what it came to. Raises InputError or NotFound."""
        ...

    def drain(self) -> str:
        """As SIGTERM: takes on no more, and ends when what is begun is finished."""
        ...
