"""Builds requests, events, jobs and transactions for the storage tests, and walks jobs about."""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any

from oracle.core.event import BlockRef, Position, RequestSeen
from oracle.core.job import TRANSITIONS, Job, JobState, Trigger
from oracle.core.receipt import Answer
from oracle.core.request import Request, data_hash
from oracle.core.transaction import Attempt, Call, Fees, Mined, Purpose, Transaction
from oracle.core.types import Address
from oracle.ports.jobs import DatabaseIdentity, JobMove, JobPatch
from oracle.storage import Storage

ALICE = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
OPERATOR = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
ORACLE = Address("0x5FbDB2315678afecb367f032d93F642f64180aa3")
IDENTITY = DatabaseIdentity(31337, ORACLE, OPERATOR, b"\x47" * 32)

_numbers = itertools.count(1)


class SteppingClock:
    """A clock that a test sets."""

    def __init__(self, seconds: float = 1_000.0) -> None:
        self.seconds = seconds

    def now(self) -> float:
        return self.seconds


def new_id() -> bytes:
    """32 bytes that no other call gives."""
    return next(_numbers).to_bytes(32, "big")


def block_hash(number: int, fork: int = 0) -> bytes:
    return bytes([fork]) + number.to_bytes(31, "big")


def block(number: int, fork: int = 0) -> BlockRef:
    return BlockRef(number, block_hash(number, fork), 1_700_000_000 + number)


def request(**changes: Any) -> Request:
    terms: dict[str, Any] = {
        "requester": ALICE,
        "nonce": 7,
        "consumer": ALICE,
        "model_id": b"\x01" * 32,
        "input_hash": data_hash(b"input"),
        "operator": OPERATOR,
        "fee": 10**18,
        "bond": 20 * 10**18,
        "value_at_risk": 0,
        "deadline": 2_000_000_000,
        "window": 3600,
        "callback_gas_limit": 100_000,
        "eager": False,
    }
    return Request(**(terms | changes))


def seen(
    number: int,
    *,
    request_id: bytes | None = None,
    log_index: int = 0,
    fork: int = 0,
    input: bytes = b"input",
    **terms: Any,
) -> RequestSeen:
    """A request mined in block `number`."""
    request_id = request_id or new_id()
    return RequestSeen(
        position=Position(number, log_index, block_hash(number, fork), b"\x99" * 32),
        request_id=request_id,
        request=request(**terms),
        input=input,
    )


def answer_to(event: RequestSeen, result: bytes = b"result") -> Answer:
    return Answer.of(event.request_id, event.request, OPERATOR, result, b"\x77" * 32)


def computed(event: RequestSeen, result: bytes = b"result") -> JobPatch:
    """What the worker saves when a model has run."""
    return JobPatch(
        result=result,
        answer=answer_to(event, result),
        signature=b"\x55" * 65,
        session='{"provider":"cpu"}',
        inference_seconds=0.25,
    )


def shortest_path(state: JobState) -> list[Trigger]:
    """Triggers that lead from SEEN to a state."""
    paths: deque[tuple[JobState, list[Trigger]]] = deque([(JobState.SEEN, [])])
    visited = {JobState.SEEN}
    while paths:
        here, path = paths.popleft()
        if here is state:
            return path
        for (start, trigger), end in TRANSITIONS.items():
            if start is here and end not in visited:
                visited.add(end)
                paths.append((end, [*path, trigger]))
    raise AssertionError(f"no path leads to {state}")


async def bring_to(storage: Storage, event: RequestSeen, state: JobState, **patch: Any) -> Job:
    """Ingests a request and walks its job to a state; the patch goes with the last step."""
    await storage.jobs.ingest(block(event.position.block_number), [event], [])
    path = shortest_path(state)
    moves = [JobMove(event.request_id, trigger) for trigger in path]
    if moves:
        moves[-1] = JobMove(event.request_id, path[-1], JobPatch(**patch))  # type: ignore[typeddict-item]
    await storage.jobs.move(moves)
    job = await storage.jobs.job(event.request_id)
    assert job is not None
    assert job.state is state
    return job


async def settled_job(
    storage: Storage, event: RequestSeen, *, answered_block: int, settled_block: int
) -> Job:
    """A job that has earned 900, by way of all its states."""
    await bring_to(storage, event, JobState.ACCEPTED, accepted=True)
    await storage.jobs.move(
        [
            JobMove(event.request_id, Trigger.COMPUTED, computed(event)),
            JobMove(event.request_id, Trigger.ANSWER_SENT),
            JobMove(
                event.request_id,
                Trigger.ANSWERED,
                JobPatch(settle_at=5_000, answered_block=answered_block),
            ),
            JobMove(event.request_id, Trigger.SETTLE_SENT),
        ]
    )
    patch = JobPatch(settled_block=settled_block, fee_earned=900, attempts=2, not_before=9.0)
    (job,) = await storage.jobs.move([JobMove(event.request_id, Trigger.SETTLED, patch)])
    return job


def attempt(**changes: Any) -> Attempt:
    values: dict[str, Any] = {
        "hash": new_id(),
        "raw": b"\x02raw",
        "fees": Fees(2_000_000_000, 1_000_000_000),
        "created_at": 1_000.0,
        "last_sent_at": None,
        "outcome": None,
    }
    return Attempt(**(values | changes))


def mined(tried: Attempt, number: int, **changes: Any) -> Mined:
    values: dict[str, Any] = {
        "attempt_hash": tried.hash,
        "block_number": number,
        "block_hash": block_hash(number),
        "succeeded": True,
        "gas_used": 50_000,
        "gas_price": 1_500_000_000,
    }
    return Mined(**(values | changes))


async def prepared(storage: Storage, nonce: int, **changes: Any) -> Transaction:
    """Saves a transaction with one attempt."""
    values: dict[str, Any] = {
        "sender": OPERATOR,
        "nonce": nonce,
        "purpose": Purpose.ANSWER,
        "call": Call(ORACLE, b"\xde\xad", 200_000),
        "request_ids": (),
        "attempt": attempt(),
        "moves": (),
    }
    return await storage.transactions.prepare(**(values | changes))
