"""Every port: what the services need from the world, as protocols, and the small types they pass.

Implemented in chain, inference and storage; joined in bootstrap. Nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypedDict

from numpy.typing import NDArray

from oracle.core.dispute import RevealDemand
from oracle.core.event import BlockRef, LogBatch, RequestSeen
from oracle.core.job import Job, JobState, Trigger
from oracle.core.model import Model
from oracle.core.operator import Offer, OperatorStatus
from oracle.core.receipt import Accept, Answer, AnswerCommitment
from oracle.core.request import DeliveryState, Request, RequestState
from oracle.core.saved_receipt import SavedReceipt
from oracle.core.schema import ModelSchema
from oracle.core.transaction import (
    Attempt,
    Call,
    Fees,
    Mined,
    Purpose,
    SendOutcome,
    Transaction,
)
from oracle.core.typed_data import Domain
from oracle.core.types import Address, Tier
from oracle.court.opening import Opening
from oracle.errors import OracleError
from oracle.program.instruction import Program, Trace
from oracle.program.manifest import ProgramManifest

Tensors: TypeAlias = Mapping[str, NDArray[Any]]
"""Named arrays, in a schema's names."""


# ---- time


class Clock(Protocol):
    """The worker's wall clock; Unix seconds."""

    def now(self) -> float: ...


# ---- keys


class Signer(Protocol):
    """A hot key. Whoever holds one can sign, and cannot read the key."""

    @property
    def address(self) -> Address: ...

    def sign_digest(self, digest: bytes) -> bytes:
        """65 bytes r ‖ s ‖ v (27 or 28), low s, deterministic (RFC 6979)."""
        ...

    def sign_transaction(
        self, *, chain_id: int, nonce: int, call: Call, fees: Fees, value: int = 0
    ) -> tuple[bytes, bytes]:
        """An EIP-1559 transaction as (hash, raw bytes)."""
        ...


# ---- the chain


class ChainReader(Protocol):
    """Blocks and the oracle's events. Every method raises ChainUnreachable on a dead endpoint."""

    @property
    def domain(self) -> Domain: ...

    @property
    def genesis_hash(self) -> bytes: ...

    async def head(self) -> BlockRef: ...

    async def block(self, number: int) -> BlockRef | None:
        """The canonical block at this height, or None past the head."""
        ...

    async def events(self, first_block: int, last_block: int) -> LogBatch:
        """All oracle events of an inclusive range, in order, from one fork.

        Raises:
            ReorgDetected: the chain changed while it was read; read again.
        """
        ...


@dataclass(frozen=True, slots=True)
class OnChainRequest:
    """What the oracle stores of a request. `accepted_by` is zero unless it is ACCEPTED."""

    state: RequestState
    delivery: DeliveryState
    settle_at: int
    accepted_by: Address


@dataclass(frozen=True, slots=True)
class AnswerItem:
    """One answer as it is posted."""

    request: Request
    result: bytes
    trace_root: bytes


@dataclass(frozen=True, slots=True)
class SettleItem:
    """One settlement; `result` may be empty where no notice is due."""

    request: Request
    commitment: AnswerCommitment
    result: bytes


class ItemCode:
    """Per-item outcome of a batch; mirrors `IInferenceOracle.ItemCode`."""

    NAMES = (
        "Done",
        "WrongState",
        "WrongOperator",
        "TooLate",
        "TooEarly",
        "CommitmentMismatch",
        "ResultMismatch",
    )
    DONE = 0


class OracleContract(Protocol):
    """The oracle's verbs as calldata, and its views."""

    @property
    def address(self) -> Address: ...

    def accept_data(self, request: Request, acceptance: Accept, signature: bytes) -> bytes: ...
    def answer_data(self, item: AnswerItem, operator: Address, signature: bytes) -> bytes: ...
    def answer_batch_data(
        self, items: Sequence[AnswerItem], operator: Address, signature: bytes
    ) -> bytes: ...
    def settle_batch_data(self, items: Sequence[SettleItem]) -> bytes: ...
    def decode_codes(self, returned: bytes) -> tuple[int, ...]:
        """The item codes that a simulated batch returned. Raises ChainUnreachable for others."""
        ...

    async def state_of(self, request_id: bytes) -> OnChainRequest: ...


class CourtContract(Protocol):
    """The court's verbs that an operator needs, as calldata, and a look."""

    @property
    def address(self) -> Address: ...

    def reveal_data(
        self, request: Request, demand: RevealDemand, leaves: bytes, path: Sequence[bytes]
    ) -> bytes: ...
    def dismiss_data(
        self, request: Request, demand: RevealDemand, rows: int, tree_root: bytes
    ) -> bytes: ...

    async def is_pending(self, demand: RevealDemand) -> bool: ...


class DemandSource(Protocol):
    async def demands(
        self, first_block: int, last_block: int, operator: Address
    ) -> Sequence[RevealDemand]:
        """Demands on answers of an operator in an inclusive range. Raises ChainUnreachable."""
        ...


class RegistryContract(Protocol):
    async def model(self, model_id: bytes) -> Model:
        """The model by its registration event and stored facts.

        Raises:
            NotFound: never registered.
        """
        ...


