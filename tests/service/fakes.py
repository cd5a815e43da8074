"""The worker's ports in memory: a clock that is set, a chain that says what it is told to say.

Only what the services ask for is there; each fake keeps what a test wants to look at in the open.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np

from oracle.core.event import BlockRef, ChainEvent, LogBatch, Position, RequestSeen
from oracle.core.job import Job, JobState, advance, can_advance
from oracle.core.model import UNCERTIFIED, Model, ModelTerms
from oracle.core.operator import Offer, OperatorStatus
from oracle.core.receipt import Accept
from oracle.core.request import Request, data_hash
from oracle.core.schema import ElementType, ModelSchema, TensorSpec
from oracle.core.transaction import (
    Attempt,
    Call,
    Fees,
    Mined,
    Purpose,
    SendOutcome,
    Transaction,
    TransactionState,
)
from oracle.core.typed_data import Domain
from oracle.core.types import ZERO_ADDRESS, ZERO_BYTES32, Address, Tier
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import (
    ChainUnreachable,
    ContractReverted,
    NotFound,
    OracleError,
    SignedTwice,
    StorageError,
    TraceStoreFull,
)
from oracle.ports.contracts import AnswerItem, ItemCode, SettleItem
from oracle.ports.health import Heartbeat
from oracle.ports.inference import Inference, Tensors
from oracle.ports.jobs import Disputable, JobMove
from oracle.ports.publishing import PublishedTrace
from oracle.ports.traces import LeftOut, TraceHold, TraceToKeep, TraceUsage

SIGNER = signer_of(Person.SIGNER)
OPERATOR = signer_of(Person.OWNER).address
STRANGER = signer_of(Person.WATCHER).address
REQUESTER = signer_of(Person.REQUESTER).address
ORACLE = Address("0x5FbDB2315678afecb367f032d93F642f64180aa3")
DOMAIN = Domain(31337, ORACLE)
NOW = 1_000.0
FEE = 10**18

SCHEMA = ModelSchema(
    inputs=(TensorSpec("x", ElementType.FLOAT32, (None, 2)),),
    outputs=(TensorSpec("y", ElementType.FLOAT32, (None, 1)),),
)
INPUT = np.array([[1.0, 2.0]], np.float32).tobytes()
OUTPUT = np.array([[3.0]], np.float32)

_numbers = itertools.count(1)


def model(number: int = 1) -> Model:
    terms = ModelTerms(
        program_root=number.to_bytes(32, "big"),
        profile_hash=ZERO_BYTES32,
        schema_hash=SCHEMA.schema_hash,
        tier=Tier.UNPROVEN,
        challenge_window=5,
        reveal_window=0,
        min_bond=1,
        epsilon=UNCERTIFIED,
    )
    return Model(terms.model_id(OPERATOR), OPERATOR, terms, f"m{number}", SCHEMA, "", 1, 0)


def request(request_input: bytes = INPUT, **changes: Any) -> Request:
    terms: dict[str, Any] = {
        "requester": REQUESTER,
        "nonce": next(_numbers),
        "consumer": ZERO_ADDRESS,
        "model_id": model().id,
        "input_hash": data_hash(request_input),
        "operator": OPERATOR,
        "fee": FEE,
        "bond": 20 * FEE,
        "value_at_risk": 0,
        "deadline": int(NOW) + 600,
        "window": 5,
        "callback_gas_limit": 0,
        "eager": False,
    }
    return Request(**(terms | changes))


def block(number: int, fork: int = 0) -> BlockRef:
    return BlockRef(number, bytes([fork]) + number.to_bytes(31, "big"), number)


def at(number: int, log_index: int = 0, fork: int = 0) -> Position:
    return Position(number, log_index, block(number, fork).hash, b"\x99" * 32)


def seen(
    terms: Request | None = None, request_input: bytes = INPUT, number: int = 1
) -> RequestSeen:
    terms = terms or request(request_input)
    return RequestSeen(at(number), terms.id(DOMAIN), request=terms, input=request_input)


class Clock:
    def __init__(self) -> None:
        self.seconds = NOW

    def now(self) -> float:
        return self.seconds


class Jobs:
    """A job table. `signatures` by kind and request id."""

    def __init__(self) -> None:
        self.table: dict[bytes, Job] = {}
        self.signatures: dict[tuple[str, bytes], bytes] = {}
        self.blocks: list[BlockRef] = []
        self.rewound_to: list[BlockRef] = []
        self.final: BlockRef | None = None

    def add(
        self,
        state: JobState,
        terms: Request | None = None,
        request_input: bytes = INPUT,
        **rest: Any,
    ) -> Job:
        """A job that stands in a state."""
        event = seen(terms, request_input)
        fields: dict[str, Any] = dict.fromkeys(Job.__slots__)
        fields |= {
            "request_id": event.request_id,
            "request": event.request,
            "input": event.input,
            "block_number": 1,
            "block_hash": block(1).hash,
            "log_index": 0,
            "state": state,
            "accepted": False,
            "fee_earned": 0,
            "attempts": 0,
            "strikes": 0,
            "not_before": 0.0,
            "seen_at": NOW,
            "updated_at": NOW,
        }
        job = Job(**(fields | rest))
        self.table[job.request_id] = job
        return job

    def now(self, job: Job) -> Job:
        """As it stands now."""
        return self.table[job.request_id]

    async def cursor(self) -> BlockRef | None:
        return self.blocks[-1] if self.blocks else None

    async def bound(self, through_block: int) -> int:
        blocks = (job.accepted_block for job in self.table.values())
        return sum(one is not None and one <= through_block for one in blocks)

    async def recent_blocks(self, limit: int) -> Sequence[BlockRef]:
        return self.blocks[::-1][:limit]

    async def ingest(
        self, last: BlockRef, seen: Sequence[RequestSeen], moves: Sequence[JobMove]
    ) -> Sequence[Job]:
        changed = [self.add(JobState.SEEN, event.request, event.input) for event in seen]
        for move in moves:
            job = self.table.get(move.request_id)
            if job is not None and can_advance(job.state, move.trigger):
                changed += await self.move([move])
        self.blocks.append(last)
        return changed

    async def finalised(self) -> BlockRef | None:
        return self.final

    async def finalise(self, block: BlockRef) -> None:
        self.final = block
        others = [one for one in self.blocks if one.number != block.number]
        self.blocks = sorted([*others, block], key=lambda one: one.number)

    async def contradicted(self) -> int | None:
        refused = [
            job.block_number
            for job in self.table.values()
            if job.state in (JobState.COMPUTED, JobState.ANSWERED)
            and job.reason == ItemCode.WRONG_STATE
            and job.attempts > 1
        ]
        return min(refused, default=None)

    async def rewind(self, ancestor: BlockRef) -> Sequence[Job]:
        self.rewound_to.append(ancestor)
        self.blocks = [one for one in self.blocks if one.number < ancestor.number] + [ancestor]
        for job in self.table.values():
            if job.accepted_block is not None and job.accepted_block > ancestor.number:
                unbound = replace(job, accepted=False, accepted_block=None)
                self.table[job.request_id] = unbound
        return []

    async def move(self, moves: Sequence[JobMove]) -> Sequence[Job]:
        moved = {}
        for move in moves:
            job = moved.get(move.request_id) or self.table[move.request_id]
            moved[move.request_id] = replace(
                job, **move.patch, state=advance(job.state, move.trigger)
            )
        self.table |= moved
        return list(moved.values())

    async def job(self, request_id: bytes) -> Job | None:
        return self.table.get(request_id)

    async def jobs_of(self, request_ids: Sequence[bytes]) -> Sequence[Job]:
        return [self.table[one] for one in request_ids if one in self.table]

    async def standing_in(
        self, states: Sequence[JobState], request_ids: Sequence[bytes]
    ) -> Set[bytes]:
        return {job.request_id for job in await self.jobs_of(request_ids) if job.state in states}

    async def jobs(
        self,
        states: Sequence[JobState],
        *,
        limit: int,
        due_at: float | None = None,
        besides: Collection[bytes] = (),
    ) -> Sequence[Job]:
        found = [
            job
            for job in self.table.values()
            if job.state in states
            and (due_at is None or job.not_before <= due_at)
            and job.request.model_id not in besides
        ]
        return sorted(found, key=lambda job: job.request.deadline)[:limit]

    async def settleable(self, chain_time: int, *, limit: int, due_at: float) -> Sequence[Job]:
        due = await self.jobs([JobState.ANSWERED], limit=len(self.table), due_at=due_at)
        found = [(job.settle_at, job.request_id, job) for job in due if job.settle_at is not None]
        return [job for at, _, job in sorted(found) if at <= chain_time][:limit]

    async def take(self, states: Sequence[JobState], *, limit: int, due_at: float) -> Sequence[Job]:
        return await self.jobs(states, limit=limit, due_at=due_at)

    def stop_taking(self) -> None:
        raise NotImplementedError

    async def disputable(self, now: float) -> Disputable | None:
        found = [
            job
            for job in self.table.values()
            if job.state in (JobState.ANSWERED, JobState.SETTLING) and (job.settle_at or 0) > now
        ]
        if not found:
            return None
        until = max(job.settle_at or 0 for job in found)
        return Disputable(len(found), until, sum(job.request.bond for job in found))

    async def reserve_signatures(self, kind: str, digests: Sequence[tuple[bytes, bytes]]) -> None:
        for request_id, digest in digests:
            if self.signatures.get((kind, request_id), digest) != digest:
                raise SignedTwice("refused to sign a second time")
        self.signatures |= {(kind, request_id): digest for request_id, digest in digests}

    async def reserved_signatures(
        self, kind: str, request_ids: Sequence[bytes]
    ) -> dict[bytes, bytes]:
        return {
            one: self.signatures[kind, one] for one in request_ids if (kind, one) in self.signatures
        }


class Transactions:
    """Transactions by id, as they are now."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self.table: dict[int, Transaction] = {}

    async def highest_nonce(self, sender: Address) -> int | None:
        alive = [
            one.nonce for one in self.table.values() if one.state is not TransactionState.ABANDONED
        ]
        return max(alive, default=None)

    async def with_nonce(self, sender: Address, nonce: int) -> Transaction | None:
        found = [
            one
            for one in self.table.values()
            if (one.sender, one.nonce) == (sender, nonce)
            and one.state is not TransactionState.ABANDONED
        ]
        return found[0] if found else None

    async def reopen(self, transaction_id: int) -> None:
        old = self.table[transaction_id]
        unsent = tuple(replace(one, last_sent_at=None) for one in old.attempts)
        self.table[transaction_id] = replace(
            old, state=TransactionState.OPEN, mined=None, attempts=unsent
        )

    async def attempts_with(self, sender: Address, nonce: int) -> Sequence[bytes]:
        return [
            tried.hash
            for one in self.table.values()
            if (one.sender, one.nonce) == (sender, nonce)
            for tried in one.attempts
        ]

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
        instead_of: int | None = None,
    ) -> Transaction:
        if instead_of is not None:
            await self.abandon(instead_of, [])
        if await self.with_nonce(sender, nonce) is not None:
            raise StorageError(f"nonce {nonce} belongs to another")
        await self._jobs.move(moves)
        made = Transaction(
            id=len(self.table) + 1,
            sender=sender,
            nonce=nonce,
            purpose=purpose,
            call=call,
            request_ids=tuple(request_ids),
            state=TransactionState.OPEN,
            attempts=(attempt,),
            mined=None,
            created_at=attempt.created_at,
        )
        self.table[made.id] = made
        return made

    async def add_attempt(self, transaction_id: int, attempt: Attempt) -> None:
        old = self.table[transaction_id]
        self.table[transaction_id] = replace(old, attempts=(*old.attempts, attempt))

    async def record_send(
        self, attempt_hash: bytes, outcome: SendOutcome, at: float, reason: str | None = None
    ) -> None:
        for key, old in self.table.items():
            attempts = tuple(
                replace(one, outcome=outcome, last_sent_at=at, reason=reason)
                if one.hash == attempt_hash
                else one
                for one in old.attempts
            )
            self.table[key] = replace(old, attempts=attempts)

    async def record_mined(
        self, transaction_id: int, mined: Mined, moves: Sequence[JobMove]
    ) -> None:
        state = TransactionState.MINED if mined.succeeded else TransactionState.REVERTED
        self.table[transaction_id] = replace(self.table[transaction_id], state=state, mined=mined)
        await self._jobs.move(moves)

    async def abandon(self, transaction_id: int, moves: Sequence[JobMove]) -> None:
        self.table[transaction_id] = replace(
            self.table[transaction_id], state=TransactionState.ABANDONED
        )
        await self._jobs.move(moves)

    async def open_transactions(self, sender: Address) -> Sequence[Transaction]:
        found = [
            one
            for one in self.table.values()
            if one.state is TransactionState.OPEN and one.sender == sender
        ]
        return sorted(found, key=lambda one: one.nonce)

    async def count_open(self, sender: Address) -> int:
        return len(await self.open_transactions(sender))

    async def any_open(self, purpose: Purpose, sender: Address) -> bool:
        return any(
            one.state is TransactionState.OPEN and one.purpose is purpose
            for one in self.table.values()
        )

    async def open_senders(self) -> Sequence[Address]:
        return sorted(
            {one.sender for one in self.table.values() if one.state is TransactionState.OPEN}
        )

    async def under_way(self, purpose: Purpose) -> set[bytes]:
        return {
            request_id
            for one in self.table.values()
            if one.state is TransactionState.OPEN and one.purpose is purpose
            for request_id in one.request_ids
        }

    async def reverted(self, purpose: Purpose, request_ids: Sequence[bytes]) -> set[bytes]:
        return {
            request_id
            for one in self.table.values()
            if one.state is TransactionState.REVERTED and one.purpose is purpose
            for request_id in one.request_ids
            if request_id in request_ids
        }

    async def transactions_for(self, request_id: bytes) -> Sequence[Transaction]:
        return [one for one in self.table.values() if request_id in one.request_ids]


