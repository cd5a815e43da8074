"""Requests that wait for a place of their offer cost nothing meanwhile and hold up no others."""

from __future__ import annotations

import pytest

from oracle.core.job import Job, JobState
from oracle.core.operator import Offer
from oracle.core.request import Request
from oracle.core.transaction import SendOutcome
from oracle.errors import RunCutShort
from oracle.service import admit as admitting
from oracle.service.admit import Admit
from oracle.service.breaker import Breaker
from oracle.service.intake import Intake
from oracle.service.policy import Policy
from tests.service.fakes import (
    NOW,
    OPERATOR,
    Clock,
    Engine,
    Files,
    Gateway,
    Jobs,
    Registry,
    Staking,
    model,
    request,
)

FULL, OTHER, NEVER = model(1), model(2), model(3)


class Bench:
    """An operator with one request that is not answered, and so one offer without a place."""

    def __init__(self, intake: Intake | None = None) -> None:
        self.jobs, self.engine, self.staking = Jobs(), Engine(), Staking()
        self.offer(FULL.id, 1)
        self.offer(OTHER.id, 100)
        self.held = self.jobs.add(JobState.ADMITTED)
        self.admit = Admit(
            self.jobs,  # type: ignore[arg-type]
            Registry(FULL, OTHER, NEVER),
            self.staking,
            Gateway(),
            Files(),
            self.engine,
            OPERATOR,
            Policy(),
            60,
            intake,
        )

    def offer(self, model_id: bytes, capacity: int) -> None:
        self.staking.offers[model_id] = Offer(0, 2**88 - 1, capacity, 0, 2**24 - 1, 2**24 - 1)

    def waiting(self, count: int) -> list[Job]:
        """Requests of the full offer, whose deadlines are the next ones."""
        return [self.jobs.add(JobState.SEEN, _soon(number)) for number in range(count)]

    def states(self, jobs: list[Job]) -> set[JobState]:
        return {self.jobs.now(one).state for one in jobs}


def _soon(number: int) -> Request:
    return request(model_id=FULL.id, deadline=int(NOW) + 100 + number)


async def test_the_input_of_what_has_no_place_is_not_looked_at() -> None:
    bench = Bench()
    waiting = bench.waiting(3)
    for _ in range(3):
        assert not await bench.admit.cycle()
    assert bench.engine.loads == 0
    bench.offer(FULL.id, 2)
    assert await bench.admit.cycle()
    assert bench.engine.loads == 1
    assert bench.jobs.now(waiting[0]).state is JobState.ADMITTED
    assert bench.states(waiting[1:]) == {JobState.SEEN}


async def test_a_model_that_is_not_offered_is_not_loaded_for_whoever_asks() -> None:
    """Each of the schemas that anybody registers it under would put out one that is in use."""
    bench = Bench()
    job = bench.jobs.add(JobState.SEEN, request(model_id=NEVER.id))
    assert await bench.admit.cycle()
    assert bench.jobs.now(job).reason == "this operator has no standing offer for the model"
    assert bench.engine.loads == 0


async def test_what_waits_for_a_place_holds_up_no_other_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admitting, "_BATCH", 4)
    bench = Bench()
    waiting = bench.waiting(9)
    free = bench.jobs.add(JobState.SEEN, request(model_id=OTHER.id))
    assert await bench.admit.cycle()
    assert bench.jobs.now(free).state is JobState.ADMITTED
    assert bench.states(waiting) == {JobState.SEEN}
    assert not await bench.admit.cycle(), "no hot loop"
    bench.offer(FULL.id, 3)
    assert await bench.admit.cycle()
    assert bench.jobs.now(waiting[0]).state is JobState.ADMITTED, "in the first round with a place"


async def test_what_waits_for_a_place_is_not_what_a_trial_is_spent_on() -> None:
    clock = Clock()
    breaker = Breaker(clock, failures=1)
    bench = Bench(Intake(breaker))
    breaker.sent(SendOutcome.HOPELESS, "no")
    clock.seconds += 60
    waiting = bench.waiting(2)
    free = [bench.jobs.add(JobState.SEEN, request(model_id=OTHER.id)) for _ in range(2)]
    assert await bench.admit.cycle()
    assert bench.states(waiting) == {JobState.SEEN}
    assert sorted(bench.jobs.now(one).state for one in free) == [JobState.ADMITTED, JobState.SEEN]


async def test_a_model_that_cannot_be_loaded_now_holds_up_no_other_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which are more than one round looks at, and were tried one by one, for the whole of it."""
    monkeypatch.setattr(admitting, "_BATCH", 4)
    bench = Bench()
    bench.offer(FULL.id, 100)
    bench.engine.broken[FULL.terms.program_root] = RunCutShort("the inference process ended")
    held = bench.waiting(9)
    free = bench.jobs.add(JobState.SEEN, request(model_id=OTHER.id))
    assert await bench.admit.cycle()
    assert bench.jobs.now(free).state is JobState.ADMITTED
    assert bench.states(held) == {JobState.SEEN}
    assert bench.engine.loads == 2, "once of each model in a round"
    assert not await bench.admit.cycle(), "no hot loop"
    bench.engine.broken.clear()
    assert await bench.admit.cycle()
    assert bench.jobs.now(held[0]).state is JobState.ADMITTED
