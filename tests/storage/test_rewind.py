"""What a reorg takes back, and what it leaves: jobs, transactions and the cursor together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oracle.core.event import Position, RequestAnswered, RequestSeen
from oracle.core.job import JobState, Trigger
from oracle.core.transaction import Purpose, TransactionState
from oracle.ports.jobs import JobMove, JobPatch
from oracle.service.watch import translate
from oracle.storage import Storage
from oracle.storage.job_store import BLOCKS_KEPT

from .building import (
    OPERATOR,
    SteppingClock,
    answer_to,
    attempt,
    block,
    bring_to,
    computed,
    mined,
    prepared,
    seen,
    settled_job,
)


async def test_the_cursor_goes_back_to_an_ancestor_it_has_stood_on(storage: Storage) -> None:
    for number in (10, 11, 12):
        await storage.jobs.ingest(block(number), [], [])
    assert await storage.jobs.rewind(block(10)) == []
    assert await storage.jobs.recent_blocks(9) == [block(10)]


async def test_the_cursor_goes_back_to_an_ancestor_it_has_not_stood_on(storage: Storage) -> None:
    for number in (5, 12):
        await storage.jobs.ingest(block(number), [], [])
    await storage.jobs.rewind(block(9))
    assert await storage.jobs.recent_blocks(9) == [block(9), block(5)]


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.ORPHANED])
async def test_a_job_whose_request_vanished_is_orphaned_from_every_state(
    storage: Storage, state: JobState
) -> None:
    event = seen(11)
    await bring_to(storage, event, state)
    (job,) = await storage.jobs.rewind(block(10))
    assert job.state is JobState.ORPHANED
    assert await storage.jobs.rewind(block(10)) == []


async def test_an_orphan_keeps_its_work_and_forgets_the_chain(
    storage: Storage, clock: SteppingClock
) -> None:
    event = seen(11)
    before = await settled_job(storage, event, answered_block=12, settled_block=13)
    clock.seconds = 3_000.0
    (orphan,) = await storage.jobs.rewind(block(10))
    assert orphan == replace(
        before,
        state=JobState.ORPHANED,
        reason=None,
        accepted=False,
        settle_at=None,
        answered_block=None,
        settled_block=None,
        fee_earned=0,
        attempts=0,
        not_before=0.0,
        updated_at=3_000.0,
    )
    assert (orphan.result, orphan.answer, orphan.signature) == (
        b"result",
        answer_to(event),
        b"\x55" * 65,
    )
    again = seen(12, request_id=event.request_id, fork=1, log_index=1)
    (job,) = await storage.jobs.ingest(block(12, 1), [again], [])
    assert job == replace(
        orphan,
        state=JobState.SEEN,
        block_number=12,
        block_hash=block(12, 1).hash,
        log_index=1,
    )
    assert await storage.jobs.job(event.request_id) == job


async def test_an_orphan_seen_again_in_its_old_block_is_no_orphan(storage: Storage) -> None:
    event = seen(11)
    await storage.jobs.ingest(block(11), [event], [JobMove(event.request_id, Trigger.ADMIT)])
    await storage.jobs.rewind(block(10))
    (job,) = await storage.jobs.ingest(block(11), [event], [])
    assert job.state is JobState.SEEN


async def test_an_orphan_can_be_seen_accepted_and_answered_in_one_batch(storage: Storage) -> None:
    event = seen(11)
    await settled_job(storage, event, answered_block=12, settled_block=13)
    await storage.jobs.rewind(block(10))
    again = seen(11, request_id=event.request_id, fork=1)
    moves = [
        JobMove(event.request_id, Trigger.ACCEPTED_BY_US, JobPatch(accepted=True)),
        JobMove(event.request_id, Trigger.ANSWERED, JobPatch(settle_at=9, answered_block=11)),
    ]
    (job,) = await storage.jobs.ingest(block(11, 1), [again], moves)
    assert (job.state, job.answer) == (JobState.ANSWERED, answer_to(event))


async def test_an_answer_mined_above_is_open_again(storage: Storage) -> None:
    event = seen(10)
    await bring_to(storage, event, JobState.ACCEPTED, accepted=True)
    await storage.jobs.move(
        [
            JobMove(event.request_id, Trigger.COMPUTED, computed(event)),
            JobMove(event.request_id, Trigger.ANSWER_SENT),
            JobMove(event.request_id, Trigger.ANSWERED, JobPatch(settle_at=99, answered_block=12)),
        ]
    )
    await sent_for(storage, event, Purpose.ANSWER, 12)
    (job,) = await storage.jobs.rewind(block(11))
    assert (job.state, job.answered_block, job.settle_at) == (JobState.ANSWERING, None, None)
    assert (job.accepted, job.answer, job.result) == (True, answer_to(event), b"result")


async def test_an_answer_mined_at_the_ancestor_stays(storage: Storage) -> None:
    event = seen(10)
    await settled_job(storage, event, answered_block=12, settled_block=12)
    assert await storage.jobs.rewind(block(12)) == []


async def test_a_settlement_mined_above_is_open_again(storage: Storage) -> None:
    event = seen(10)
    await settled_job(storage, event, answered_block=11, settled_block=13)
    await sent_for(storage, event, Purpose.SETTLE, 13)
    (job,) = await storage.jobs.rewind(block(12))
    assert (job.state, job.settled_block, job.fee_earned) == (JobState.SETTLING, None, 0)
    assert (job.answered_block, job.settle_at) == (11, 5_000)
    assert (job.attempts, job.not_before) == (0, 0.0)


async def test_answer_and_settlement_above_end_in_answering(storage: Storage) -> None:
    event = seen(10)
    await settled_job(storage, event, answered_block=12, settled_block=13)
    await sent_for(storage, event, Purpose.ANSWER, 12)
    (job,) = await storage.jobs.rewind(block(11))
    assert job.state is JobState.ANSWERING
    assert (job.answered_block, job.settle_at, job.settled_block, job.fee_earned) == (
        None,
        None,
        None,
        0,
    )


async def test_a_slashed_answer_above_is_open_again(storage: Storage) -> None:
    event = seen(10)
    made = computed(event) | {"answered_block": 12, "reason": "fraud proof"}
    await bring_to(storage, event, JobState.SLASHED, **made)
    (job,) = await storage.jobs.rewind(block(11))
    assert (job.state, job.reason) == (JobState.COMPUTED, None)


@pytest.mark.parametrize("sent", [True, False], ids=["by us", "by a stranger"])
async def test_an_acceptance_mined_above_is_waited_for_where_it_is_ours_to_repeat(
    storage: Storage, sent: bool
) -> None:
    """What was computed is kept; the state is the one that its own transaction leads on from."""
    event = seen(10)
    await bring_to(storage, event, JobState.ACCEPTED, accepted=True, accepted_block=12)
    await storage.jobs.move([JobMove(event.request_id, Trigger.COMPUTED, computed(event))])
    if sent:
        await sent_for(storage, event, Purpose.ACCEPT, 12)
    (job,) = await storage.jobs.rewind(block(11))
    assert job.state is (JobState.ACCEPTING if sent else JobState.ADMITTED)
    assert (job.accepted, job.accepted_block, job.signature) == (False, None, b"\x55" * 65)


async def test_what_binds_us_is_counted_by_block_and_no_more_once_it_is_undone(
    storage: Storage,
) -> None:
    for number in (10, 12, 12):
        event = seen(number)
        await bring_to(storage, event, JobState.ACCEPTED, accepted=True, accepted_block=number)
    await bring_to(storage, seen(12), JobState.DECLINED, reason="dust")
    assert [await storage.jobs.bound(number) for number in (9, 10, 11, 12)] == [0, 1, 1, 3]
    await storage.jobs.rewind(block(11))
    assert await storage.jobs.bound(12) == 1


@pytest.mark.parametrize(
    ("ended", "back"),
    [
        (JobState.LOST, JobState.SEEN),
        (JobState.DEFAULTED, JobState.ACCEPTED),
        (JobState.SLASHED, JobState.ANSWERED),
    ],
)
async def test_an_end_mined_above_is_undone(
    storage: Storage, ended: JobState, back: JobState
) -> None:
    event = seen(10)
    await bring_to(storage, event, ended, ended_block=12, reason="it said so")
    assert await storage.jobs.rewind(block(12)) == []
    (job,) = await storage.jobs.rewind(block(11))
    assert (job.state, job.ended_block, job.reason) == (back, None, None)


@pytest.mark.parametrize(
    ("block_of", "back"),
    [("settled_block", JobState.ANSWERED), ("answered_block", JobState.COMPUTED)],
)
async def test_what_a_stranger_sent_for_us_is_ours_to_send_again(
    storage: Storage, block_of: str, back: JobState
) -> None:
    """Anybody may post a signed answer or settle it; their transactions do not come back."""
    event = seen(10)
    blocks = {"answered_block": 11, "settled_block": 13} | {block_of: 12}
    await settled_job(storage, event, **blocks)
    (job,) = await storage.jobs.rewind(block(11))
    assert job.state is back


async def answered_unknown(storage: Storage, event: RequestSeen, number: int) -> None:
    """An answer of ours that this database, which was restored, knows from its log alone."""
    at = Position(number, 0, block(number).hash, b"\x99" * 32)
    log = RequestAnswered(at, event.request_id, OPERATOR, b"\x77" * 32, 5_000, b"result")
    await storage.jobs.ingest(block(number), [], translate([log], OPERATOR)[1])


async def test_an_answer_that_only_its_log_told_of_is_computed_again_where_it_is_gone(
    storage: Storage,
) -> None:
    """What was posted stays on record, so that nothing else is signed; its log may have lied."""
    event = seen(10)
    await bring_to(storage, event, JobState.ACCEPTED, accepted=True, accepted_block=10)
    await answered_unknown(storage, event, 12)
    (job,) = await storage.jobs.rewind(block(11))
    assert (job.state, job.answer, job.result) == (JobState.ACCEPTED, answer_to(event), None)
    await answered_unknown(storage, event, 12)
    (job,) = await storage.jobs.jobs_of([event.request_id])
    assert (job.state, job.result) == (JobState.ANSWERED, b"result")


async def test_an_orphan_forgets_a_result_that_only_a_log_told_of(storage: Storage) -> None:
    event = seen(11)
    await bring_to(storage, event, JobState.ACCEPTED, accepted=True, accepted_block=11)
    await answered_unknown(storage, event, 12)
    (job,) = await storage.jobs.rewind(block(10))
    assert (job.state, job.answer, job.result) == (JobState.ORPHANED, answer_to(event), None)


async def test_an_answer_not_made_here_whose_transaction_fails_is_computed(
    storage: Storage,
) -> None:
    event = seen(10)
    await bring_to(storage, event, JobState.ACCEPTED, accepted=True, accepted_block=10)
    await answered_unknown(storage, event, 12)
    await sent_for(storage, event, Purpose.ANSWER, 12)
    (job,) = await storage.jobs.rewind(block(11))
    assert job.state is JobState.ANSWERING
    (job,) = await storage.jobs.move([JobMove(event.request_id, Trigger.ANSWER_FAILED)])
    assert (job.state, job.result) == (JobState.ACCEPTED, None)


async def test_what_is_final_is_a_block_to_go_back_to(storage: Storage) -> None:
    for number in (10, 20):
        await storage.jobs.ingest(block(number), [], [])
    assert await storage.jobs.finalised() is None
    for number in (12, 15):
        await storage.jobs.finalise(block(number))
    assert await storage.jobs.finalised() == block(15)
    assert await storage.jobs.cursor() == block(20)
    assert block(15) in await storage.jobs.recent_blocks(9)


async def test_what_is_final_outlives_the_blocks_that_are_kept(storage: Storage) -> None:
    for number in (10, 11):
        await storage.jobs.ingest(block(number), [], [])
    await storage.jobs.finalise(block(11))
    for number in range(100, 100 + BLOCKS_KEPT):
        await storage.jobs.ingest(block(number), [], [])
    assert await storage.jobs.finalised() == block(11)
    await storage.jobs.finalise(block(50))
    assert await storage.jobs.finalised() == block(50)
    assert await storage.jobs.recent_blocks(9_999) == [
        *(block(number) for number in reversed(range(100, 100 + BLOCKS_KEPT))),
        block(50),
    ]


async def sent_for(storage: Storage, event: RequestSeen, purpose: Purpose, number: int) -> None:
    """Saves a transaction of ours for a request, as mined."""
    tried = attempt()
    sent = await prepared(
        storage, number, purpose=purpose, request_ids=[event.request_id], attempt=tried
    )
    await storage.transactions.record_mined(sent.id, mined(tried, number), [])


async def test_jobs_below_are_left_alone(storage: Storage) -> None:
    low, high = seen(10), seen(12)
    await storage.jobs.ingest(block(12), [low, high], [])
    assert [job.request_id for job in await storage.jobs.rewind(block(11))] == [high.request_id]


@pytest.mark.parametrize("succeeded", [True, False])
async def test_transactions_mined_above_are_open_again(storage: Storage, succeeded: bool) -> None:
    low, high = attempt(), attempt()
    below = await prepared(storage, 1, attempt=low)
    above = await prepared(storage, 2, attempt=high)
    await storage.transactions.record_mined(below.id, mined(low, 11, succeeded=succeeded), [])
    await storage.transactions.record_mined(above.id, mined(high, 12, succeeded=succeeded), [])
    assert await storage.transactions.open_transactions(above.sender) == []
    await storage.jobs.rewind(block(11))
    assert await storage.transactions.open_transactions(above.sender) == [above]
    assert above.state is TransactionState.OPEN
    totals = await storage.jobs.totals()
    assert totals.gas_spent_wei == mined(low, 11).cost_wei