class Gateway:
    """A pool and a chain: `sent` are attempts in order, `on_chain` what was mined, by hash."""

    def __init__(self) -> None:
        self.receipts_late = 0
        self.time = int(NOW)
        self.latest_nonce = 0
        self.pending_nonce: int | None = None
        self.asked = Fees(100, 10)
        self.outcome = SendOutcome.ACCEPTED
        self.sent: list[Attempt] = []
        self.on_chain: dict[bytes, Mined] = {}
        self.returned = b""
        self.reverts: ContractReverted | None = None
        self.holds = 10**18

    def mine(self, attempt: Attempt, number: int = 5, *, succeeded: bool = True) -> None:
        self.on_chain[attempt.hash] = Mined(
            attempt.hash, number, block(number).hash, succeeded, 50_000, 10
        )
        self.latest_nonce += 1

    async def chain_time(self) -> int:
        return self.time

    async def balance(self, account: Address) -> int:
        return self.holds

    async def next_nonce(self, sender: Address, *, pending: bool) -> int:
        if pending and self.pending_nonce is not None:
            return self.pending_nonce
        return self.latest_nonce

    async def fees(self) -> Fees:
        return self.asked

    async def simulate(self, sender: Address, to: Address, data: bytes) -> bytes:
        if self.reverts is not None:
            raise self.reverts
        returned, self.returned = self.returned, b""
        return returned

    async def estimate_gas(self, sender: Address, to: Address, data: bytes) -> int:
        if self.reverts is not None:
            raise self.reverts
        return 100_000

    async def send(self, attempt: Attempt) -> tuple[SendOutcome, str | None]:
        self.sent.append(attempt)
        return self.outcome, None if self.outcome is SendOutcome.ACCEPTED else "told to"

    async def mined(self, attempt_hash: bytes) -> Mined | None:
        if self.receipts_late:
            self.receipts_late -= 1
            return None
        return self.on_chain.get(attempt_hash)

    async def replay(self, sender: Address, call: Call, *, block: int) -> None:
        if self.reverts is not None:
            raise self.reverts


