"""Transactions and attempts, as the port promises them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection, insert, update

from oracle.core.job import JobState, Trigger
from oracle.core.transaction import (
    Call,
    Fees,
    Purpose,
    SendOutcome,
    TransactionState,
)
from oracle.errors import IllegalTransition, NotFound, StorageError
from oracle.ports.jobs import JobMove, JobPatch
from oracle.ports.sending import TransactionStore
from oracle.storage import Storage
from oracle.storage.tables import transactions as table

from .building import (
    ALICE,
    OPERATOR,
    ORACLE,
    SteppingClock,
    attempt,
    block,
    bring_to,
    mined,
    new_id,
    prepared,
    seen,
)


@pytest.fixture
def transactions(storage: Storage) -> TransactionStore:
    return storage.transactions  # also a static check that the store is what the port asks for


async def test_prepare_saves_transaction_attempt_and_moves(
    storage: Storage, transactions: TransactionStore, clock: SteppingClock
) -> None:
    events = [seen(10) for _ in range(3)]
    for event in events:
        await bring_to(storage, event, JobState.COMPUTED)
    request_ids = tuple(event.request_id for event in reversed(events))
    first = attempt(raw=b"\x00" * 1000, fees=Fees(2**64, 2**63))
    clock.seconds = 4_000.0
    saved = await transactions.prepare(
        sender=OPERATOR,
        nonce=2**64 - 2,
        purpose=Purpose.ANSWER,
        call=Call(ORACLE, b"\x01\x02", 2**40),
        request_ids=request_ids,
        attempt=first,
        moves=[JobMove(key, Trigger.ANSWER_SENT) for key in request_ids],
    )
    assert saved.request_ids == request_ids
    assert saved.call == Call(ORACLE, b"\x01\x02", 2**40)
    assert (saved.sender, saved.nonce, saved.purpose) == (OPERATOR, 2**64 - 2, Purpose.ANSWER)
    assert (saved.state, saved.mined, saved.created_at) == (TransactionState.OPEN, None, 4_000.0)
    assert saved.attempts == (first,)
    assert await transactions.open_transactions(OPERATOR) == [saved]
    for event in events:
        assert await transactions.transactions_for(event.request_id) == [saved]
        job = await storage.jobs.job(event.request_id)
        assert job is not None
        assert job.state is JobState.ANSWERING


async def test_prepare_is_all_or_nothing(storage: Storage, transactions: TransactionStore) -> None:
    event = seen(10)
    job = await bring_to(storage, event, JobState.COMPUTED)
    with pytest.raises(IllegalTransition):
        await prepared(
            storage,
            1,
            request_ids=[event.request_id],
            moves=[
                JobMove(event.request_id, Trigger.ANSWER_SENT),
                JobMove(event.request_id, Trigger.ANSWER_SENT),
            ],
        )
    assert await storage.jobs.job(event.request_id) == job
    assert await transactions.open_transactions(OPERATOR) == []
    assert await transactions.highest_nonce(OPERATOR) is None
    with pytest.raises(NotFound):
        await prepared(storage, 1, request_ids=[event.request_id, new_id()])
    assert await transactions.transactions_for(event.request_id) == []


async def test_a_nonce_is_held_until_its_transaction_is_abandoned(
    storage: Storage, transactions: TransactionStore
) -> None:
    first = await prepared(storage, 5)
    with pytest.raises(StorageError, match=rf"nonce 5 of {OPERATOR} belongs"):
        await prepared(storage, 5)
    await prepared(storage, 5, sender=ALICE)
    await transactions.abandon(first.id, [])
    second = await prepared(storage, 5)
    assert await transactions.open_transactions(OPERATOR) == [second]


async def test_the_database_itself_refuses_a_second_holder_of_a_nonce(storage: Storage) -> None:
    await prepared(storage, 5)
    row = {
        "sender": OPERATOR,
        "nonce": 5,
        "purpose": Purpose.ANSWER,
        "state": TransactionState.OPEN,
        "created_at": 0.0,
        "call_to": ORACLE,
        "call_gas": 1,
        "call_data": b"",
    }

    def insert_behind_the_check(connection: Connection) -> None:
        connection.execute(insert(table), row)

    def revive_behind_the_check(connection: Connection) -> None:
        connection.execute(insert(table), row | {"state": TransactionState.ABANDONED})
        connection.execute(update(table).values(state=TransactionState.MINED))

    for work in (insert_behind_the_check, revive_behind_the_check):
        with pytest.raises(StorageError, match="breaks a rule"):
            await storage.database.run(work)


async def test_highest_nonce_is_a_number_not_a_text(
    storage: Storage, transactions: TransactionStore
) -> None:
    assert await transactions.highest_nonce(OPERATOR) is None
    for nonce in (9, 10, 2**63, 99):
        await prepared(storage, nonce)
    highest = await prepared(storage, 2**64 - 1)
    assert await transactions.highest_nonce(OPERATOR) == 2**64 - 1
    await transactions.abandon(highest.id, [])
    assert await transactions.highest_nonce(OPERATOR) == 2**63
    nonces = [open.nonce for open in await transactions.open_transactions(OPERATOR)]
    assert nonces == [9, 10, 99, 2**63]


async def test_attempts_are_kept_in_order_with_what_came_of_them(
    storage: Storage, transactions: TransactionStore
) -> None:
    first, second = attempt(created_at=7.0), attempt(created_at=6.0)
    saved = await prepared(storage, 1, attempt=first)
    await transactions.add_attempt(saved.id, second)
    await transactions.record_send(second.hash, SendOutcome.UNFUNDED, 11.0, "insufficient funds")
    await transactions.record_send(first.hash, SendOutcome.UNKNOWN, 11.5, "cut")
    await transactions.record_send(first.hash, SendOutcome.ACCEPTED, 12.5)
    (found,) = await transactions.open_transactions(OPERATOR)
    assert found.attempts == (
        replace(first, outcome=SendOutcome.ACCEPTED, last_sent_at=12.5),
        replace(
            second, outcome=SendOutcome.UNFUNDED, last_sent_at=11.0, reason="insufficient funds"
        ),
    )
    with pytest.raises(NotFound):
        await transactions.record_send(new_id(), SendOutcome.ACCEPTED, 1.0)
    with pytest.raises(NotFound):
        await transactions.add_attempt(saved.id + 1, attempt())
    with pytest.raises(StorageError):
        await transactions.add_attempt(saved.id, first)


@pytest.mark.parametrize("succeeded", [True, False])
async def test_record_mined_closes_the_transaction_and_moves_jobs(
    storage: Storage, transactions: TransactionStore, succeeded: bool
) -> None:
    event = seen(10)
    await bring_to(storage, event, JobState.ANSWERING)
    first, second = attempt(), attempt()
    saved = await prepared(storage, 1, attempt=first, request_ids=[event.request_id])
    await transactions.add_attempt(saved.id, second)
    outcome = mined(first, 12, succeeded=succeeded, gas_price=2**64)
    trigger = Trigger.ANSWERED if succeeded else Trigger.ANSWER_FAILED
    await transactions.record_mined(saved.id, outcome, [JobMove(event.request_id, trigger)])
    (found,) = await transactions.transactions_for(event.request_id)
    assert found.state is (TransactionState.MINED if succeeded else TransactionState.REVERTED)
    assert found.mined == outcome
    assert await transactions.open_transactions(OPERATOR) == []
    assert await transactions.highest_nonce(OPERATOR) == 1
    job = await storage.jobs.job(event.request_id)
    assert job is not None
    assert job.state is (JobState.ANSWERED if succeeded else JobState.COMPUTED)


async def test_record_mined_is_all_or_nothing(
    storage: Storage, transactions: TransactionStore
) -> None:
    event = seen(10)
    await bring_to(storage, event, JobState.ANSWERING)
    tried = attempt()
    saved = await prepared(storage, 1, attempt=tried)
    with pytest.raises(IllegalTransition):
        await transactions.record_mined(
            saved.id, mined(tried, 12), [JobMove(event.request_id, Trigger.SETTLED)]
        )
    with pytest.raises(NotFound):
        await transactions.record_mined(saved.id, mined(attempt(), 12), [])
    with pytest.raises(NotFound):
        await transactions.record_mined(saved.id + 1, mined(tried, 12), [])
    assert await transactions.open_transactions(OPERATOR) == [saved]


async def test_the_requests_that_a_transaction_reverted_over_are_told_by_purpose(
    storage: Storage, transactions: TransactionStore
) -> None:
    events = [seen(10) for _ in range(3)]
    for event in events:
        await bring_to(storage, event, JobState.COMPUTED)
    spoilt, whole, other = (event.request_id for event in events)
    for nonce, (request_id, succeeded) in enumerate(((spoilt, False), (whole, True))):
        sent = await prepared(storage, nonce, request_ids=[request_id])
        ended = mined(sent.attempts[0], 12, succeeded=succeeded)
        await transactions.record_mined(sent.id, ended, [])
    all_of_them = [spoilt, whole, other]
    assert await transactions.reverted(Purpose.ANSWER, all_of_them) == {spoilt}
    assert await transactions.reverted(Purpose.ANSWER, [whole, other]) == set()
    assert await transactions.reverted(Purpose.SETTLE, all_of_them) == set()
    assert await transactions.reverted(Purpose.ANSWER, []) == set()


async def test_abandon_moves_jobs_all_or_nothing(
    storage: Storage, transactions: TransactionStore
) -> None:
    event = seen(10)
    await bring_to(storage, event, JobState.ANSWERING)
    tried = attempt()
    saved = await prepared(storage, 1, attempt=tried, request_ids=[event.request_id])
    with pytest.raises(IllegalTransition):
        await transactions.abandon(saved.id, [JobMove(event.request_id, Trigger.SETTLED)])
    assert await transactions.open_transactions(OPERATOR) == [saved]
    failed = JobMove(event.request_id, Trigger.ANSWER_FAILED, JobPatch(attempts=1, not_before=9.0))
    await transactions.abandon(saved.id, [failed])
    (found,) = await transactions.transactions_for(event.request_id)
    assert found.state is TransactionState.ABANDONED
    job = await storage.jobs.job(event.request_id)
    assert job is not None
    assert (job.state, job.attempts, job.not_before) == (JobState.COMPUTED, 1, 9.0)
    with pytest.raises(StorageError, match="abandoned"):
        await transactions.abandon(saved.id, [])
    with pytest.raises(StorageError, match="given up"):
        await transactions.add_attempt(saved.id, attempt())
    with pytest.raises(NotFound):
        await transactions.abandon(saved.id + 1, [])


async def test_an_abandoned_transaction_that_is_mined_after_all_is_mined(
    storage: Storage, transactions: TransactionStore
) -> None:
    tried = attempt()
    saved = await prepared(storage, 1, attempt=tried)
    await transactions.abandon(saved.id, [])
    await transactions.record_mined(saved.id, mined(tried, 12), [])
    assert (await storage.jobs.totals()).gas_spent_wei == mined(tried, 12).cost_wei
    assert await transactions.highest_nonce(OPERATOR) == 1


async def test_many_transactions_keep_their_own_attempts_and_requests(
    storage: Storage, transactions: TransactionStore
) -> None:
    events = [seen(10) for _ in range(40)]
    await storage.jobs.ingest(block(10), events, [])
    saved = [
        await prepared(storage, nonce, request_ids=[event.request_id, events[0].request_id])
        for nonce, event in enumerate(events)
    ]
    assert await transactions.open_transactions(OPERATOR) == saved
    assert await transactions.open_transactions(ALICE) == []
    assert await transactions.transactions_for(events[0].request_id) == saved


async def test_two_workers_do_not_send_one_reveal(storage: Storage) -> None:
    event = seen(11)
    await bring_to(storage, event, JobState.ANSWERED)
    reveal = {"purpose": Purpose.REVEAL, "request_ids": [event.request_id]}
    first = await prepared(storage, 5, **reveal)
    with pytest.raises(IllegalTransition, match="another worker"):
        await prepared(storage, 6, sender=ALICE, **reveal)
    other = Call(ORACLE, b"another leaf", 200_000)
    await prepared(storage, 6, sender=ALICE, call=other, **reveal)
    await storage.transactions.abandon(first.id, [])
    await prepared(storage, 7, sender=ALICE, **reveal)
