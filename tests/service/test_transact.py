"""Transactions from intent to finality: sent again, bumped, capped, reverted, and given up."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from oracle.core.job import Job, JobState
from oracle.core.transaction import Call, Fees, Purpose, SendOutcome, TransactionState
from oracle.errors import ChainRefused, ContractReverted
from oracle.service.attempts import TransactPolicy
from oracle.service.transact import Transact
from tests.service.fakes import ORACLE, SIGNER, Clock, Gateway, Jobs, Transactions, request

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
    if end is TransactionState.REVERTED and purpose is Purpose.ACCEPT:
        back = JobState.DECLINED  # nobody is bound: a second try may revert as well
    assert (put_back.state, put_back.attempts) == (back, 1)
    assert put_back.not_before > bench.clock.seconds
    assert put_back.reason is not None


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


async def test_a_reverted_transaction_says_why() -> None:
    bench = Bench()
    job = await bench.submit()
    bench.gateway.mine(bench.gateway.sent[0], succeeded=False)
    bench.gateway.reverts = ContractReverted("DeadlinePassed", {"deadline": 9})
    await bench.follow()
    reason = "reverted on chain: the contract refused: DeadlinePassed(deadline=9)"
    assert bench.jobs.now(job).reason == reason


async def test_a_rise_goes_up_to_what_the_chain_asks_and_no_further_than_the_cap() -> None:
    bench = Bench(max_fee_wei=1_000)
    await bench.submit()
    bench.gateway.asked = Fees(700, 30)
    await bench.follow(100)
    bench.gateway.asked = Fees(5_000, 40)
    await bench.follow(100)
    await bench.follow(100)
    assert [one.fees for one in bench.transactions.table[1].attempts] == [
        Fees(100, 10),
        Fees(700, 30),
        Fees(1_000, 40),
    ]
    assert bench.transact.trouble is not None
    assert "max_fee_gwei" in bench.transact.trouble


async def test_the_attempt_that_the_pool_holds_is_repeated_where_its_rise_is_refused() -> None:
    bench = Bench(max_fee_wei=130)
    await bench.submit()
    bench.gateway.outcome = SendOutcome.REFUSED
    await bench.follow(100)
    sent = len(bench.gateway.sent)
    await bench.follow(61)
    first, second = (one.hash for one in bench.transactions.table[1].attempts)
    assert [one.hash for one in bench.gateway.sent[sent:]] == [first, second]


async def test_what_its_sender_cannot_pay_for_is_not_made_dearer() -> None:
    bench = Bench(bump_seconds=10)
    bench.gateway.outcome = SendOutcome.UNFUNDED
    await bench.submit()
    with capture_logs() as logged:
        for _ in range(20):
            await bench.follow(5)
    (waiting,) = bench.transactions.table.values()
    assert len(waiting.attempts) == 1
    assert waiting.attempts[0].reason == "told to"
    assert (
        waiting.refusal == f"{SIGNER.address} has too little coin; send it 0.000000000012 or more"
    )
    assert {one["event"] for one in logged} == {"send"}
    assert all(one["next"].startswith(f"send {SIGNER.address} ") for one in logged)
    bench.gateway.outcome = SendOutcome.ACCEPTED
    for _ in range(13):
        await bench.follow(5)
    (taken,) = bench.transactions.table.values()
    assert taken.attempts[0].outcome is SendOutcome.ACCEPTED
    assert taken.refusal is None


async def test_what_its_sender_cannot_pay_for_is_sent_for_less_when_the_chain_asks_less() -> None:
    bench = Bench(bump_seconds=10)
    bench.gateway.asked, bench.gateway.outcome = Fees(900, 10), SendOutcome.UNFUNDED
    await bench.submit()
    await bench.follow(11)
    bench.gateway.asked = Fees(100, 10)
    bench.gateway.outcome = SendOutcome.ACCEPTED
    await bench.follow(11)
    (waiting,) = bench.transactions.table.values()
    assert [one.fees.max_fee for one in waiting.attempts] == [900, 100]
    assert waiting.refusal is None


async def test_what_is_refused_is_sent_ever_more_slowly() -> None:
    bench = Bench(resend_seconds=60, bump_seconds=10_000)
    bench.gateway.outcome = SendOutcome.REFUSED
    await bench.submit()
    for _ in range(100):
        await bench.follow(1)
    assert 6 <= len(bench.gateway.sent) <= 10


async def test_bytes_that_no_node_takes_are_given_up_and_the_nonce_is_used_again() -> None:
    bench = Bench()
    bench.gateway.outcome = SendOutcome.HOPELESS
    job = await bench.submit()
    given_up = bench.transactions.table[1]
    assert given_up.state is TransactionState.ABANDONED
    put_back = bench.jobs.now(job)
    assert (put_back.state, put_back.attempts) == (JobState.COMPUTED, 1)
    assert put_back.reason == "the transaction was refused: told to"
    bench.gateway.outcome = SendOutcome.ACCEPTED
    await bench.submit()
    assert bench.transactions.table[2].nonce == given_up.nonce


async def test_it_is_not_given_up_while_an_attempt_of_it_may_be_mined() -> None:
    bench = Bench()
    await bench.submit()
    bench.gateway.outcome = SendOutcome.HOPELESS
    await bench.follow(100)
    assert bench.transactions.table[1].state is TransactionState.OPEN
    bench.gateway.mine(bench.transactions.table[1].attempts[0])
    assert await bench.follow()
    assert bench.transactions.table[1].state is TransactionState.MINED


async def test_a_nonce_that_nobody_uses_is_used_up_at_the_second_look() -> None:
    bench = Bench()
    await bench.submit()
    second = bench.jobs.add(JobState.COMPUTED, request(nonce=2))
    third = bench.jobs.add(JobState.COMPUTED, request(nonce=3))
    bench.gateway.outcome = SendOutcome.UNKNOWN
    for job in (second, third):
        await bench.transact.submit(Purpose.ANSWER, CALL, [job.request_id])
    # The first is mined, the second turns out to be hopeless: the third waits for its nonce.
    bench.gateway.mine(bench.gateway.sent[0])
    await bench.transactions.abandon(2, [])
    bench.gateway.outcome = SendOutcome.ACCEPTED
    await bench.follow(1)
    assert bench.transact.trouble == "nobody uses nonce 1, and ours from 2 on wait for it"
    await bench.follow(1)
    filler = bench.transactions.table[4]
    assert (filler.nonce, filler.purpose, filler.call.to) == (1, Purpose.CANCEL, SIGNER.address)
    bench.gateway.mine(filler.attempts[0])
    bench.gateway.mine(bench.transactions.table[3].attempts[0])
    await bench.follow(1)
    assert bench.transact.trouble is None
    assert await bench.transact.room() == 16


async def test_what_a_stranger_has_in_the_pool_is_waited_for_before_it_is_replaced() -> None:
    bench = Bench(bump_seconds=100)
    bench.gateway.latest_nonce = 1
    await bench.submit()
    bench.gateway.latest_nonce, bench.gateway.pending_nonce = 0, 2
    for _ in range(5):
        await bench.follow(10)
    assert len(bench.transactions.table) == 1
    await bench.follow(100)
    assert bench.transactions.table[2].nonce == 0


async def test_nonces_that_somebody_else_used_are_told_once() -> None:
    bench = Bench()
    with capture_logs() as logs:
        for number in range(3):
            job = bench.jobs.add(JobState.COMPUTED, request(nonce=number))
            await bench.transact.submit(Purpose.ANSWER, CALL, [job.request_id])
        bench.gateway.latest_nonce = 5
        await bench.follow(1)
        assert bench.transact.trouble is not None
        assert bench.transact.trouble.startswith("nonces 0 to 4 were used by somebody else")
        again = bench.jobs.add(JobState.COMPUTED, request(nonce=9))
        await bench.transact.submit(Purpose.ANSWER, CALL, [again.request_id])
        await bench.follow(1)
    alerts = [one for one in logs if one["event"] == "somebody else sends with this node's key"]
    assert [(one["first"], one["last"]) for one in alerts] == [(0, 4)]
    bench.gateway.mine(bench.transactions.table[4].attempts[0])
    await bench.follow(1)
    assert bench.transact.trouble is None


async def test_a_receipt_that_comes_after_its_nonce_is_waited_for() -> None:
    """Behind one address there may be several nodes."""
    bench = Bench()
    await bench.submit()
    bench.gateway.mine(bench.gateway.sent[0])
    bench.gateway.receipts_late = 1
    assert not await bench.follow()
    assert bench.transactions.table[1].state is TransactionState.OPEN
    assert await bench.follow()
    assert bench.transactions.table[1].state is TransactionState.MINED
    assert bench.transact.trouble is None


async def test_what_a_fork_took_back_unseen_is_sent_again_where_others_wait_behind_it() -> None:
    """Its receipt was of a block that was gone when it was written down, so no rewind opened it."""
    bench = Bench()
    await bench.submit()
    first = bench.gateway.sent[0]
    bench.gateway.mine(first)
    assert await bench.follow()
    await bench.submit()
    bench.gateway.on_chain.clear()
    bench.gateway.latest_nonce = 0
    for _ in range(4):
        await bench.follow()
    assert bench.transactions.table[1].state is TransactionState.OPEN
    assert bench.gateway.sent[-1].hash == first.hash or bench.gateway.sent[-2].hash == first.hash
    bench.gateway.mine(first, number=6)
    await bench.follow(6)
    assert bench.transactions.table[1].state is TransactionState.MINED
    assert bench.transact.trouble is None
