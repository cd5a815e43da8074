"""Whatever is saved is read back the same, field by field, at any size a field may have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oracle.core.event import BlockRef, Position, RequestSeen
from oracle.core.job import Job, JobState
from oracle.core.receipt import Answer
from oracle.core.request import Request
from oracle.core.transaction import (
    Attempt,
    Call,
    Fees,
    Mined,
    Purpose,
    SendOutcome,
    TransactionState,
)
from oracle.core.types import Address, address
from oracle.errors import StorageError
from oracle.ports.jobs import JobMove, JobPatch
from oracle.storage import Storage

from .building import (
    OPERATOR,
    SteppingClock,
    block,
    bring_to,
    new_id,
    prepared,
    request,
    seen,
    shortest_path,
)

EDGES = [0, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**96 - 1]


def unsigned(bits: int) -> st.SearchStrategy[int]:
    largest = (1 << bits) - 1
    edges = st.sampled_from([edge for edge in EDGES if edge <= largest])
    return edges | st.integers(0, largest)


def signed_column() -> st.SearchStrategy[int]:
    return unsigned(63)


bytes32 = st.binary(min_size=32, max_size=32)
blob = st.binary(max_size=300) | st.just(bytes(range(256)))
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
seconds = st.floats(0, 1e15)
addresses: st.SearchStrategy[Address] = st.binary(min_size=20, max_size=20).map(
    lambda raw: address("0x" + raw.hex())
)

requests = st.builds(
    Request,
    requester=addresses,
    nonce=unsigned(64),
    consumer=addresses,
    model_id=bytes32,
    input_hash=bytes32,
    operator=addresses,
    fee=unsigned(96),
    bond=unsigned(96),
    value_at_risk=unsigned(96),
    deadline=unsigned(40),
    window=unsigned(32),
    callback_gas_limit=unsigned(32),
    eager=st.booleans(),
)
events = st.builds(
    RequestSeen,
    position=st.builds(
        Position,
        block_number=signed_column(),
        log_index=unsigned(32),
        block_hash=bytes32,
        transaction_hash=bytes32,
    ),
    request_id=st.builds(new_id),
    request=requests,
    input=blob,
)
patches: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "reason": st.none() | text,
        "accepted": st.booleans(),
        "result": st.none() | blob,
        "answer": st.none() | st.tuples(addresses, bytes32, bytes32),
        "signature": st.none() | st.binary(min_size=65, max_size=65),
        "session": st.none() | text,
        "inference_seconds": st.none() | seconds,
        "settle_at": st.none() | unsigned(40),
        "answered_block": st.none() | signed_column(),
        "settled_block": st.none() | signed_column(),
        "fee_earned": unsigned(96),
        "attempts": unsigned(31),
        "economics": st.none() | text,
        "strikes": unsigned(31),
        "not_before": seconds | st.just(float("inf")),
    },
)
slowly = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@slowly
@given(event=events, patch=patches, state=st.sampled_from(JobState), now=seconds)
async def test_a_job(
    storage: Storage,
    clock: SteppingClock,
    event: RequestSeen,
    patch: dict[str, Any],
    state: JobState,
    now: float,
) -> None:
    if patch.get("answer"):
        terms = event.request
        operator, result_hash, trace_root = patch["answer"]
        patch["answer"] = Answer(
            request_id=event.request_id,
            operator=operator,
            model_id=terms.model_id,
            input_hash=terms.input_hash,
            result_hash=result_hash,
            trace_root=trace_root,
        )
    clock.seconds = now
    (created,) = await storage.jobs.ingest(block(1), [event], [])
    expected = Job(
        request_id=event.request_id,
        request=event.request,
        input=event.input,
        block_number=event.position.block_number,
        block_hash=event.position.block_hash,
        log_index=event.position.log_index,
        state=JobState.SEEN,
        reason=None,
        accepted=False,
        result=None,
        answer=None,
        signature=None,
        session=None,
        inference_seconds=None,
        settle_at=None,
        accepted_block=None,
        answered_block=None,
        settled_block=None,
        ended_block=None,
        fee_earned=0,
        attempts=0,
        not_before=0.0,
        seen_at=now,
        updated_at=now,
    )
    assert created == expected
    assert await storage.jobs.job(event.request_id) == expected
    path = shortest_path(state)
    if path:
        moves = [JobMove(event.request_id, trigger) for trigger in path]
        moves[-1] = replace(moves[-1], patch=JobPatch(**patch))  # type: ignore[typeddict-item]
        clock.seconds = now + 1
        expected = replace(expected, state=state, updated_at=now + 1, **patch)
        assert await storage.jobs.move(moves) == [expected]
    assert await storage.jobs.job(event.request_id) == expected


@slowly
@given(number=signed_column(), digest=bytes32, timestamp=signed_column())
async def test_a_block(storage: Storage, number: int, digest: bytes, timestamp: int) -> None:
    reference = BlockRef(number, digest, timestamp)
    await storage.jobs.rewind(reference)
    assert await storage.jobs.cursor() == reference


attempts = st.builds(
    Attempt,
    hash=st.builds(new_id),
    raw=blob,
    fees=st.builds(Fees, unsigned(128), unsigned(128)),
    created_at=seconds,
    last_sent_at=st.none() | seconds,
    outcome=st.none() | st.sampled_from(SendOutcome),
)


@slowly
@given(
    sender=addresses,
    nonce=unsigned(64),
    purpose=st.sampled_from(Purpose),
    call=st.builds(Call, addresses, blob, signed_column()),
    tried=st.lists(attempts, min_size=1, max_size=3),
    where=st.tuples(st.integers(1, 2**63 - 1), bytes32, st.booleans(), unsigned(40), unsigned(128)),
)
@example(
    sender=OPERATOR,
    nonce=2**64 - 1,
    purpose=Purpose.CANCEL,
    call=Call(OPERATOR, b"", 21_000),
    tried=[Attempt(b"\xff" * 32, b"", Fees(2**128 - 1, 0), 0.0, None, None)],
    where=(2**63 - 1, b"\xff" * 32, False, 2**40 - 1, 2**128 - 1),
)
async def test_a_transaction(
    storage: Storage,
    sender: Address,
    nonce: int,
    purpose: Purpose,
    call: Call,
    tried: list[Attempt],
    where: tuple[int, bytes, bool, int, int],
) -> None:
    event = seen(1)
    await bring_to(storage, event, JobState.SEEN)
    saved = await prepared(
        storage,
        nonce,
        sender=sender,
        purpose=purpose,
        call=call,
        attempt=tried[0],
        request_ids=[event.request_id],
    )
    for attempt in tried[1:]:
        await storage.transactions.add_attempt(saved.id, attempt)
    expected = replace(saved, attempts=tuple(tried))
    assert (expected.sender, expected.nonce, expected.purpose) == (sender, nonce, purpose)
    assert expected.call == call
    assert await storage.transactions.open_transactions(sender) == [expected]
    number, digest, succeeded, used, price = where
    outcome = Mined(tried[-1].hash, number, digest, succeeded, used, price)
    await storage.transactions.record_mined(saved.id, outcome, [])
    state = TransactionState.MINED if succeeded else TransactionState.REVERTED
    expected = replace(expected, state=state, mined=outcome)
    assert await storage.transactions.transactions_for(event.request_id) == [expected]
    # Free the nonce, should another example draw the same one.
    await storage.jobs.rewind(BlockRef(0, digest, 0))
    await storage.transactions.abandon(saved.id, [])


@pytest.mark.parametrize("amount", [-1, 2**96])
async def test_an_amount_that_does_not_fit_is_refused_in_words(
    storage: Storage, amount: int
) -> None:
    event = seen(1)
    await bring_to(storage, event, JobState.ANSWERED)
    with pytest.raises(StorageError, match=f"{amount} does not fit 96 unsigned bits"):
        await storage.jobs.move(
            [JobMove(event.request_id, shortest_path(JobState.SETTLED)[-1], {"fee_earned": amount})]
        )


async def test_a_block_number_that_does_not_fit_is_refused_in_words(storage: Storage) -> None:
    with pytest.raises(StorageError):
        await storage.jobs.ingest(BlockRef(2**63, bytes(32), 0), [], [])
    assert await storage.jobs.cursor() is None


async def test_the_largest_terms_of_a_request(storage: Storage) -> None:
    terms = request(
        nonce=2**64 - 1,
        fee=2**96 - 1,
        bond=2**96 - 1,
        value_at_risk=2**63,
        deadline=2**40 - 1,
        window=2**32 - 1,
        callback_gas_limit=2**32 - 1,
    )
    event = replace(seen(1), request=terms)
    await storage.jobs.ingest(block(1), [event], [])
    job = await storage.jobs.job(event.request_id)
    assert job is not None
    assert job.request == terms