class StakingContract(Protocol):
    async def status(self, operator: Address) -> OperatorStatus:
        """Raises NotFound for an address that never registered."""
        ...

    async def offer(self, operator: Address, model_id: bytes) -> Offer: ...

    async def accepted(self, operator: Address, block: int) -> int:
        """How many requests had ever bound an operator, as of a block; 0 where it is unknown.

        Raises:
            ChainUnreachable: also where the node no longer has the state of that block.
        """
        ...


class TransactionGateway(Protocol):
    """Sends transactions and looks them up. Raises ChainUnreachable where there is no answer."""

    async def chain_time(self) -> int:
        """Timestamp of the latest block, Unix seconds."""
        ...

    async def balance(self, account: Address) -> int:
        """Native balance in wei."""
        ...

    async def next_nonce(self, sender: Address, *, pending: bool) -> int: ...

    async def fees(self) -> Fees:
        """What a transaction should offer now."""
        ...

    async def simulate(self, sender: Address, to: Address, data: bytes) -> bytes:
        """Return data of an eth_call at the pending block.

        Raises:
            ContractReverted: with the decoded custom error.
        """
        ...

    async def estimate_gas(self, sender: Address, to: Address, data: bytes) -> int:
        """Raises ContractReverted where it would revert."""
        ...

    async def send(self, attempt: Attempt) -> tuple[SendOutcome, str | None]:
        """Sends raw bytes; never raises. A reason comes with REFUSED and UNKNOWN."""
        ...

    async def mined(self, attempt_hash: bytes) -> Mined | None: ...


# ---- inference


@dataclass(frozen=True, slots=True)
class CommittedTrace:
    """Every tensor of a run of a program, and the root that commits to them."""

    root: bytes
    program_root: bytes
    trace: Trace


@dataclass(frozen=True, slots=True)
class Inference:
    """One run: outputs by name, seconds in the model, and the session's facts as JSON.

    `trace` is None for a model that is not a program. The outputs of a program may hold NaN.
    """

    outputs: Tensors
    seconds: float
    session: str
    trace: CommittedTrace | None = None


class InferenceEngine(Protocol):
    async def load(
        self, program_root: bytes, schema: ModelSchema, tier: Tier = Tier.UNPROVEN
    ) -> object:
        """Makes a model ready to run. Raises ModelFileError where it cannot be run like this.

        An UNPROVEN model is a file with this SHA-256; any other is a program with this root.
        """
        ...

    async def run_each(
        self,
        program_root: bytes,
        schema: ModelSchema,
        inputs: Sequence[Tensors],
        tier: Tier = Tier.UNPROVEN,
    ) -> Sequence[Inference | OracleError]:
        """Runs each input, batching where that changes no bit; off the event loop.

        Each input has its own result or error: UnusableOutput where the model ran and its output is
        of no use (NaN is, unless it is a program's), InferenceError where it failed.

        Raises:
            ModelFileError: the model cannot be loaded.
        """
        ...


class ModelFiles(Protocol):
    """Model files by their SHA-256 and programs by their root."""

    def has(self, digest: bytes) -> bool: ...


# ---- storage


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A running node's sign of life. Times are Unix seconds."""

    process_id: int
    operator: Address
    started_at: float
    beat_at: float
    head_block: int | None
    cursor_block: int | None
    draining: bool
    trouble: Mapping[str, str]
    """Step by step, the error of the last cycle where it failed, or what else is wrong with it."""
    serving: str | None = None
    """URL at which this machine serves traces."""


class HeartbeatSink(Protocol):
    def write(self, heartbeat: Heartbeat) -> None: ...


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
    answered_block: int | None
    settled_block: int | None
    fee_earned: int
    attempts: int
    not_before: float


@dataclass(frozen=True, slots=True)
class JobMove:
    """Move one job along one edge of its table, setting fields in the same stroke."""

    request_id: bytes
    trigger: Trigger
    patch: JobPatch = field(default_factory=JobPatch)


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


