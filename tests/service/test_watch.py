"""What each event means to one operator's jobs, and how the cursor follows a chain that forks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oracle.core import event as events
from oracle.core.event import BlockRef, ChainEvent, LogBatch
from oracle.core.job import Trigger
from oracle.core.types import ZERO_ADDRESS
from oracle.errors import FinalityBroken, WrongChain
from oracle.service.watch import Watch, WatchPolicy, translate
from tests.service.fakes import (
    FEE,
    OPERATOR,
    STRANGER,
    Jobs,
    Reader,
    Staking,
    at,
    block,
    request,
    seen,
)

ID = b"\x0a" * 32
PLACE = at(7, 3)


@pytest.mark.parametrize(
    ("event", "trigger", "patch"),
    [
        (
            events.RequestAccepted(PLACE, ID, OPERATOR, 1),
            Trigger.ACCEPTED_BY_US,
            {"accepted": True, "accepted_block": 7, "ended_block": None},
        ),
        (
            events.RequestAccepted(PLACE, ID, STRANGER, 1),
            Trigger.ACCEPTED_BY_OTHER,
            {"reason": f"accepted by {STRANGER}", "ended_block": 7},
        ),
        (
            events.RequestAnswered(PLACE, ID, OPERATOR, b"\0" * 32, 99, b"result"),
            Trigger.ANSWERED,
            {
                "settle_at": 99,
                "answered_block": 7,
                "ended_block": None,
                "result": b"result",
                "reason": None,
                "attempts": 0,
                "not_before": 0.0,
            },
        ),
        (
            events.RequestSettled(PLACE, ID, OPERATOR, STRANGER, FEE),
            Trigger.SETTLED,
            {"settled_block": 7, "fee_earned": FEE, "reason": None},
        ),
        (
            events.RequestCancelled(PLACE, ID, FEE),
            Trigger.WITHDRAWN,
            {"reason": "cancelled", "ended_block": 7},
        ),
        (
            events.RequestExpired(PLACE, ID, FEE),
            Trigger.WITHDRAWN,
            {"reason": "expired", "ended_block": 7},
        ),
        (
            events.RequestDefaulted(PLACE, ID, OPERATOR, FEE, FEE),
            Trigger.DEFAULTED,
            {"reason": "not answered in time", "ended_block": 7},
        ),
        (events.AnswerResumed(PLACE, ID, 120), Trigger.POSTPONE, {"settle_at": 120}),
        (
            events.AnswerVoided(PLACE, ID, OPERATOR, STRANGER, FEE, FEE),
            Trigger.SLASHED,
            {"reason": f"convicted by {STRANGER}", "ended_block": 7},
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ChainEvent) else "",
)
def test_an_event_moves_our_job(
    event: ChainEvent, trigger: Trigger, patch: dict[str, object]
) -> None:
    found, (move,) = translate([event], OPERATOR)
    assert found == []
    assert (move.request_id, move.trigger, move.patch) == (ID, trigger, patch)


@pytest.mark.parametrize(
    "event",
    [
        events.RequestAnswered(PLACE, ID, STRANGER, b"\0" * 32, 99, b""),
        events.RequestSettled(PLACE, ID, STRANGER, STRANGER, FEE),
        events.RequestDefaulted(PLACE, ID, STRANGER, FEE, FEE),
        events.AnswerVoided(PLACE, ID, STRANGER, STRANGER, FEE, FEE),
        events.AnswerSuspended(PLACE, ID),
        events.NoticeDelivered(PLACE, ID, STRANGER, 1),
        events.NoticeFailed(PLACE, ID, STRANGER, 1),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_happens_to_others_moves_nothing(event: ChainEvent) -> None:
    assert translate([event], OPERATOR) == ([], [])


def test_requests_that_are_open_or_name_us_are_seen_and_others_are_not() -> None:
    ours = seen(request(operator=OPERATOR))
    open_to_all = seen(request(operator=ZERO_ADDRESS))
    theirs = seen(request(operator=STRANGER))
    found, moves = translate([ours, theirs, open_to_all], OPERATOR)
    assert found == [ours, open_to_all]
    assert moves == []


def watching(reader: Reader, jobs: Jobs, staking: Staking | None = None, **policy: int) -> Watch:
    return Watch(
        reader, staking or Staking(), jobs, OPERATOR, WatchPolicy(**({"start_block": 3} | policy))
    )  # type: ignore[arg-type]


async def test_it_reads_from_the_deployment_to_the_head_in_ranges() -> None:
    reader, jobs = Reader(10), Jobs()
    watch = watching(reader, jobs, range_blocks=3)
    assert not await watch.cycle()
    assert reader.asked == [(3, 5), (6, 8), (9, 10)]
    assert watch.cursor == watch.head == block(10)
    await watch.cycle()
    assert len(reader.asked) == 3, "a head that stands still is not read again"


async def test_blocks_are_read_only_when_enough_lie_on_top_of_them() -> None:
    reader, jobs = Reader(10), Jobs()
    watch = watching(reader, jobs, confirmations=4)
    await watch.cycle()
    assert watch.cursor == block(6)
    reader.grow()
    await watch.cycle()
    assert watch.cursor == block(7)


async def test_a_restart_goes_on_at_the_cursor() -> None:
    reader, jobs = Reader(10), Jobs()
    await watching(reader, jobs).cycle()
    reader.grow(2)
    reader.asked.clear()
    await watching(reader, jobs).cycle()
    assert reader.asked == [(11, 12)]


async def test_new_requests_become_jobs() -> None:
    reader, jobs = Reader(10), Jobs()
    event = replace(seen(), position=at(5))
    reader.logs = [event, events.RequestAccepted(at(5, 1), event.request_id, OPERATOR, 1)]
    assert await watching(reader, jobs).cycle()
    assert jobs.table[event.request_id].accepted


@pytest.mark.parametrize("grown", [0, 1], ids=["as long", "longer"])
async def test_a_fork_is_followed_back_to_the_common_block(grown: int) -> None:
    reader, jobs = Reader(6), Jobs()
    watch = watching(reader, jobs)
    for _ in range(4):
        await watch.cycle()
        reader.grow()
    await watch.cycle()
    reader.fork(9)
    reader.grow(grown, 1)
    while watch.cursor != reader.chain[-1]:
        await watch.cycle()
    assert jobs.rewound_to == [block(8)]


async def test_a_node_that_lags_is_no_reorg() -> None:
    reader, jobs = Reader(6), Jobs()
    watch = watching(reader, jobs)
    await watch.cycle()
    reader.grow()
    await watch.cycle()
    ahead = reader.chain.pop()
    assert not await watch.cycle()
    assert (watch.cursor, jobs.rewound_to) == (ahead, [])
    reader.chain.append(ahead)
    reader.grow()
    await watch.cycle()
    assert (watch.cursor, jobs.rewound_to) == (block(8), [])


async def test_a_shorter_fork_is_followed_when_it_has_grown() -> None:
    reader, jobs = Reader(6), Jobs()
    watch = watching(reader, jobs)
    await watch.cycle()
    reader.grow()
    await watch.cycle()
    reader.chain.pop()
    await watch.cycle()
    reader.grow(2, fork=1)
    await watch.cycle()
    assert watch.cursor == block(8, 1)
    assert jobs.rewound_to == [block(6)]


async def test_a_fork_of_all_that_was_ever_read_is_read_from_the_deployment_again() -> None:
    reader, jobs = Reader(10), Jobs()
    watch = watching(reader, jobs)
    await watch.cycle()
    reader.fork(10)
    await watch.cycle()
    await watch.cycle()
    assert jobs.rewound_to == [block(2)]
    assert watch.cursor == block(10, 1)


async def test_another_chain_is_refused() -> None:
    reader, jobs = Reader(10), Jobs()
    watch = watching(reader, jobs)
    await watch.cycle()
    reader.fork(0)
    with pytest.raises(WrongChain) as caught:
        await watch.cycle()
    assert caught.value.hint is not None
    assert "`oracle node reset`" in caught.value.hint


async def test_a_chain_that_replaces_what_it_called_final_stops_the_node() -> None:
    reader, jobs = Reader(10), Jobs()
    reader.final = 6
    await watching(reader, jobs).cycle()
    assert jobs.final == block(6)
    reader.fork(7)
    watch = watching(reader, jobs)
    await watch.cycle()
    assert jobs.rewound_to == [block(6)]
    reader.fork(6, fork=2)
    with pytest.raises(FinalityBroken, match="has replaced block 6") as caught:
        await watch.cycle()
    assert caught.value.hint is not None
    assert "`oracle node reset`" in caught.value.hint


async def test_finality_is_asked_for_once_in_a_while() -> None:
    reader, jobs = Reader(10), Jobs()
    watch = watching(reader, jobs, finality_blocks=5)
    for final in (3, 4, 5, 6, 7, 8):
        reader.final = final
        await watch.cycle()
        reader.grow()
    assert jobs.final == block(8)
    assert reader.asked_for_final == 2


async def test_what_was_read_is_final_where_more_became_final_meanwhile() -> None:
    class Growing(Reader):
        async def finalised(self) -> BlockRef | None:
            self.grow()
            self.final = 11
            return await super().finalised()

    jobs = Jobs()
    await watching(Growing(10), jobs).cycle()
    assert jobs.final == block(10)


async def test_a_fork_deeper_than_the_stored_history_is_refused() -> None:
    reader, jobs = Reader(4), Jobs()
    watch = watching(reader, jobs, search_depth=3)
    for _ in range(5):
        await watch.cycle()
        reader.grow()
    reader.fork(4)
    with pytest.raises(WrongChain):
        await watch.cycle()


class Contradicted(Jobs):
    """The chain has moved a job on that was requested in block 3."""

    async def contradicted(self) -> int | None:
        return 3


async def test_what_is_read_again_is_read_in_ranges_and_the_cursor_stays() -> None:
    reader, jobs = Reader(14), Contradicted()
    watch = watching(reader, jobs, range_blocks=5)
    late = replace(seen(request(operator=OPERATOR)), position=at(5))
    events_of = reader.events
    cursors: list[BlockRef | None] = []

    async def noted(first: int, last: int) -> LogBatch:
        cursors.append(await jobs.cursor())
        return await events_of(first, last)

    assert not await watch.cycle()
    reader.asked.clear()
    reader.logs.append(late)
    reader.events = noted  # type: ignore[method-assign]
    reader.grow()
    await watch.cycle()
    assert await watch.cycle(), "the steps that compute are woken"
    assert reader.asked == [(15, 15), (3, 7), (8, 12), (13, 15)]
    assert cursors[1:] == [block(15)] * 3
    assert list(jobs.table) == [late.request_id]


async def test_what_is_read_again_stops_where_the_chain_forks_meanwhile() -> None:
    reader, jobs = Reader(14), Contradicted()
    watch = watching(reader, jobs, range_blocks=5)
    assert not await watch.cycle()
    events_of = reader.events

    async def forked(first: int, last: int) -> LogBatch:
        batch = await events_of(first, last)
        if first == 3:
            reader.fork(12)
            reader.grow(fork=1)
        return batch

    reader.events = forked  # type: ignore[method-assign]
    reader.asked.clear()
    reader.grow()
    await watch.cycle()
    assert not await watch.cycle()
    assert reader.asked == [(15, 15), (3, 7)]
    assert watch.cursor == block(15)
