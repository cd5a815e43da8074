"""What a dead worker has left open: its bytes are sent by another; what is not mined goes on."""

from __future__ import annotations

from dataclasses import replace

from oracle.core.event import BlockRef
from oracle.core.job import Job, JobState
from oracle.core.transaction import Attempt, Call, Fees, Purpose, TransactionState
from oracle.ports.leases import Lease
from oracle.service.adopt import Adopt
from oracle.service.attempts import TransactPolicy
from oracle.service.lead import worker_lease
from tests.service.fakes import (
    NOW,
    ORACLE,
    SIGNER,
    STRANGER,
    Clock,
    Gateway,
    Jobs,
    Transactions,
    block,
)


class Bench:
    """A leader with a key of its own; `live` are the leases of other workers."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.jobs = Jobs()
        self.jobs.blocks.append(block(10))
        self.transactions = Senders(self.jobs)
        self.gateway = Gateway()
        self.live_leases: list[Lease] = []
        self.adopt = Adopt(
            self.jobs,
            self.transactions,
            self.gateway,
            self,  # type: ignore[arg-type]
            self.clock,
            31337,
            TransactPolicy(resend_seconds=5.0, bump_seconds=36.0),
            lambda: [SIGNER.address],
        )

    async def live(self) -> list[Lease]:
        return self.live_leases

    async def left_behind(
        self, purpose: Purpose = Purpose.ANSWER, **changes: object
    ) -> tuple[Job, Attempt]:
        """What a worker that was killed did not send."""
        answered = purpose is Purpose.REVEAL
        job = self.jobs.add(JobState.ANSWERED if answered else JobState.ANSWERING)
        attempt = Attempt(b"\x01" * 32, b"raw", Fees(2, 1), NOW, None, None)
        await self.transactions.prepare(
            sender=STRANGER,
            nonce=0,
            purpose=purpose,
            call=Call(ORACLE, b"", 1),
            request_ids=[job.request_id],
            attempt=replace(attempt, **changes),  # type: ignore[arg-type]
            moves=[],
        )
        return job, attempt


class Senders(Transactions):
    async def open_senders(self) -> list[str]:
        return [one.sender for one in self.table.values() if one.state is TransactionState.OPEN]

    async def open_transactions(self, sender: str) -> list[object]:  # type: ignore[override]
        found = await super().open_transactions(sender)  # type: ignore[arg-type]
        return [one for one in found if one.sender == sender]


async def test_what_was_saved_is_sent_and_closed_without_its_key() -> None:
    bench = Bench()
    job, attempt = await bench.left_behind()
    assert not await bench.adopt.cycle()
    assert [one.hash for one in bench.gateway.sent] == [attempt.hash]
    bench.gateway.mine(attempt)
    bench.clock.seconds += 100.0
    assert await bench.adopt.cycle()
    assert bench.transactions.table[1].state is TransactionState.MINED
    # Its log has not moved the job: it is judged again.
    assert bench.jobs.now(job).state is JobState.COMPUTED


async def test_a_key_that_another_worker_leads_is_left_alone() -> None:
    bench = Bench()
    await bench.left_behind()
    bench.live_leases = [Lease(worker_lease(31337, STRANGER), "another", 5.0)]
    bench.clock.seconds += 100.0
    assert not await bench.adopt.cycle()
    assert bench.gateway.sent == []
    bench.live_leases = []
    assert await bench.adopt.cycle()


async def test_what_is_not_mined_in_time_is_given_up_and_its_job_goes_to_another_key() -> None:
    bench = Bench()
    job, _ = await bench.left_behind()
    bench.clock.seconds += 30.0
    assert not await bench.adopt.cycle()
    assert bench.jobs.now(job).state is JobState.ANSWERING
    bench.clock.seconds += 10.0
    assert await bench.adopt.cycle()
    assert bench.transactions.table[1].state is TransactionState.ABANDONED
    now = bench.jobs.now(job)
    assert (now.state, now.attempts) == (JobState.COMPUTED, 1)


async def test_a_reveal_is_given_up_once_a_key_of_ours_can_pay_for_it() -> None:
    bench = Bench()
    job, _ = await bench.left_behind(Purpose.REVEAL)
    bench.gateway.holds = 0
    for _ in range(5):
        bench.clock.seconds += 100.0
        assert not await bench.adopt.cycle()
    assert bench.transactions.table[1].state is TransactionState.OPEN
    assert len(bench.gateway.sent) == 5, "its bytes are sent again as long as nobody else's are"
    bench.gateway.holds = 10**18
    assert await bench.adopt.cycle()
    assert bench.transactions.table[1].state is TransactionState.ABANDONED
    assert bench.jobs.now(job).state is JobState.ANSWERED


async def test_what_is_mined_beyond_the_last_block_that_was_read_is_waited_for() -> None:
    bench = Bench()
    job, attempt = await bench.left_behind()
    bench.gateway.mine(attempt, number=11)
    bench.clock.seconds += 100.0
    assert not await bench.adopt.cycle()
    assert bench.transactions.table[1].state is TransactionState.OPEN
    bench.jobs.blocks.append(BlockRef(11, block(11).hash, 11))
    assert await bench.adopt.cycle()
    assert bench.transactions.table[1].state is TransactionState.MINED
    assert bench.jobs.now(job).state is JobState.COMPUTED