class Contract:
    """Calldata that a test can read: the request ids, one after the other."""

    address = ORACLE

    def __init__(self) -> None:
        self.settle_items: list[SettleItem] = []
        self.signatures: list[bytes] = []

    def accept_data(self, request: Request, acceptance: Accept, signature: bytes) -> bytes:
        return b"accept" + request.id(DOMAIN)

    def answer_data(self, item: AnswerItem, operator: Address, signature: bytes) -> bytes:
        self.signatures.append(signature)
        return b"answer" + item.request.id(DOMAIN)

    def answer_batch_data(
        self, items: Sequence[AnswerItem], operator: Address, signature: bytes
    ) -> bytes:
        return b"batch!" + b"".join(item.request.id(DOMAIN) for item in items)

    def settle_batch_data(self, items: Sequence[SettleItem]) -> bytes:
        self.settle_items = list(items)
        return b"settle" + b"".join(item.request.id(DOMAIN) for item in items)

    def decode_codes(self, returned: bytes) -> tuple[int, ...]:
        return tuple(returned)

    async def state_of(self, request_id: bytes) -> Any:
        raise NotImplementedError


class Registry:
    """Models by id; what is an error is raised."""

    def __init__(self, *models: Model) -> None:
        self.models: dict[bytes, Model | OracleError] = {
            one.id: one for one in models or (model(),)
        }

    async def model(self, model_id: bytes) -> Model:
        found = self.models.get(model_id, NotFound("no model has this id"))
        if isinstance(found, OracleError):
            raise found
        return found


