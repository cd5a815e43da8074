"""Accepting, answering and settling: what goes into a transaction, and what is put off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from oracle.core.job import Job, JobState
from oracle.core.receipt import Answer as AnswerMessage
from oracle.core.receipt import recover
from oracle.core.transaction import Purpose
from oracle.core.types import ZERO_ADDRESS
from oracle.errors import ContractReverted
from oracle.service.accept import Accept
from oracle.service.answer import Answer
from oracle.service.attempts import TransactPolicy
from oracle.service.post import Post, alike, within_one_transaction
from oracle.service.settle import Settle
from oracle.service.transact import Transact
from tests.service.fakes import (
    DOMAIN,
    NOW,
    OPERATOR,
    SIGNER,
    STRANGER,
    Clock,
    Contract,
    Gateway,
    Jobs,
    Transactions,
    request,
)

WRONG_STATE, TOO_EARLY = 1, 4


class Bench:
    def __init__(
        self, *, in_flight: int = 16, batch: int = 3, gateway: Gateway | None = None
    ) -> None:
        self.jobs, self.gateway, self.clock = Jobs(), gateway or Gateway(), Clock()
        self.transactions, self.contract = Transactions(self.jobs), Contract()
        self.transact = Transact(
            self.jobs,  # type: ignore[arg-type]
            self.transactions,
            self.gateway,
            SIGNER,
            self.clock,
            31337,
            TransactPolicy(max_in_flight=in_flight),
        )
        post = Post(self.jobs, self.gateway, self.transact, self.contract, SIGNER.address)  # type: ignore[arg-type]
        common: tuple[Any, ...] = (self.jobs, self.contract, self.gateway)
        self.accept = Accept(*common, self.transact, SIGNER, self.clock, DOMAIN, OPERATOR)
        self.answer = Answer(*common, post, SIGNER, self.clock, DOMAIN, OPERATOR, batch=batch)
        self.settle = Settle(*common, post, self.clock, OPERATOR, batch=batch)

    def computed(self, **terms: Any) -> Job:
        made = request(**terms)
        result = b"result"
        answer = AnswerMessage.of(made.id(DOMAIN), made, OPERATOR, result)
        return self.jobs.add(
            JobState.COMPUTED, made, result=result, answer=answer, signature=b"\x01" * 65
        )

    def answered(self, settle_at: int, **terms: Any) -> Job:
        made = request(**terms)
        answer = AnswerMessage.of(made.id(DOMAIN), made, OPERATOR, b"result")
        return self.jobs.add(
            JobState.ANSWERED, made, result=b"result", answer=answer, settle_at=settle_at
        )

    @property
    def posted(self) -> list[bytes]:
        return [one.call.data for one in self.transactions.table.values()]


# ---- answering


async def test_one_answer_goes_alone_and_several_share_a_transaction() -> None:
    bench = Bench()
    first = bench.computed()
    assert await bench.answer.cycle()
    assert bench.posted == [b"answer" + first.request_id]
    several = [bench.computed() for _ in range(3)]
    bench.gateway.returned = bytes(3)
    await bench.answer.cycle()
    assert bench.posted[1] == b"batch!" + b"".join(one.request_id for one in several)
    assert not await bench.answer.cycle()


async def test_an_answer_is_signed_with_the_key_of_its_posting() -> None:
    bench = Bench()
    saved = bench.computed()  # its signature is of a key that is none any more
    await bench.answer.cycle()
    (signature,) = bench.contract.signatures
    assert saved.answer is not None
    assert recover(saved.answer.digest(DOMAIN), signature) == SIGNER.address


async def test_what_the_chain_would_refuse_is_left_out_and_put_off() -> None:
    bench = Bench()
    jobs = [bench.computed() for _ in range(3)]
    bench.gateway.returned = bytes([0, WRONG_STATE, 0])
    await bench.answer.cycle()
    assert bench.posted == [b"batch!" + jobs[0].request_id + jobs[2].request_id]
    left_out = bench.jobs.now(jobs[1])
    assert (left_out.state, left_out.attempts) == (JobState.COMPUTED, 1)
    assert (left_out.reason, left_out.not_before) == ("WrongState", NOW + 2)


async def test_where_all_are_refused_nothing_is_sent() -> None:
    bench = Bench()
    jobs = [bench.computed() for _ in range(2)]
    bench.gateway.returned = bytes([WRONG_STATE, WRONG_STATE])
    assert await bench.answer.cycle()
    assert bench.posted == []
    assert {bench.jobs.now(one).state for one in jobs} == {JobState.COMPUTED}


async def test_a_refused_answer_is_tried_until_its_deadline_and_then_given_up() -> None:
    bench = Bench()
    job = bench.computed()
    bench.gateway.reverts = ContractReverted("WrongState")
    while bench.clock.seconds <= job.request.deadline:
        await bench.answer.cycle()
        waiting = bench.jobs.now(job)
        assert waiting.state is JobState.COMPUTED
        assert 0 < waiting.not_before - bench.clock.seconds <= 30
        bench.clock.seconds = waiting.not_before
        bench.gateway.time = int(bench.clock.seconds)
    assert waiting.attempts > 4
    await bench.answer.cycle()
    failed = bench.jobs.now(job)
    assert failed.state is JobState.FAILED
    assert failed.reason == "the deadline passed before it was posted"
    assert bench.posted == []


async def test_the_deadline_itself_is_in_time() -> None:
    bench = Bench()
    job = bench.computed()
    bench.gateway.time = job.request.deadline
    await bench.answer.cycle()
    assert len(bench.posted) == 1


async def test_nothing_is_posted_where_enough_is_in_flight() -> None:
    bench = Bench(in_flight=1)
    bench.computed()
    await bench.answer.cycle()
    bench.computed()
    bench.answered(0)
    assert not await bench.answer.cycle()
    assert not await bench.settle.cycle()
    bench.jobs.add(JobState.ADMITTED)
    assert not await bench.accept.cycle()
    assert len(bench.posted) == 1


async def test_eager_callbacks_count_against_a_batchs_gas_and_others_do_not() -> None:
    bench = Bench()
    hungry = {"consumer": STRANGER, "callback_gas_limit": 5_000_000}
    eager = [bench.computed(**hungry, eager=True) for _ in range(2)]
    await bench.answer.cycle()
    assert sorted(bench.posted) == sorted(b"answer" + one.request_id for one in eager)
    patient = [bench.computed(**hungry) for _ in range(3)]
    bench.gateway.returned = bytes(3)
    await bench.answer.cycle()
    assert len(bench.posted[2]) == 6 + 32 * len(patient)


async def test_more_than_one_batch_goes_out_in_one_round_but_no_more_than_there_is_room_for() -> (
    None
):
    bench = Bench(in_flight=2)
    heavy = {"consumer": STRANGER, "callback_gas_limit": 4_000_000, "eager": True}
    jobs = [bench.computed(**heavy) for _ in range(5)]
    assert await bench.answer.cycle()
    assert len(bench.posted) == 2
    waiting = [one for one in jobs if bench.jobs.now(one).state is JobState.COMPUTED]
    assert len(waiting) == 3


def test_one_job_fits_whatever_it_promises() -> None:
    job = Bench().computed()
    assert within_one_transaction([job, job], lambda _: 10**9) == [job]
    assert within_one_transaction([], lambda _: 1) == []


# ---- settling


async def test_only_what_is_final_is_settled() -> None:
    bench = Bench()
    final, open_still = bench.answered(int(NOW)), bench.answered(int(NOW) + 1)
    bench.gateway.returned = bytes(1)
    assert await bench.settle.cycle()
    assert bench.posted == [b"settle" + final.request_id]
    assert bench.jobs.now(open_still).state is JobState.ANSWERED
    assert not await bench.settle.cycle()


async def test_what_is_final_does_not_wait_behind_long_windows() -> None:
    bench = Bench()
    for _ in range(20):
        bench.answered(int(NOW) + 7 * 86_400, deadline=int(NOW) + 10)
    final = bench.answered(int(NOW) - 1, deadline=int(NOW) + 20)
    bench.gateway.returned = bytes(1)
    assert await bench.settle.cycle()
    assert bench.jobs.now(final).state is JobState.SETTLING


async def test_a_chain_that_stands_still_is_not_waited_for() -> None:
    bench = Bench()
    bench.answered(int(NOW) + 30)
    bench.gateway.time = int(NOW)
    bench.clock.seconds = NOW + 44
    assert not await bench.settle.cycle()
    bench.clock.seconds = NOW + 45
    assert await bench.settle.cycle()


async def test_a_result_travels_only_to_where_somebody_hears_it() -> None:
    bench = Bench()
    bench.answered(0, consumer=ZERO_ADDRESS)
    bench.answered(1, consumer=STRANGER, callback_gas_limit=1)
    bench.gateway.returned = bytes(2)
    await bench.settle.cycle()
    assert [one.result for one in bench.contract.settle_items] == [b"", b"result"]


async def test_a_refused_settlement_is_never_given_up_but_ever_rarer() -> None:
    bench = Bench()
    job = bench.answered(0)
    waits = []
    for _ in range(40):
        bench.gateway.returned = bytes([TOO_EARLY])
        await bench.settle.cycle()
        waiting = bench.jobs.now(job)
        waits.append(waiting.not_before - bench.clock.seconds)
        bench.clock.seconds = waiting.not_before
    assert waits == sorted(waits)
    assert waits[-1] == 600
    assert bench.jobs.now(job).state is JobState.ANSWERED


# ---- accepting


async def test_each_acceptance_is_a_transaction_of_its_own() -> None:
    bench = Bench()
    jobs = [bench.jobs.add(JobState.ADMITTED) for _ in range(2)]
    assert await bench.accept.cycle()
    assert sorted(bench.posted) == sorted(b"accept" + one.request_id for one in jobs)
    assert {one.purpose for one in bench.transactions.table.values()} == {Purpose.ACCEPT}
    assert {kind for kind, _ in bench.jobs.signatures} == {"accept"}


async def test_an_acceptance_that_is_refused_is_tried_three_times() -> None:
    bench = Bench()
    job = bench.jobs.add(JobState.ADMITTED)
    bench.gateway.reverts = ContractReverted("WrongState")
    states = []
    for _ in range(3):
        await bench.accept.cycle()
        states.append(bench.jobs.now(job).state)
        bench.clock.seconds += 60
    assert states == [JobState.ADMITTED, JobState.ADMITTED, JobState.DECLINED]
    assert bench.posted == []


@pytest.mark.parametrize("verb", ["accept", "answer", "settle"])
async def test_a_verb_without_work_says_so(verb: str) -> None:
    assert not await getattr(Bench(), verb).cycle()


@pytest.mark.parametrize("purpose", [Purpose.ANSWER, Purpose.SETTLE])
async def test_what_a_reorg_reopened_is_not_sent_in_a_second_transaction(purpose: Purpose) -> None:
    bench = Bench()
    job = bench.computed()
    await bench.answer.cycle()
    if purpose is Purpose.SETTLE:
        bench.jobs.table[job.request_id] = replace(
            bench.jobs.now(job), state=JobState.ANSWERED, settle_at=0
        )
        await bench.settle.cycle()
    before = len(bench.transactions.table)
    # The chain forgot it and brought the job here again; the transaction is still on its way.
    back = JobState.COMPUTED if purpose is Purpose.ANSWER else JobState.ANSWERED
    bench.jobs.table[job.request_id] = replace(bench.jobs.now(job), state=back)
    await (bench.answer if purpose is Purpose.ANSWER else bench.settle).cycle()
    assert len(bench.transactions.table) == before
    waits = JobState.ANSWERING if purpose is Purpose.ANSWER else JobState.SETTLING
    assert bench.jobs.now(job).state is waits


def test_what_failed_is_tried_in_halves_after_what_is_new() -> None:
    bench = Bench()
    jobs = [replace(bench.computed(nonce=number), attempts=2) for number in range(9)]
    assert alike(jobs, 8) == jobs[:2]
    assert alike(jobs, 1) == jobs[:1]
    new = replace(bench.computed(nonce=99), attempts=0)
    assert alike([*jobs, new], 8) == [new]
    assert alike([], 8) == []
    assert alike(jobs, 8, {jobs[0].request_id}) == jobs[1:3]
    assert alike(jobs[:1], 8, {jobs[0].request_id}) == jobs[:1]


async def test_what_failed_once_goes_as_a_batch_that_cannot_revert_for_it() -> None:
    bench = Bench()
    job = bench.computed()
    bench.jobs.table[job.request_id] = replace(bench.jobs.now(job), attempts=1)
    await bench.answer.cycle()
    (sent,) = bench.transactions.table.values()
    assert sent.call.data.startswith(b"batch!")
