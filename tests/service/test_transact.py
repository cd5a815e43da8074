"""Transactions from intent to finality: sent again, bumped, capped, reverted, and given up."""

from __future__ import annotations

import pytest

from oracle.core.job import Job, JobState
from oracle.core.transaction import Call, Fees, Purpose, SendOutcome, TransactionState
from oracle.errors import ChainRefused
from oracle.service.transact import Transact, TransactPolicy
from tests.service.fakes import ORACLE, SIGNER, Clock, Gateway, Jobs, Transactions

CALL = Call(ORACLE, b"\x01", 100_000)
CURSOR = 9


class Bench:
    def __init__(self, **policy: int) -> None:
        self.jobs, self.gateway, self.clock = Jobs(), Gateway(), Clock()
        self.transactions = Transactions(self.jobs)
        self.transact = Transact(
            self.jobs,  # type: ignore[arg-type]
            self.transactions,
            self.gateway,
            SIGNER,
            self.clock,
            31337,
            TransactPolicy(
                **({"resend_seconds": 60, "bump_seconds": 100, "max_fee_wei": 1_000} | policy)
            ),
        )

    async def submit(self, purpose: Purpose = Purpose.ANSWER) -> Job:
        """Sends a transaction for a new job."""
        start = {
            Purpose.ACCEPT: JobState.ADMITTED,
            Purpose.ANSWER: JobState.COMPUTED,
            Purpose.SETTLE: JobState.ANSWERED,
        }
        job = self.jobs.add(start[purpose])
        await self.transact.submit(purpose, CALL, [job.request_id])
        return job

    async def follow(self, after_seconds: float = 0) -> bool:
        self.clock.seconds += after_seconds
        return await self.transact.cycle(CURSOR)


async def test_it_is_saved_with_its_jobs_and_headroom_and_sent() -> None:
    bench = Bench()
    job = await bench.submit()
    assert bench.jobs.now(job).state is JobState.ANSWERING
    (saved,) = bench.transactions.table.values()
    assert (saved.nonce, saved.call.gas) == (0, 120_000)
    assert [one.raw for one in bench.gateway.sent] == [saved.attempts[0].raw]
    assert await bench.transact.room() == 15


async def test_nonces_follow_what_is_saved_even_where_the_chain_has_not_seen_it() -> None:
    bench = Bench()
    bench.gateway.outcome = SendOutcome.UNKNOWN
    for _ in range(3):
        await bench.submit()
    assert [one.nonce for one in bench.transactions.table.values()] == [0, 1, 2]
    bench.gateway.latest_nonce = 7
    await bench.submit()
    assert bench.transactions.table[4].nonce == 7


@pytest.mark.parametrize("outcome", [SendOutcome.UNKNOWN, SendOutcome.REFUSED])
async def test_what_may_not_have_arrived_is_sent_again_byte_for_byte(outcome: SendOutcome) -> None:
    bench = Bench()
    bench.gateway.outcome = outcome
    await bench.submit()
    bench.gateway.outcome = SendOutcome.ACCEPTED
    await bench.follow(1)
    await bench.follow(1)
    assert len(bench.gateway.sent) == 2
    assert len({one.raw for one in bench.gateway.sent}) == 1


async def test_what_arrived_is_sent_again_only_after_a_while() -> None:
    bench = Bench()
    await bench.submit()
    await bench.follow(59)
    assert len(bench.gateway.sent) == 1
    await bench.follow(1)
    assert len({one.raw for one in bench.gateway.sent}) == 1
    assert len(bench.gateway.sent) == 2


async def test_fees_rise_on_the_same_nonce_until_the_cap() -> None:
    bench = Bench(resend_seconds=10_000, max_fee_wei=150)
    await bench.submit()
    for _ in range(5):
        await bench.follow(100)
    (saved,) = bench.transactions.table.values()
    assert [one.fees for one in saved.attempts] == [Fees(100, 10), Fees(120, 12), Fees(144, 15)]
    assert [one.fees for one in bench.gateway.sent] == [one.fees for one in saved.attempts]


async def test_a_chain_dearer_than_the_cap_is_not_paid() -> None:
    bench = Bench(max_fee_wei=100)
    bench.gateway.asked = Fees(200, 50)
    await bench.submit()
    assert bench.gateway.sent[0].fees == Fees(100, 50)
    bench.gateway.asked = Fees(400, 101)
    with pytest.raises(ChainRefused, match="above the cap"):
        await bench.submit()
    assert len(bench.transactions.table) == 1


@pytest.mark.parametrize("mined", [0, 1], ids=["the first", "the second"])
async def test_any_attempt_that_is_mined_closes_the_transaction(mined: int) -> None:
    bench = Bench()
    await bench.submit()
    await bench.follow(100)
    (saved,) = bench.transactions.table.values()
    assert len(saved.attempts) == 2
    bench.gateway.mine(saved.attempts[mined])
    assert await bench.follow()
    (closed,) = bench.transactions.table.values()
    assert closed.state is TransactionState.MINED
    assert closed.mined is not None
    assert closed.mined.attempt_hash == saved.attempts[mined].hash
    assert await bench.transact.room() == 16


async def test_it_is_closed_only_when_the_logs_of_its_block_were_read() -> None:
    bench = Bench()
    job = await bench.submit()
    bench.gateway.mine(bench.gateway.sent[0], CURSOR + 1)
    assert not await bench.follow()
    assert bench.jobs.now(job).state is JobState.ANSWERING
    assert bench.transactions.table[1].state is TransactionState.OPEN


@pytest.mark.parametrize(
    ("purpose", "back"),
    [
        (Purpose.ACCEPT, JobState.ADMITTED),
        (Purpose.ANSWER, JobState.COMPUTED),
        (Purpose.SETTLE, JobState.ANSWERED),
    ],
)
@pytest.mark.parametrize("end", [TransactionState.REVERTED, TransactionState.ABANDONED])
async def test_a_job_that_is_left_behind_goes_back_a_step(
    purpose: Purpose, back: JobState, end: TransactionState
) -> None:
    """By a revert, or by a stranger who used our nonce."""
    bench = Bench()
    job = await bench.submit(purpose)
    if end is TransactionState.REVERTED:
        bench.gateway.mine(bench.gateway.sent[0], succeeded=False)
    else:
        bench.gateway.latest_nonce += 1
    assert await bench.follow()
    assert bench.transactions.table[1].state is end
    put_back = bench.jobs.now(job)
    assert (put_back.state, put_back.attempts) == (back, 1)
    assert put_back.not_before > bench.clock.seconds


async def test_a_job_that_the_logs_moved_on_is_left_where_it_is() -> None:
    bench = Bench()
    job = bench.jobs.add(JobState.COMPUTED)
    await bench.transact.submit(Purpose.ANSWER, CALL, [job.request_id, b"\x0e" * 32][:1])
    bench.jobs.table[job.request_id] = bench.jobs.add(JobState.SETTLED, job.request)
    bench.gateway.mine(bench.gateway.sent[0])
    await bench.follow()
    assert bench.jobs.now(job).state is JobState.SETTLED


async def test_an_abandoned_nonce_is_not_counted_any_more() -> None:
    bench = Bench()
    await bench.submit()
    bench.gateway.latest_nonce = 1
    await bench.follow()
    await bench.submit()
    assert bench.transactions.table[2].nonce == 1