class Staking:
    """`acceptances` are the blocks of the requests that bound the operator."""

    def __init__(self, free: int = 1_000 * FEE) -> None:
        self.free = free
        self.acceptances: list[int] = []
        self.stateless_before = 0
        self.counted = 0
        self.offers: dict[bytes, Offer] = {}

    async def status(self, operator: Address) -> OperatorStatus:
        return OperatorStatus(operator, SIGNER.address, operator, self.free, 0, self.free, 0, 0)

    async def offer(self, operator: Address, model_id: bytes) -> Offer:
        return self.offers.get(model_id, Offer(0, 0, 0, 0, 0, 0))

    async def accepted(self, operator: Address, block: int) -> int:
        self.counted += 1
        if block < self.stateless_before:
            raise ChainUnreachable("missing trie node")
        return sum(number <= block for number in self.acceptances)


class Offering(Staking):
    """With an offer for any model, whatever it is asked."""

    async def offer(self, operator: Address, model_id: bytes) -> Offer:
        return self.offers.get(model_id, Offer(0, 2**88 - 1, 1_000, 0, 2**24 - 1, 2**24 - 1))


class Files:
    def __init__(self) -> None:
        self.missing: set[bytes] = set()

    def has(self, digest: bytes, tier: Tier) -> bool:
        return digest not in self.missing


