"""A batch that passes its simulation and reverts in its block: one of it may do so again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oracle.core.job import Job, JobState, Trigger, advance
from oracle.core.transaction import Purpose, TransactionState
from oracle.core.types import Address
from tests.service.fakes import Gateway
from tests.service.test_posting import Bench

SIZE = 12
TOLD = {Purpose.ANSWER: Trigger.ANSWERED, Purpose.SETTLE: Trigger.SETTLED}


class Passing(Gateway):
    """Every simulation is of a batch, and each item of it would be done."""

    async def simulate(self, sender: Address, to: Address, data: bytes) -> bytes:
        return bytes(len(data[6:]) // 32)


class Reverting(Bench):
    """Mines what was sent, and reverts whatever serves the hostile request."""

    def __init__(self, purpose: Purpose) -> None:
        super().__init__(batch=100, gateway=Passing())
        self.step = self.answer if purpose is Purpose.ANSWER else self.settle
        self.made = [
            self.computed() if purpose is Purpose.ANSWER else self.answered(0) for _ in range(SIZE)
        ]
        self.hostile = self.made[4]
        self.mined = 0

    async def post(self) -> None:
        """What there is to be posted, as long as there is room."""
        while await self.step.cycle():
            pass

    async def mine(self) -> None:
        for sent in self.gateway.sent[self.mined :]:
            (one,) = (
                one
                for one in self.transactions.table.values()
                if sent.hash in {tried.hash for tried in one.attempts}
            )
            succeeded = self.hostile.request_id not in one.request_ids
            self.gateway.mine(sent, succeeded=succeeded)
            if succeeded:  # as the logs say
                (served,) = await self.jobs.jobs_of(one.request_ids)
                done = advance(served.state, TOLD[one.purpose])
                self.jobs.table[served.request_id] = replace(served, state=done)
        self.mined = len(self.gateway.sent)
        await self.transact.cycle(100)
        self.clock.seconds += 1

    def reverts(self, job: Job) -> int:
        return sum(
            one.state is TransactionState.REVERTED and job.request_id in one.request_ids
            for one in self.transactions.table.values()
        )


@pytest.mark.parametrize("purpose", [Purpose.ANSWER, Purpose.SETTLE])
async def test_who_shared_a_batch_that_reverted_loses_no_second_transaction(
    purpose: Purpose,
) -> None:
    bench = Reverting(purpose)
    for _ in range(4):
        await bench.post()
        await bench.mine()
    first, *later = bench.transactions.table.values()
    assert len(first.request_ids) == SIZE
    assert {len(one.request_ids) for one in later} == {1}
    others = [job for job in bench.made if job is not bench.hostile]
    assert {bench.reverts(job) for job in others} == {1}
    done = JobState.ANSWERED if purpose is Purpose.ANSWER else JobState.SETTLED
    assert {bench.jobs.now(job).state for job in others} == {done}
    assert bench.reverts(bench.hostile) > 1
