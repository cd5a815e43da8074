"""The sums of the operator's page, against sums made by hand, on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from oracle.core.economics import Estimate, GasParts
from oracle.core.job import JobState, Trigger
from oracle.core.transaction import Purpose
from oracle.ports.jobs import JobMove
from oracle.ports.overview import GasSum, OverviewStore
from oracle.storage import Storage
from oracle.storage.overview import SqlOverview

from .building import (
    SteppingClock,
    answer_to,
    attempt,
    block,
    bring_to,
    computed,
    mined,
    new_id,
    prepared,
    request,
    seen,
)

MODEL, OTHER = b"\x01" * 32, b"\x02" * 32
BUCKET = 60.0


@pytest.fixture
async def figures(storage: Storage, location: str) -> AsyncIterator[OverviewStore]:
    opened = SqlOverview(location)
    yield opened
    await opened.close()


async def _answered(
    storage: Storage,
    clock: SteppingClock,
    *,
    seen_at: float,
    sent_at: float,
    nonce: int,
    together: int = 1,
    model_id: bytes = MODEL,
    gas_price: int = 10**9,
) -> list[bytes]:
    """Requests that are answered by one transaction, which takes 50,000 gas."""
    clock.seconds = seen_at
    events = [seen(10 + nonce, log_index=index, model_id=model_id) for index in range(together)]
    for event in events:
        await bring_to(storage, event, JobState.ACCEPTED, accepted=True)
    ids = [event.request_id for event in events]
    clock.seconds = (seen_at + sent_at) / 2
    await storage.jobs.reserve_signatures("answer", [(one, new_id()) for one in ids])
    await storage.jobs.move(
        [JobMove(event.request_id, Trigger.COMPUTED, computed(event)) for event in events]
    )
    clock.seconds = sent_at
    tried = attempt()
    sent = await prepared(
        storage,
        nonce,
        attempt=tried,
        request_ids=tuple(ids),
        moves=[JobMove(one, Trigger.ANSWER_SENT) for one in ids],
    )
    await storage.transactions.record_mined(
        sent.id, mined(tried, 20 + nonce, gas_price=gas_price), []
    )
    await storage.jobs.move(
        [
            JobMove(one, Trigger.ANSWERED, {"settle_at": 5_000, "answered_block": 20 + nonce})
            for one in ids
        ]
    )
    return ids


async def _settled(storage: Storage, clock: SteppingClock, ids: list[bytes], at: float) -> None:
    clock.seconds = at
    for trigger, patch in (
        (Trigger.SETTLE_SENT, {}),
        (Trigger.SETTLED, {"fee_earned": 2**95, "settled_block": 90}),
    ):
        await storage.jobs.move([JobMove(one, trigger, patch) for one in ids])  # type: ignore[arg-type]


async def test_nothing_is_nothing(figures: OverviewStore) -> None:
    assert await figures.counts() == {}
    assert await figures.latest(5) == []
    assert await figures.line(b"\x01" * 32) is None
    sums = await figures.sums(1_000.0, BUCKET, 3)
    assert (sums.stretch.answers, sums.stretch.median_seconds) == (0, None)
    assert [one.answers for one in sums.stretch.buckets] == [0, 0, 0]
    assert (sums.money.fees_earned, sums.money.gas_wei, list(sums.models)) == (0, 0, [])


async def test_a_line_tells_each_step_and_its_share_of_the_gas(
    storage: Storage, figures: OverviewStore, clock: SteppingClock
) -> None:
    ids = await _answered(storage, clock, seen_at=1_000, sent_at=1_004, nonce=1, together=2)
    await _settled(storage, clock, ids[:1], 1_030)
    lines = {one.request_id: one for one in await figures.latest(9)}
    assert lines == {one: await figures.line(one) for one in ids}
    first, second = lines[ids[0]], lines[ids[1]]
    assert (first.seen_at, first.computed_at, first.sent_at, first.ended_at) == (
        *(1_000, 1_002, 1_004, 1_030),
    )
    assert (first.seen_block, first.answered_block, first.settled_block) == (11, 21, 90)
    assert first.gas_wei == second.gas_wei == 50_000 * 10**9 // 2
    assert (first.fee_earned, second.fee_earned) == (2**95, 0)
    assert (second.state, second.ended_at, second.settle_at) == (JobState.ANSWERED, None, 5_000)
    assert first.profit_wei is None, "an OPG has no price here"


async def test_profit_is_told_where_opg_has_a_price(
    storage: Storage, figures: OverviewStore, clock: SteppingClock
) -> None:
    (one,) = await _answered(storage, clock, seen_at=1_000, sent_at=1_004, nonce=1)
    estimate = Estimate(10**18, 10**15, 0, 10**9, GasParts(0, 1, 1, 0, 0), "bound", None, 1_000.0)
    await storage.jobs.move([JobMove(one, Trigger.SETTLE_SENT, {"economics": estimate.to_json()})])
    await storage.jobs.move([JobMove(one, Trigger.SETTLED, {"fee_earned": 10**18})])
    line = await figures.line(one)
    assert line is not None
    assert line.profit_wei == 10**15 - 50_000 * 10**9


async def test_answers_fall_into_parts_of_time(
    storage: Storage, figures: OverviewStore, clock: SteppingClock
) -> None:
    # Parts of a minute that end at 1,020: [840, 900), [900, 960), [960, 1,020)
    await _answered(storage, clock, seen_at=700, sent_at=839.9, nonce=1)
    await _answered(storage, clock, seen_at=839, sent_at=840, nonce=2)
    await _answered(storage, clock, seen_at=890, sent_at=899.5, nonce=3, together=3)
    await _answered(storage, clock, seen_at=900, sent_at=1_000, nonce=4, model_id=OTHER)
    sums = await figures.sums(1_001.0, BUCKET, 3)
    stretch = sums.stretch
    assert (stretch.start, stretch.seconds) == (840, 180)
    assert [one.answers for one in stretch.buckets] == [4, 0, 1]
    assert [one.median_seconds for one in stretch.buckets] == [9.5, None, 100]
    assert [one.slow_seconds for one in stretch.buckets] == [9.5, None, 100]
    assert (stretch.median_seconds, stretch.slow_seconds) == (9.5, 100)
    by_model = {one.model_id: one for one in sums.models}
    assert [one.model_id for one in sums.models] == [MODEL, OTHER]
    assert by_model[MODEL].median_seconds == 9.5
    assert by_model[OTHER].median_seconds == 100
    assert by_model[MODEL].median_inference_seconds == 0.25
    assert (by_model[MODEL].delivered, by_model[MODEL].due) == (5, 5)


async def test_money_of_a_stretch_and_in_all_is_exact(
    storage: Storage, figures: OverviewStore, clock: SteppingClock
) -> None:
    """Fees of 2^95 base units outgrow what databases add up."""
    price = 3 * 10**12 + 1
    old = await _answered(storage, clock, seen_at=100, sent_at=110, nonce=1, gas_price=price)
    new = await _answered(storage, clock, seen_at=900, sent_at=910, nonce=2, together=2)
    await _settled(storage, clock, old, 150)
    await _settled(storage, clock, new, 950)
    sums = await figures.sums(1_000.0, BUCKET, 3)
    assert sums.money.fees_earned == 2 * 2**95
    assert sums.money_in_all.fees_earned == 3 * 2**95
    assert sums.money.gas == [GasSum("answer", 1, 0, 50_000 * 10**9)]
    assert sums.money_in_all.gas == [GasSum("answer", 2, 0, 50_000 * (10**9 + price))]


async def test_reverted_and_abandoned_transactions(
    storage: Storage, figures: OverviewStore, clock: SteppingClock
) -> None:
    clock.seconds = 900
    event = seen(5)
    await bring_to(storage, event, JobState.COMPUTED)
    given_up = await prepared(
        storage,
        1,
        request_ids=(event.request_id,),
        moves=[JobMove(event.request_id, Trigger.ANSWER_SENT)],
    )
    await storage.transactions.abandon(
        given_up.id, [JobMove(event.request_id, Trigger.ANSWER_FAILED)]
    )
    tried = attempt()
    failed = await prepared(storage, 1, attempt=tried, purpose=Purpose.SETTLE)
    await storage.transactions.record_mined(failed.id, mined(tried, 7, succeeded=False), [])
    sums = await figures.sums(1_000.0, BUCKET, 3)
    assert sums.stretch.answers == 0
    assert sums.money.gas == [GasSum("settle", 1, 1, 50_000 * 1_500_000_000)]
    line = await figures.line(event.request_id)
    assert line is not None
    assert (line.sent_at, line.gas_wei) == (None, 0)


async def test_delivery_counts_what_was_due(
    storage: Storage, figures: OverviewStore, clock: SteppingClock
) -> None:
    for number, state in enumerate(
        [
            *(JobState.SETTLED, JobState.SETTLED, JobState.DEFAULTED, JobState.FAILED),
            *(JobState.SLASHED, JobState.DECLINED, JobState.LOST, JobState.ACCEPTED),
        ]
    ):
        await bring_to(storage, seen(10 + number), state)
    (model,) = (await figures.sums(1_000.0, BUCKET, 3)).models
    assert (model.delivered, model.defaulted, model.failed, model.convicted) == (2, 1, 1, 1)
    assert model.due == 5, "what was left to others, or is under way, is not due"
    assert (await figures.counts())[JobState.ACCEPTED] == 1


async def test_the_latest_come_first_and_no_more_than_wanted(
    storage: Storage, figures: OverviewStore
) -> None:
    events = [seen(number, log_index=index) for number in (5, 6) for index in (0, 1)]
    await storage.jobs.ingest(block(6), events, [])
    found = await figures.latest(3)
    assert [one.request_id for one in found] == [one.request_id for one in events[:0:-1]]
    assert answer_to(events[0]).model_id == request().model_id == found[0].model_id