class Engine:
    """Answers each input by `behave`; `runs` counts the inputs, `loads` what asked for a model."""

    def __init__(self) -> None:
        self.runs = self.loads = 0
        self.batches: list[int] = []
        self.behave: Callable[[Tensors], Inference | OracleError] = lambda _: good()
        self.broken: dict[bytes, OracleError] = {}

    async def load(
        self, program_root: bytes, schema: ModelSchema, tier: Tier = Tier.UNPROVEN
    ) -> None:
        self.loads += 1
        if program_root in self.broken:
            raise self.broken[program_root]

    async def run_each(
        self,
        program_root: bytes,
        schema: ModelSchema,
        inputs: Sequence[Tensors],
        tier: Tier = Tier.UNPROVEN,
    ) -> Sequence[Inference | OracleError]:
        if program_root in self.broken:
            raise self.broken[program_root]
        self.runs += len(inputs)
        self.batches.append(len(inputs))
        return [self.behave(one) for one in inputs]


class Traces:
    """Keeps traces by root; `full` refuses them, `broken` whatever is to be written."""

    def __init__(self) -> None:
        self.kept: dict[bytes, TraceToKeep] = {}
        self.until: dict[bytes, float | None] = {}
        self.unkept: dict[bytes, LeftOut] = {}
        """What was left out, by holder."""
        self.full = False
        self.broken = False
        self.trouble: str | None = None

    async def save(self, traces: Sequence[TraceToKeep]) -> None:
        if self.full and traces:
            raise TraceStoreFull("no room")
        if self.broken and traces:
            raise StorageError("the disk is full")
        self.kept |= {one.root: one for one in traces}
        self.unkept = {
            holder: one for holder, one in self.unkept.items() if one.root not in self.kept
        }

    async def leave_out(self, one: LeftOut, owed_until: float) -> None:
        if self.broken:
            raise StorageError("the disk is full")
        self.unkept[one.holder] = one
        self.until[one.holder] = owed_until

    async def left_out(self) -> Sequence[LeftOut]:
        return [*self.unkept.values()]

    async def keep_until(self, holds: Sequence[TraceHold]) -> None:
        self.until |= {one.holder: one.owed_until for one in holds}

    async def holds(self) -> Sequence[TraceHold]:
        owed = [(root, one.holder) for root, one in self.kept.items()]
        owed += [(one.root, one.holder) for one in self.unkept.values()]
        return [TraceHold(root, holder, self.until.get(holder)) for root, holder in owed]

    async def sweep(self, now: float) -> int:
        return 0

    async def find(self, root: bytes) -> PublishedTrace | None:
        kept = self.kept.get(root)
        return None if kept is None else PublishedTrace(root, kept.committed.program_root, 1, 1)

    async def usage(self) -> TraceUsage:
        return TraceUsage(len(self.kept), 0, 0, 0, self.trouble, len(self.unkept))


