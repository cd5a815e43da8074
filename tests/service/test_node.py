"""When steps run: doorbells, pauses after errors, the end by a bug, by draining and by a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from structlog.testing import capture_logs

from oracle.core.dispute import DemandedLeaves, RevealDemand
from oracle.core.job import JobState
from oracle.core.receipt import AnswerCommitment
from oracle.errors import ChainUnreachable, IllegalTransition, WrongChain
from oracle.service.node import ENDED_BY, Duty, Node, Owed, Step
from oracle.service.watch import Watch, WatchPolicy
from tests.service.fakes import OPERATOR, STRANGER, Beats, Clock, Jobs, Reader, Staking


class Bench:
    """A node of given steps."""

    def __init__(
        self,
        *steps: Step,
        duties: tuple[Duty, ...] = (),
        drain_seconds: float = 60,
        owed: Owed | None = None,
        heartbeat_seconds: float = 2.0,
    ) -> None:
        self.jobs, self.beats, self.clock = Jobs(), Beats(), Clock()
        watch = Watch(Reader(), Staking(), self.jobs, OPERATOR, WatchPolicy(start_block=1))  # type: ignore[arg-type]
        self.node = Node(
            steps,
            duties,
            watch,
            self.jobs,  # type: ignore[arg-type]
            self.beats,
            self.clock,
            OPERATOR,
            drain_seconds=drain_seconds,
            owed=owed,
            heartbeat_seconds=heartbeat_seconds,
        )

    async def run(self) -> None:
        async with asyncio.timeout(120):
            await self.node.run()


class Rounds:
    """A step's cycle that plays what it is given, round by round, and then calls `at_end`."""

    def __init__(self, *played: bool | BaseException) -> None:
        self.count = 0
        self.played = played
        self.at_end: Callable[[], None] = lambda: None

    async def __call__(self) -> bool:
        await asyncio.sleep(0)
        self.count += 1
        if self.count > len(self.played):
            self.at_end()
            return False
        what = self.played[self.count - 1]
        if isinstance(what, BaseException):
            raise what
        return what


async def test_work_is_followed_by_another_round_at_once_and_wakes_the_next_step() -> None:
    first, second = Rounds(True, True), Rounds(False)
    bench = Bench(Step("first", first, wakes=("second",)), Step("second", second))
    second.at_end = bench.node.stop
    await bench.run()
    assert first.count >= 3
    assert second.count >= 2


async def test_a_duty_rings_a_step_that_would_sleep_for_ever() -> None:
    rounds = Rounds(False, False)
    bench = Bench(Step("sleepy", rounds), duties=(Duty("sleepy", 0.01),))
    rounds.at_end = bench.node.stop
    await bench.run()
    assert rounds.count == 3


async def test_an_error_on_purpose_is_named_in_the_heartbeat_and_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def recorded(seconds: float) -> None:
        pauses.extend([seconds] if seconds else [])
        await sleep(0)

    monkeypatch.setattr("oracle.service.node.asyncio.sleep", recorded)
    failure = ChainUnreachable("no answer")
    rounds = Rounds(*[failure] * 8)
    bench = Bench(Step("step", rounds))
    troubles: list[object] = []

    def at_end() -> None:
        troubles.append(dict(bench.node._trouble))
        bench.node.stop()

    rounds.at_end = at_end
    await bench.run()
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    assert troubles == [{"step": "no answer"}]
    assert bench.beats.written[-1].trouble == {}, "the round after it went well"


async def test_a_step_that_the_chain_has_overtaken_looks_again_at_once() -> None:
    overtaken = IllegalTransition("a job that is lost cannot take decline")
    rounds = Rounds(overtaken, False)
    bench = Bench(Step("step", rounds, idle_seconds=0.01))
    rounds.at_end = bench.node.stop
    await bench.run()
    assert rounds.count == 3
    assert all(beat.trouble == {} for beat in bench.beats.written)


async def test_a_step_that_is_overtaken_again_and_again_is_in_trouble() -> None:
    overtaken = IllegalTransition("a bug")
    rounds = Rounds(overtaken, overtaken)
    bench = Bench(Step("step", rounds))
    running = asyncio.create_task(bench.run())
    async with asyncio.timeout(120):
        while not bench.node._trouble:  # noqa: ASYNC110 - a node sets no event
            await asyncio.sleep(0.01)
    bench.node.stop()
    await running
    assert rounds.count == 2


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), WrongChain("another chain")])
async def test_a_bug_and_another_chain_end_the_node_loudly(error: Exception) -> None:
    ended: list[str] = []

    async def forever() -> bool:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("forever")
        return False

    bench = Bench(Step("broken", Rounds(error)), Step("forever", forever))
    with pytest.raises(type(error)):
        await bench.run()
    assert ended == ["forever"]


async def test_draining_stops_the_intake_and_finishes_what_is_begun() -> None:
    taken, worked = Rounds(), Rounds()
    bench = Bench(
        Step("intake", taken, idle_seconds=0.01, intake=True),
        Step("work", finishing(lambda: bench, worked), idle_seconds=0.01),
    )
    bench.jobs.add(JobState.ANSWERING)
    bench.jobs.add(JobState.ANSWERED)
    bench.node.drain()
    await bench.run()
    assert taken.count == 0
    assert worked.count >= 3
    assert bench.beats.written[-1].draining


