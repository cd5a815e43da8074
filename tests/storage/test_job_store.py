"""The job table, the cursor, identity, the sign-once record and totals, as the port promises."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from oracle.core.job import LONGEST_PAUSE_SECONDS, JobState, Trigger
from oracle.core.receipt import Answer
from oracle.errors import IllegalTransition, NotFound, SignedTwice, StorageError, WrongChain
from oracle.ports.jobs import DatabaseIdentity, Disputable, JobMove, JobPatch, JobStore
from oracle.storage import Storage, open_storage
from oracle.storage.lookup import Lookup

from .building import (
    ALICE,
    IDENTITY,
    ORACLE,
    SteppingClock,
    answer_to,
    attempt,
    block,
    bring_to,
    computed,
    mined,
    new_id,
    prepared,
    seen,
    settled_job,
)

UINT96_MAX = 2**96 - 1


@pytest.fixture
def jobs(storage: Storage) -> JobStore:
    return storage.jobs  # also a static check that the store is what the port asks for


# ---- identity


async def test_bind_takes_the_first_identity_and_then_no_other(jobs: JobStore) -> None:
    await jobs.bind(IDENTITY)
    await jobs.bind(IDENTITY)
    with pytest.raises(WrongChain, match=r"chain id is 31337, not 1$"):
        await jobs.bind(replace(IDENTITY, chain_id=1))
    with pytest.raises(WrongChain, match="its oracle is"):
        await jobs.bind(replace(IDENTITY, oracle=ALICE))
    with pytest.raises(WrongChain, match=r"its operator is .*; its genesis hash is 0x4747"):
        await jobs.bind(replace(IDENTITY, operator=ALICE, genesis_hash=bytes(32)))
    await jobs.bind(IDENTITY)


async def test_bind_says_when_a_devnet_was_started_anew(jobs: JobStore) -> None:
    await jobs.bind(IDENTITY)
    with pytest.raises(WrongChain) as caught:
        await jobs.bind(replace(IDENTITY, genesis_hash=bytes(32)))
    assert caught.value.hint is not None
    assert "started anew" in caught.value.hint


async def test_identity_survives_a_restart(location: str, clock: SteppingClock) -> None:
    first = open_storage(location, clock)
    await first.jobs.bind(DatabaseIdentity(2**63 + 1, ORACLE, ALICE, b"\x01" * 32))
    await first.close()
    second = open_storage(location, clock)
    await second.jobs.bind(DatabaseIdentity(2**63 + 1, ORACLE, ALICE, b"\x01" * 32))
    await second.close()


# ---- the cursor


async def test_cursor_starts_nowhere_and_follows_ingest(jobs: JobStore) -> None:
    assert await jobs.cursor() is None
    await jobs.ingest(block(10), [], [])
    await jobs.ingest(block(12), [], [])
    assert await jobs.cursor() == block(12)
    assert await jobs.recent_blocks(5) == [block(12), block(10)]
    assert await jobs.recent_blocks(1) == [block(12)]


async def test_ingest_to_the_same_height_replaces_the_block(jobs: JobStore) -> None:
    await jobs.ingest(block(10), [], [])
    await jobs.ingest(block(10, fork=1), [], [])
    assert await jobs.recent_blocks(5) == [block(10, fork=1)]


async def test_only_the_last_512_blocks_are_kept(jobs: JobStore) -> None:
    for number in range(1, 520):
        await jobs.ingest(block(number), [], [])
    kept = await jobs.recent_blocks(1_000)
    assert [kept[0].number, kept[-1].number, len(kept)] == [519, 8, 512]


# ---- ingest


async def test_ingest_adds_a_job_with_its_anchor(jobs: JobStore, clock: SteppingClock) -> None:
    clock.seconds = 123.5
    event = seen(11, log_index=3, fee=UINT96_MAX, nonce=2**64 - 1, eager=True)
    (job,) = await jobs.ingest(block(12), [event], [])
    assert job.state is JobState.SEEN
    assert (job.request, job.input) == (event.request, b"input")
    assert (job.block_number, job.block_hash, job.log_index) == (11, block(11).hash, 3)
    assert (job.seen_at, job.updated_at) == (123.5, 123.5)
    assert await jobs.job(event.request_id) == job


async def test_ingest_moves_a_new_job_through_several_states_at_once(jobs: JobStore) -> None:
    event = seen(11)
    moves = [
        JobMove(event.request_id, Trigger.ACCEPTED_BY_US, JobPatch(accepted=True)),
        JobMove(event.request_id, Trigger.ANSWERED, JobPatch(settle_at=77, answered_block=12)),
        JobMove(event.request_id, Trigger.SETTLED, JobPatch(settled_block=12, fee_earned=5)),
    ]
    (job,) = await jobs.ingest(block(12), [event], moves)
    assert job.state is JobState.SETTLED
    assert (job.accepted, job.settle_at, job.answered_block, job.settled_block) == (
        True,
        77,
        12,
        12,
    )
    assert await jobs.job(event.request_id) == job


async def test_ingest_delivered_twice_changes_nothing(jobs: JobStore, clock: SteppingClock) -> None:
    event = seen(11)
    moves = [JobMove(event.request_id, Trigger.ACCEPTED_BY_US, JobPatch(accepted=True))]
    (job,) = await jobs.ingest(block(12), [event, event], moves)
    clock.seconds += 10
    assert await jobs.ingest(block(12), [event], moves) == []
    assert await jobs.job(event.request_id) == job


async def test_ingest_skips_what_is_unknown_or_illegal_and_keeps_the_rest(jobs: JobStore) -> None:
    first, second = seen(11), seen(11)
    changed = await jobs.ingest(
        block(12),
        [first, second],
        [
            JobMove(new_id(), Trigger.ANSWERED),
            JobMove(first.request_id, Trigger.SETTLED, JobPatch(fee_earned=9)),
            JobMove(second.request_id, Trigger.WITHDRAWN, JobPatch(reason="cancelled")),
        ],
    )
    assert [(job.state, job.fee_earned, job.reason) for job in changed] == [
        (JobState.SEEN, 0, None),
        (JobState.LOST, 0, "cancelled"),
    ]


async def test_ingest_anchors_a_request_again_where_it_is_now(jobs: JobStore) -> None:
    event = seen(11)
    await jobs.ingest(block(12), [event], [JobMove(event.request_id, Trigger.ADMIT)])
    again = seen(13, request_id=event.request_id, log_index=2, fork=1)
    (job,) = await jobs.ingest(block(14, 1), [again], [])
    assert job.state is JobState.ADMITTED
    assert (job.block_number, job.block_hash, job.log_index) == (13, block(13, 1).hash, 2)


async def test_ingest_is_all_or_nothing(jobs: JobStore) -> None:
    known = seen(11)
    await jobs.ingest(block(11), [known], [])
    foreign = answer_to(seen(1))  # cannot be saved: it answers another request
    with pytest.raises(StorageError, match="another request"):
        await jobs.ingest(
            block(12),
            [seen(12)],
            [
                JobMove(known.request_id, Trigger.ADMIT),
                JobMove(known.request_id, Trigger.ACCEPTED_BY_US, JobPatch(answer=foreign)),
            ],
        )
    assert await jobs.cursor() == block(11)
    assert [job.request_id for job in await jobs.jobs(list(JobState), limit=9)] == [
        known.request_id
    ]


# ---- move


async def test_move_sets_fields_in_the_same_stroke(jobs: JobStore, clock: SteppingClock) -> None:
    event = seen(11)
    await jobs.ingest(block(11), [event], [JobMove(event.request_id, Trigger.ACCEPTED_BY_US)])
    clock.seconds = 2_000.0
    (job,) = await jobs.move([JobMove(event.request_id, Trigger.COMPUTED, computed(event))])
    assert job.state is JobState.COMPUTED
    assert (job.result, job.answer, job.signature) == (
        b"result",
        answer_to(event),
        b"\x55" * 65,
    )
    assert (job.seen_at, job.updated_at) == (1_000.0, 2_000.0)
    assert await jobs.job(event.request_id) == job


async def test_an_illegal_move_leaves_all_as_it_was(jobs: JobStore) -> None:
    events = [seen(11), seen(11), seen(11)]
    before = await jobs.ingest(block(11), events, [])
    first, second, third = (event.request_id for event in events)
    with pytest.raises(IllegalTransition, match=second.hex()):
        await jobs.move(
            [
                JobMove(first, Trigger.ADMIT),
                JobMove(second, Trigger.SETTLED),
                JobMove(third, Trigger.ADMIT),
            ]
        )
    assert [await jobs.job(event.request_id) for event in events] == before


async def test_a_move_of_no_job_leaves_all_as_it_was(jobs: JobStore) -> None:
    event = seen(11)
    before = await jobs.ingest(block(11), [event], [])
    with pytest.raises(NotFound):
        await jobs.move(
            [JobMove(event.request_id, Trigger.ADMIT), JobMove(new_id(), Trigger.ADMIT)]
        )
    assert [await jobs.job(event.request_id)] == before


async def test_no_moves_are_no_work(jobs: JobStore) -> None:
    assert await jobs.move([]) == []


async def test_an_answer_to_another_request_is_not_saved(jobs: JobStore) -> None:
    event = seen(11)
    await jobs.ingest(block(11), [event], [JobMove(event.request_id, Trigger.ACCEPTED_BY_US)])
    foreign = Answer(new_id(), ALICE, bytes(32), bytes(32), bytes(32), bytes(32))
    with pytest.raises(StorageError, match="another request"):
        await jobs.move([JobMove(event.request_id, Trigger.COMPUTED, JobPatch(answer=foreign))])


# ---- finding jobs


async def test_jobs_come_by_deadline_and_only_those_due(jobs: JobStore) -> None:
    late, soon, waiting = seen(11, deadline=300), seen(11, deadline=100), seen(11, deadline=50)
    other = seen(11, deadline=10)
    await jobs.ingest(block(11), [late, soon, waiting, other], [])
    await jobs.move(
        [JobMove(event.request_id, Trigger.ADMIT) for event in (late, soon)]
        + [JobMove(waiting.request_id, Trigger.ADMIT, JobPatch(not_before=500.0))]
    )

    async def found(*, limit: int = 10, due_at: float | None = None) -> list[bytes]:
        rows = await jobs.jobs([JobState.ADMITTED], limit=limit, due_at=due_at)
        return [job.request_id for job in rows]

    assert await found() == [waiting.request_id, soon.request_id, late.request_id]
    assert await found(due_at=499.9) == [soon.request_id, late.request_id]
    assert await found(due_at=500.0, limit=2) == [waiting.request_id, soon.request_id]
    both = await jobs.jobs([JobState.SEEN, JobState.ADMITTED], limit=2)
    assert [job.request_id for job in both] == [other.request_id, waiting.request_id]
    assert await jobs.jobs([], limit=5) == []
    assert await jobs.job(new_id()) is None


async def test_jobs_of_some_models_are_left_out(jobs: JobStore) -> None:
    models = [new_id() for _ in range(3)]
    made = [seen(11, deadline=100 + at, model_id=one) for at, one in enumerate(models)]
    await jobs.ingest(block(11), made, [])

    async def found(*besides: bytes, limit: int = 10) -> list[bytes]:
        rows = await jobs.jobs([JobState.SEEN], limit=limit, besides=besides)
        return [job.request.model_id for job in rows]

    assert await found() == models
    assert await found(models[0], limit=1) == [models[1]]
    assert await found(models[0], models[2]) == [models[1]]


async def test_what_is_final_comes_by_the_end_of_its_window(storage: Storage) -> None:
    ends = {30: 300.0, 10: 0.0, 20: 0.0, 40: 0.0, 50: 0.0}
    by_end = {}
    for end, not_before in ends.items():
        event = by_end[end] = seen(11, deadline=100 - end)
        await bring_to(storage, event, JobState.ANSWERED, settle_at=end, not_before=not_before)
    await bring_to(storage, seen(11), JobState.SETTLING, settle_at=10)

    async def found(chain_time: int, *, due_at: float = 400.0, limit: int = 9) -> list[bytes]:
        rows = await storage.jobs.settleable(chain_time, limit=limit, due_at=due_at)
        return [job.request_id for job in rows]

    def those(*wanted: int) -> list[bytes]:
        return [by_end[end].request_id for end in wanted]

    assert await found(9) == []
    assert await found(40) == those(10, 20, 30, 40)
    assert await found(40, limit=2) == those(10, 20)
    assert await found(40, due_at=299.0) == those(10, 20, 40)


async def test_a_job_does_not_wait_out_a_clock_that_was_set_back(jobs: JobStore) -> None:
    event = seen(11)
    await jobs.ingest(block(11), [event], [])
    patch = JobPatch(not_before=10_000.0)
    await jobs.move([JobMove(event.request_id, Trigger.POSTPONE, patch)])
    for due_at, count in (
        (9_999.0, 0),
        (10_000.0 - LONGEST_PAUSE_SECONDS, 0),
        (9_999.0 - LONGEST_PAUSE_SECONDS, 1),
    ):
        assert len(await jobs.jobs([JobState.SEEN], limit=9, due_at=due_at)) == count
        assert len(await jobs.take([JobState.SEEN], limit=9, due_at=due_at)) == count


async def test_latest_jobs_and_counts(storage: Storage) -> None:
    events = [seen(11, log_index=index) for index in (3, 1, 2)]
    await storage.jobs.ingest(
        block(11), events, [JobMove(events[1].request_id, Trigger.DECLINE, JobPatch(reason="fee"))]
    )
    assert [job.log_index for job in await Lookup(storage.database).jobs([], 2)] == [3, 2]
    counts = await storage.jobs.count_by_state()
    assert (counts[JobState.SEEN], counts[JobState.DECLINED], counts[JobState.LOST]) == (2, 1, 0)


# ---- sign once


async def test_the_same_digest_may_come_again_and_no_other(jobs: JobStore) -> None:
    request_id = new_id()  # of no job: the record stands by itself
    await jobs.reserve_signatures("answer", [(request_id, b"\x01" * 32)])
    await jobs.reserve_signatures("answer", [(request_id, b"\x01" * 32)])
    with pytest.raises(SignedTwice):
        await jobs.reserve_signatures("answer", [(request_id, b"\x02" * 32)])
    await jobs.reserve_signatures("accept", [(request_id, b"\x02" * 32)])
    await jobs.reserve_signatures("answer", [(new_id(), b"\x02" * 32)])
    await jobs.reserve_signatures("answer", [])


async def test_digests_are_reserved_all_or_none(jobs: JobStore) -> None:
    old, new = new_id(), new_id()
    await jobs.reserve_signatures("answer", [(old, b"\x01" * 32)])
    with pytest.raises(SignedTwice, match=old.hex()):
        await jobs.reserve_signatures("answer", [(new, b"\x01" * 32), (old, b"\x02" * 32)])
    await jobs.reserve_signatures("answer", [(new, b"\x03" * 32), (old, b"\x01" * 32)])


async def test_one_call_cannot_reserve_two_digests_for_one_request(jobs: JobStore) -> None:
    request_id = new_id()
    with pytest.raises(SignedTwice):
        await jobs.reserve_signatures(
            "answer", [(request_id, b"\x01" * 32), (request_id, b"\x02" * 32)]
        )
    await jobs.reserve_signatures("answer", [(request_id, b"\x02" * 32)] * 2)


async def test_a_thousand_digests_at_once(jobs: JobStore) -> None:
    digests = [(new_id(), new_id()) for _ in range(1_200)]
    await jobs.reserve_signatures("answer", digests)
    with pytest.raises(SignedTwice, match=digests[-1][0].hex()):
        await jobs.reserve_signatures("answer", [(digests[-1][0], bytes(32))])


async def test_many_at_once_reserve_one_digest(jobs: JobStore) -> None:
    request_id = new_id()
    outcomes = await asyncio.gather(
        *(jobs.reserve_signatures("answer", [(request_id, bytes([n]) * 32)]) for n in range(20)),
        return_exceptions=True,
    )
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, SignedTwice) for outcome in outcomes) == 19


# ---- totals


async def test_totals_of_nothing(jobs: JobStore) -> None:
    totals = await jobs.totals()
    assert set(totals.jobs) == set(JobState)
    assert set(totals.jobs.values()) == {0}
    assert (totals.fees_earned, totals.gas_spent_wei, totals.transactions, totals.reverted) == (
        0,
        0,
        0,
        0,
    )


async def test_what_can_be_disputed_is_summed_exactly_and_closes_with_the_last_window(
    storage: Storage,
) -> None:
    jobs = storage.jobs
    assert await jobs.disputable(0.0) is None
    events = [seen(number) for number in (10, 11, 12)]
    await bring_to(storage, events[0], JobState.ANSWERED, settle_at=5_000)
    await bring_to(storage, events[1], JobState.ANSWERED, settle_at=6_000)
    await bring_to(storage, events[2], JobState.ACCEPTED)
    bonds = [event.request.bond for event in events]
    assert await jobs.disputable(4_999.0) == Disputable(2, 6_000, bonds[0] + bonds[1])
    assert await jobs.disputable(5_000.0) == Disputable(1, 6_000, bonds[1])
    assert await jobs.disputable(6_000.0) is None


async def test_totals_are_exact_beyond_64_bits(storage: Storage) -> None:
    for fee in (UINT96_MAX, UINT96_MAX, 2**63, 1):
        event = seen(11)
        await storage.jobs.ingest(
            block(11),
            [event],
            [
                JobMove(event.request_id, Trigger.ACCEPTED_BY_US),
                JobMove(event.request_id, Trigger.ANSWERED),
                JobMove(event.request_id, Trigger.SETTLED, JobPatch(fee_earned=fee)),
            ],
        )
    spent = 0
    for nonce, (used, price) in enumerate([(21_000, 2**63), (30_000, 2**63), (1, 2**64 - 1)]):
        tried = attempt()
        transaction = await prepared(storage, nonce, attempt=tried)
        outcome = mined(tried, 20, gas_used=used, gas_price=price, succeeded=nonce != 1)
        await storage.transactions.record_mined(transaction.id, outcome, [])
        spent += used * price
    await prepared(storage, 9)
    totals = await storage.jobs.totals()
    assert totals.fees_earned == 2 * UINT96_MAX + 2**63 + 1
    assert totals.gas_spent_wei == spent
    assert (totals.transactions, totals.reverted) == (4, 1)
    assert totals.jobs[JobState.SETTLED] == 4


async def test_a_fee_is_no_longer_earned_once_its_settlement_is_undone(storage: Storage) -> None:
    event = seen(10)
    await settled_job(storage, event, answered_block=11, settled_block=12)
    assert (await storage.jobs.totals()).fees_earned == 900
    await storage.jobs.rewind(block(11))
    assert (await storage.jobs.totals()).fees_earned == 0


async def test_bring_to_reaches_every_state(storage: Storage) -> None:
    for state in JobState:
        await bring_to(storage, seen(11), state)