def good() -> Inference:
    return Inference({"y": OUTPUT}, 0.5, "{}")


class Reader:
    """A chain of blocks with events, to be lengthened and to be forked."""

    domain = DOMAIN

    def __init__(self, length: int = 10) -> None:
        self.chain = [block(number) for number in range(length + 1)]
        self.genesis_hash = self.chain[0].hash
        self.logs: list[ChainEvent] = []
        self.asked: list[tuple[int, int]] = []
        self.final: int | None = None
        self.asked_for_final = 0

    def grow(self, count: int = 1, fork: int = 0) -> None:
        start = len(self.chain)
        self.chain += [block(number, fork) for number in range(start, start + count)]

    def fork(self, first: int, fork: int = 1) -> None:
        """Replaces all blocks from a height on, without their logs."""
        length = len(self.chain)
        self.chain = self.chain[:first]
        self.logs = [one for one in self.logs if one.position.block_number < first]
        self.grow(length - first, fork)

    async def head(self) -> BlockRef:
        return self.chain[-1]

    async def block(self, number: int) -> BlockRef | None:
        return self.chain[number] if number < len(self.chain) else None

    async def finalised(self) -> BlockRef | None:
        self.asked_for_final += 1
        return self.chain[self.final] if self.final is not None else None

    async def events(self, first_block: int, last_block: int) -> LogBatch:
        self.asked.append((first_block, last_block))
        found = [one for one in self.logs if first_block <= one.position.block_number <= last_block]
        return LogBatch(first_block, self.chain[last_block], tuple(found))


class Beats:
    def __init__(self) -> None:
        self.written: list[Heartbeat] = []

    def write(self, heartbeat: Heartbeat) -> None:
        self.written.append(heartbeat)
