"""Acceptances that the node's logs lack: seen by their numbers, read again, reported."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from oracle.core import event as events
from oracle.core.event import BlockRef, ChainEvent
from oracle.errors import ChainUnreachable
from oracle.service.watch import Watch, WatchPolicy
from tests.service.fakes import OPERATOR, STRANGER, Jobs, Reader, Staking, at, request, seen


class Bench:
    """A chain on which requests bind the operator, and a node that may withhold their logs."""

    def __init__(self, *acceptances: int, length: int = 10) -> None:
        self.reader, self.jobs, self.staking = Reader(length), Jobs(), Staking()
        self.withheld: list[ChainEvent] = []
        for number in acceptances:
            self.accept(number)

    def watch(self, **policy: int) -> Watch:
        chosen = WatchPolicy(**({"start_block": 3} | policy))
        return Watch(self.reader, self.staking, self.jobs, OPERATOR, chosen)  # type: ignore[arg-type]

    def accept(self, number: int, *, withhold: bool = False) -> bytes:
        """A request that binds the operator in a block; its logs may be kept back."""
        self.staking.acceptances.append(number)
        made = seen(request(), number=number)
        sequence = len(self.staking.acceptances)
        bound = events.RequestAccepted(at(number, 1), made.request_id, OPERATOR, sequence)
        kept: list[ChainEvent] = [made, bound]
        if withhold:
            self.withheld += kept
        else:
            self.reader.logs += kept
        return made.request_id

    def hand_out(self) -> None:
        self.reader.logs += self.withheld
        self.withheld.clear()


async def rounds(watch: Watch) -> bool:
    """As the node plays them: while there is work, the next follows at once; then a poll later, a
    last one finds no new block."""
    worked = False
    quiet = 0
    while quiet < 2:
        found = await watch.cycle()
        quiet = 0 if found else quiet + 1
        worked |= found
    return worked


async def test_all_is_well_where_all_were_read() -> None:
    bench = Bench(4, 4, 6)
    watch = bench.watch(range_blocks=2)
    await rounds(watch)
    bench.reader.grow(2)
    bench.accept(11)
    bench.reader.logs.append(events.RequestAccepted(at(11, 5), b"\x0b" * 32, STRANGER, 77))
    await rounds(watch)
    assert watch.trouble is None
    assert len(bench.jobs.table) == 4
    assert bench.reader.asked[-1] == (11, 12), "nothing is read twice"


async def test_a_lost_log_is_reported_and_found_again() -> None:
    for place in (4, 5, 7):  # before, between and behind the others
        bench = Bench()
        made = {number: bench.accept(number, withhold=number == place) for number in (4, 5, 6, 7)}
        lost = made[place]
        watch = bench.watch()
        await rounds(watch)
        assert watch.trouble is not None
        assert "lack 1 of the 4 requests" in watch.trouble
        assert set(bench.jobs.table) == set(made.values()) - {lost}
        bench.hand_out()
        bench.reader.grow()
        assert await rounds(watch), "the steps that compute are woken"
        assert watch.trouble is None
        assert all(bench.jobs.table[one].accepted for one in made.values())


async def test_a_log_that_is_only_late_never_shows() -> None:
    bench = Bench(4)
    bench.accept(8, withhold=True)
    events_of = bench.reader.events

    async def late(first: int, last: int) -> events.LogBatch:
        batch = await events_of(first, last)
        bench.hand_out()
        return batch

    bench.reader.events = late  # type: ignore[method-assign]
    watch = bench.watch()
    assert await rounds(watch)
    assert watch.trouble is None
    assert len(bench.jobs.table) == 2


async def test_a_log_that_stays_lost_is_looked_for_ever_less_often() -> None:
    bench = Bench(4)
    bench.accept(5, withhold=True)
    watch = bench.watch(read_again_blocks=4)
    for _ in range(32):
        await rounds(watch)
        assert watch.trouble is not None
        assert watch.cursor == bench.reader.chain[-1], "new blocks are read all the same"
        bench.reader.grow()
    again = [last for first, last in bench.reader.asked if last - first == 3]
    assert again == [10, 11, 13, 17, 25, 41]


async def test_a_log_that_was_lost_just_before_a_crash_is_found_after_it() -> None:
    bench = Bench(4, 6)
    lost = bench.accept(9, withhold=True)
    assert await bench.watch().cycle(), "read, and ended before it looked at the count"
    bench.hand_out()
    bench.reader.grow(600)  # it was down for long: more than what is read again at the head
    watch = bench.watch()
    await rounds(watch)
    assert watch.trouble is None
    assert bench.jobs.table[lost].accepted


async def test_a_start_on_an_endpoint_that_fails_looks_back_once_it_answers() -> None:
    bench = Bench(4, 6)
    lost = bench.accept(9, withhold=True)
    await bench.watch().cycle()
    bench.hand_out()
    bench.reader.grow(600)
    answers = bench.reader.block
    failed: list[int] = []

    async def fails_once(number: int) -> BlockRef | None:
        if not failed:
            failed.append(number)
            raise ChainUnreachable("no answer")
        return await answers(number)

    bench.reader.block = fails_once  # type: ignore[method-assign]
    watch = bench.watch()
    with pytest.raises(ChainUnreachable):
        await watch.cycle()
    await rounds(watch)
    assert bench.jobs.table[lost].accepted


async def test_a_fork_while_nobody_looked_is_no_loss() -> None:
    bench = Bench(4, 6)
    await rounds(bench.watch())
    bench.reader.fork(9)
    bench.accept(9)
    bench.reader.grow(2, fork=1)
    watch = bench.watch()
    with capture_logs() as logs:
        await rounds(watch)
    assert watch.trouble is None
    assert "logs missing" not in [one["event"] for one in logs]
    assert len(bench.jobs.table) == 3


async def test_a_restart_on_a_node_without_old_state_starts_from_what_it_reads() -> None:
    for later in ([], [11]):
        bench = Bench(4, 6)
        await rounds(bench.watch())
        bench.reader.grow(2)
        for number in later:
            bench.accept(number)
        bench.staking.stateless_before = 12
        watch = bench.watch()
        await rounds(watch)
        assert watch.trouble is None
        bench.reader.grow()
        bench.accept(13, withhold=True)
        await rounds(watch)
        assert watch.trouble is not None


async def test_a_count_that_cannot_be_read_holds_nothing_up() -> None:
    bench = Bench(4)
    bench.staking.stateless_before = 100
    watch = bench.watch()
    assert await rounds(watch)
    assert watch.trouble is not None
    assert "cannot be read" in watch.trouble
    bench.staking.stateless_before = 0
    bench.reader.grow()
    await rounds(watch)
    assert watch.trouble is None


async def test_a_reorg_undoes_acceptances() -> None:
    bench = Bench(4)
    watch = bench.watch()
    await rounds(watch)
    bench.reader.grow()
    await rounds(watch)
    bench.reader.grow()
    bench.accept(12)
    await rounds(watch)
    bench.reader.fork(12)
    bench.staking.acceptances.remove(12)
    bench.reader.grow(fork=1)
    while watch.cursor != bench.reader.chain[-1]:
        await rounds(watch)
    assert watch.trouble is None
    bench.reader.grow(fork=1)
    bench.accept(14, withhold=True)
    await rounds(watch)
    assert watch.trouble is not None
    assert "lack 1 of the 2" in watch.trouble


async def test_where_each_look_finds_a_block_the_count_is_asked_for_now_and_then() -> None:
    bench = Bench(4)
    watch = bench.watch(count_seconds=30)
    await rounds(watch)
    bench.staking.counted = 0
    for _ in range(90):
        bench.reader.grow()
        assert not await watch.cycle()
    assert bench.staking.counted == 3
    bench.accept(101, withhold=True)
    for _ in range(30):
        bench.reader.grow()
        await watch.cycle()
    assert watch.trouble is not None
    bench.hand_out()
    bench.reader.grow(2)
    assert await watch.cycle(), "what is missing is looked for at each block"