class JobStore(Protocol):
    """The job table, the cursor, the sign-once record. Each method is one transaction."""

    async def bind(self, identity: DatabaseIdentity) -> None:
        """Raises WrongChain where the database belongs to another chain, oracle or operator."""
        ...

    async def cursor(self) -> BlockRef | None:
        """The last block whose events are in the job table."""
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

        Jobs anchored above it are ORPHANED; answers and settlements mined above it are open again
        (ANSWER_UNMINED, SETTLE_UNMINED), and so are the transactions; the cursor stands on
        `ancestor`. Returns the jobs that changed.
        """
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

    async def jobs(
        self, states: Sequence[JobState], *, limit: int, due_at: float | None = None
    ) -> Sequence[Job]:
        """Jobs in these states, earliest deadline first; only those due, if a time is given."""
        ...

    async def reserve_signatures(self, kind: str, digests: Sequence[tuple[bytes, bytes]]) -> None:
        """Records what is about to be signed, as (request id, digest) pairs, all or none.

        The same digest may come again.

        Raises:
            SignedTwice: another digest of this kind is recorded for one of the requests.
        """
        ...

    async def totals(self) -> Totals: ...


class DemandStore(Protocol):
    """Demands on our answers, and how far they were looked for."""

    async def cursor(self) -> int | None:
        """The last block whose demands are in the store."""
        ...

    async def note(self, last_block: int, found: Sequence[RevealDemand]) -> Sequence[RevealDemand]:
        """Adds demands and moves the cursor, all or nothing; those that are new."""
        ...

    async def pending(self) -> Sequence[RevealDemand]:
        """Those not known to be over, the most urgent first."""
        ...

    async def close(self, demand: RevealDemand) -> None: ...


class TransactionStore(Protocol):
    """Transactions and their attempts. Each method is one database transaction."""

    async def highest_nonce(self, sender: Address) -> int | None:
        """The highest nonce used by a transaction that is not abandoned."""
        ...

    async def prepare(
        self,
        *,
        sender: Address,
        nonce: int,
        purpose: Purpose,
        call: Call,
        request_ids: Sequence[bytes],
        attempt: Attempt,
        moves: Sequence[JobMove],
    ) -> Transaction:
        """Saves a transaction, its first attempt and the jobs' moves, all or nothing."""
        ...

    async def add_attempt(self, transaction_id: int, attempt: Attempt) -> None: ...

    async def record_send(self, attempt_hash: bytes, outcome: SendOutcome, at: float) -> None: ...

    async def record_mined(
        self, transaction_id: int, mined: Mined, moves: Sequence[JobMove]
    ) -> None: ...

    async def abandon(self, transaction_id: int, moves: Sequence[JobMove]) -> None:
        """Gives a transaction up: it can never be mined."""
        ...

    async def open_transactions(self, sender: Address) -> Sequence[Transaction]:
        """Transactions not known to be mined, lowest nonce first."""
        ...

    async def count_open(self, sender: Address) -> int:
        """How many `open_transactions` there are; reads none of them."""
        ...

    async def transactions_for(self, request_id: bytes) -> Sequence[Transaction]: ...


# ---- traces


@dataclass(frozen=True, slots=True)
class TraceToKeep:
    """A trace that an answer commits to. `holder` is the request's id."""

    holder: bytes
    committed: CommittedTrace

    @property
    def root(self) -> bytes:
        return self.committed.root


@dataclass(frozen=True, slots=True)
class TraceHold:
    """Until when a request needs its trace, in Unix seconds; any past time lets it go."""

    root: bytes
    holder: bytes
    keep_until: float


@dataclass(frozen=True, slots=True)
class PublishedTrace:
    """What is known of a trace without reading it."""

    root: bytes
    program_root: bytes
    rows: int
    byte_count: int


@dataclass(frozen=True, slots=True)
class TraceUsage:
    """Bytes on the disk; `held_bytes` are those that must not be dropped."""

    traces: int
    used_bytes: int
    held_bytes: int
    budget_bytes: int
    trouble: str | None


class TraceStore(Protocol):
    """Traces until their challenge windows close. Requests with the same root share a trace."""

    @property
    def trouble(self) -> str | None:
        """What the operator must see to; None where all is well."""
        ...

    async def save(self, traces: Sequence[TraceToKeep]) -> None:
        """Keeps traces, all or none, durable when it returns; each is held by its request.

        Until `keep_until` says when, a hold does not end. A trace that is here is held once more.

        Raises:
            TraceStoreFull: they do not fit beside what is still owed. Nothing owed is dropped.
            StorageError: the disk.
        """
        ...

    async def keep_until(self, holds: Sequence[TraceHold]) -> None:
        """Says when holds end. Those of traces that are not here are logged and skipped."""
        ...

    async def sweep(self, now: float) -> int:
        """Drops the traces that nobody holds any more; how many."""
        ...

    async def usage(self) -> TraceUsage: ...


class TraceSource(Protocol):
    """What is served of the traces."""

    async def find(self, root: bytes) -> PublishedTrace | None: ...

    async def read(self, root: bytes, offset: int, length: int) -> bytes:
        """A piece of the concatenated tensors. Raises NotFound."""
        ...


class TraceOpener(Protocol):
    async def open_leaves(
        self, root: bytes, *, row: int, tensor: int, first: int, count: int
    ) -> Opening:
        """Leaves with their proof.

        Raises:
            NotFound: no such trace, or its program is not here.
            TraceError: the trace has no such row, tensor or leaves.
        """
        ...

    async def claim(self, root: bytes) -> tuple[int, bytes]:
        """What a trace root commits to: rows, and the root of the tree. Raises as `open_leaves`."""
        ...


class ProgramSource(Protocol):
    """Programs by their roots."""

    async def program(self, root: bytes) -> Program:
        """Raises NotFound."""
        ...

    async def file(self, root: bytes) -> bytes:
        """The program file, ONNX. Raises NotFound."""
        ...

    async def manifest(self, root: bytes) -> ProgramManifest:
        """What is known of it besides, its certificate among it. Raises NotFound."""
        ...


class ReceiptSource(Protocol):
    async def receipt(self, request_id: bytes) -> SavedReceipt | None:
        """The receipt of an answer of this operator, or None where there is none."""
        ...
