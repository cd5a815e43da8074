"""What a monitor reads of the tables: each answer once, and only what is new."""

from __future__ import annotations

from oracle.core.job import JobState, Trigger
from oracle.core.transaction import Purpose
from oracle.ports.jobs import JobMove
from oracle.storage import Storage
from oracle.storage import measurements as measuring
from oracle.storage.measurements import Answered, Measurements

from .building import (
    ALICE,
    OPERATOR,
    SteppingClock,
    attempt,
    bring_to,
    computed,
    mined,
    prepared,
    seen,
)


async def test_an_answer_is_measured_once_when_it_is_first_sent(
    storage: Storage, clock: SteppingClock
) -> None:
    looks = Measurements(storage.database)
    assert await looks.newest() == 0
    first, second, other = seen(1), seen(2), seen(3)
    for event in (first, second, other):
        await bring_to(storage, event, JobState.ACCEPTED, accepted=True)
        await storage.jobs.move([JobMove(event.request_id, Trigger.COMPUTED, computed(event))])
    clock.seconds += 7  # when the transaction is made
    sent = await prepared(storage, 1, request_ids=[first.request_id, second.request_id])
    await prepared(storage, 1, request_ids=[other.request_id], sender=ALICE)
    await prepared(storage, 2, request_ids=[first.request_id], purpose=Purpose.SETTLE)

    taken = await looks.take(0, [OPERATOR])
    assert list(taken.answered) == [Answered(7.0, 0.25)] * 2
    assert taken.cursor == await looks.newest()
    assert (taken.open_transactions, taken.oldest_open) == (2, clock.seconds)
    assert taken.earliest_deadline == first.request.deadline

    clock.seconds += 50
    await storage.transactions.abandon(sent.id, [])
    await prepared(storage, 1, request_ids=[first.request_id])
    again = await looks.take(taken.cursor, [OPERATOR])
    assert list(again.answered) == [], "an answer that is sent anew was measured before"
    assert again.cursor > taken.cursor
    assert (await looks.take(again.cursor, [OPERATOR])).cursor == again.cursor
    assert [one.inference_seconds for one in (await looks.take(0, [ALICE])).answered] == [0.25]


async def test_an_empty_database_has_nothing_to_tell(storage: Storage) -> None:
    taken = await Measurements(storage.database).take(0, [OPERATOR])
    assert list(taken.answered) == []
    assert (taken.cursor, taken.open_transactions) == (0, 0)
    assert taken.oldest_open is taken.earliest_deadline is None
    assert (await Measurements(storage.database).take(0, [])).open_transactions == 0


async def test_what_is_mined_is_not_open_and_what_is_answered_is_not_due(storage: Storage) -> None:
    event = seen(1)
    await bring_to(storage, event, JobState.ANSWERED)
    tried = attempt()
    sent = await prepared(storage, 1, request_ids=[event.request_id], attempt=tried)
    await storage.transactions.record_mined(sent.id, mined(tried, 5), [])
    taken = await Measurements(storage.database).take(0, [OPERATOR])
    assert (taken.open_transactions, taken.earliest_deadline) == (0, None)


async def test_a_long_way_is_gone_in_pieces(storage: Storage, monkeypatch: object) -> None:
    for nonce in range(5):
        await prepared(storage, nonce)
    looks = Measurements(storage.database)
    monkeypatch.setattr(measuring, "_MOST_TRANSACTIONS", 2)  # type: ignore[attr-defined]
    cursors = [0]
    while (taken := await looks.take(cursors[-1], [OPERATOR])).cursor != cursors[-1]:
        cursors.append(taken.cursor)
    assert len(cursors) == 4
    assert cursors[-1] == await looks.newest()