def finishing(bench: Callable[[], Bench], rounds: Rounds) -> Callable[[], Awaitable[bool]]:
    """A step that finishes all jobs in its third round."""

    async def cycle() -> bool:
        await rounds()
        if rounds.count == 3:
            bench().jobs.table.clear()
        return False

    return cycle


@pytest.mark.parametrize("drain_seconds", [60, 0])
async def test_a_node_that_ends_says_which_answers_are_still_open_to_dispute(
    drain_seconds: float,
) -> None:
    bench = Bench(Step("idle", Rounds()), drain_seconds=drain_seconds)
    until = int(bench.clock.now()) + 90
    bench.jobs.add(JobState.ANSWERED, settle_at=until - 30)
    bench.jobs.add(JobState.ANSWERED, settle_at=1)
    # A drain that runs out leaves what is begun.
    bench.jobs.add(JobState.ANSWERED if drain_seconds else JobState.SETTLING, settle_at=until)
    bench.node.drain()
    with capture_logs() as logs:
        await bench.run()
    (told,) = [one for one in logs if one["event"].startswith("answers are not final")]
    assert (told["answers"], told["opg_at_stake"]) == (2, "40")
    assert told["until"] == "1970-01-01 00:18:10 UTC"


async def test_what_ended_a_node_is_in_its_last_beat() -> None:
    bench = Bench(Step("bad", Rounds(WrongChain("another chain"))))
    with pytest.raises(WrongChain):
        await bench.run()
    assert bench.beats.written[-1].ended
    assert bench.beats.written[-1].trouble[ENDED_BY] == "another chain"
    bench = Bench(Step("idle", Rounds()))
    bench.node.stop()
    await bench.run()
    assert ENDED_BY not in bench.beats.written[-1].trouble


async def test_draining_ends_when_its_time_is_up() -> None:
    bench = Bench(Step("idle", Rounds()), drain_seconds=0)
    stuck = bench.jobs.add(JobState.ANSWERING)
    bench.node.drain()
    await bench.run()
    assert bench.jobs.now(stuck).state is JobState.ANSWERING


def demand(number: int) -> RevealDemand:
    commitment = AnswerCommitment(OPERATOR, b"\x01" * 32, b"\x02" * 32)
    leaves = DemandedLeaves(1, 0, 3, 9, 20, 256, 512, 0, 2)
    return RevealDemand(
        b"\x07" * 32, number, STRANGER, 10**17, 900, 60, b"\x05" * 32, commitment, leaves
    )


async def test_a_node_drains_after_the_demands_that_it_can_meet_and_names_them() -> None:
    rounds: list[list[RevealDemand]] = [[demand(1), demand(2)], [demand(2)], []]
    failures = [ChainUnreachable("no answer")]

    async def owed() -> list[RevealDemand]:
        if len(rounds) == 2 and failures:
            raise failures.pop()
        return rounds.pop(0)

    bench = Bench(Step("idle", Rounds()), owed=owed)
    bench.node.drain()
    with capture_logs() as logs:
        await bench.run()
    assert not rounds, "it waited for all of them, and did not take silence for none"
    first = [one["number"] for one in logs if one["event"] == "a demand is to be met first"]
    assert first == [1, 2]
    assert logs[-1]["event"] == "drained"


async def test_a_drain_that_runs_out_says_which_demands_are_left() -> None:
    async def owed() -> list[RevealDemand]:
        return [demand(3)]

    bench = Bench(Step("idle", Rounds()), drain_seconds=0, owed=owed)
    bench.node.drain()
    with capture_logs() as logs:
        await bench.run()
    (left,) = [one for one in logs if one["log_level"] == "critical"]
    assert (left["number"], left["deadline"]) == (3, 900)
    assert "bond is lost" in left["event"]


async def test_a_stop_ends_a_draining_node_at_once() -> None:
    bench = Bench(Step("idle", Rounds()))
    bench.jobs.add(JobState.ANSWERING)
    bench.node.drain()
    running = asyncio.create_task(bench.run())
    await asyncio.sleep(0)
    bench.node.stop()
    await running


async def test_the_heartbeat_is_written_at_the_start_and_at_the_end() -> None:
    bench = Bench(Step("idle", Rounds()))
    bench.node.stop()
    await bench.run()
    first, last = bench.beats.written
    assert first.operator == OPERATOR
    assert (first.head_block, last.draining) == (None, False)


async def test_the_heart_beats_though_the_wall_clock_is_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Silent(AsyncIOScheduler):
        """A scheduler whose jobs are all due when the clock is again what it was."""

        def start(self, paused: bool = False) -> None:
            super().start(paused=True)

    monkeypatch.setattr("oracle.service.node.AsyncIOScheduler", Silent)
    rounds = Rounds(*[False] * 20)
    bench = Bench(Step("slow", rounds, idle_seconds=0.01), heartbeat_seconds=0.01)
    rounds.at_end = bench.node.stop
    await bench.run()
    assert len(bench.beats.written) > 3, "more than the first and the last"


async def test_a_step_that_misses_a_cancellation_is_ended_all_the_same() -> None:
    missed = 0

    async def deaf() -> bool:
        nonlocal missed
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            missed += 1
            if missed > 1:
                raise
        return False

    bench = Bench(Step("deaf", deaf))
    asyncio.get_running_loop().call_later(0.3, bench.node.stop)
    await bench.run()
    assert missed >= 1
