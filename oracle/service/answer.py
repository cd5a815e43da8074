"""Posts saved answers: COMPUTED -> ANSWERING. Several share a transaction where a queue builds up.

A batch carries one signature over all of its answers, the same answers that were signed one by one.
Computes nothing and follows no transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from oracle.core.job import Job, JobState, Trigger
from oracle.core.receipt import Answer as AnswerMessage
from oracle.core.receipt import answer_batch_preimage
from oracle.core.signing import signature_over
from oracle.core.transaction import Purpose
from oracle.core.typed_data import Domain
from oracle.core.types import Address
from oracle.ports.clock import Clock
from oracle.ports.contracts import AnswerItem, OracleContract
from oracle.ports.jobs import JobMove, JobStore
from oracle.ports.sending import TransactionGateway
from oracle.ports.signing import Handover, Signer
from oracle.service import journal
from oracle.service.post import Post, abreast, alike, within_one_transaction
from oracle.service.postpone import postponed

_SLOWEST_RETRY_SECONDS = 30.0

_HANDOVER_MARGIN_SECONDS = 60
"""What is due this soon after a change of the signer is not left waiting for it."""

_ABREAST = 4
"""Most transactions that are simulated and signed side by side: most of it is waiting."""


class Answer:
    def __init__(
        self,
        jobs: JobStore,
        contract: OracleContract,
        gateway: TransactionGateway,
        post: Post,
        signer: Signer,
        clock: Clock,
        domain: Domain,
        operator: Address,
        *,
        batch: int = 100,
        handover: Handover | None = None,
    ) -> None:
        self._jobs = jobs
        self._contract = contract
        self._gateway = gateway
        self._post = post
        self._signer = signer
        self._clock = clock
        self._domain = domain
        self._operator = operator
        self._batch = batch
        self._handover = handover

    async def cycle(self) -> bool:
        """Posts a few transactions' worth of answers. True where there was something to post."""
        room = min(await self._post.room(), _ABREAST)
        if room <= 0:
            return False
        due = await self._jobs.take(
            [JobState.COMPUTED], limit=room * self._batch, due_at=self._clock.now()
        )
        if not due:
            return False
        chain_time = await self._gateway.chain_time()
        late = [job for job in due if job.request.deadline < chain_time]
        if late:
            refusals = [_refusal(job, "the deadline passed before it was posted") for job in late]
            journal.record(await self._jobs.move(refusals))
        in_time = await self._post.unserved(
            Purpose.ANSWER, [job for job in due if job.request.deadline >= chain_time]
        )
        # Shortly before a change of the signer, what can wait is left for the next one to sign.
        until = self._handover.pause_until(chain_time) if self._handover else None
        urgent = [
            job
            for job in in_time
            if until is None or job.request.deadline < until + _HANDOVER_MARGIN_SECONDS
        ]
        alone = await self._post.alone(Purpose.ANSWER, urgent)
        await abreast(
            self._post.post(Purpose.ANSWER, jobs, self._calldata, self._setback, _notice_gas)
            for jobs in self._batches(urgent, room, alone)
        )
        return until is None or bool(urgent)

    def _batches(
        self, jobs: Sequence[Job], most: int, alone: Set[bytes]
    ) -> Iterator[Sequence[Job]]:
        """The first jobs, in up to so many transactions' worth."""
        for _ in range(most):
            batch = within_one_transaction(alike(jobs, self._batch, alone), _notice_gas)
            if not batch:
                return
            yield batch
            posted = {job.request_id for job in batch}
            jobs = [job for job in jobs if job.request_id not in posted]

    async def _calldata(self, jobs: Sequence[Job]) -> bytes:
        answers = [_answer(job) for job in jobs]
        items = [
            AnswerItem(job.request, job.result or b"", answer.trace_root)
            for job, answer in zip(jobs, answers, strict=True)
        ]
        # Signed anew, the same digest: the operator may have another key than when it was computed.
        # One that failed goes as a batch of one, which skips it with a code where the contract
        # refuses it again: what is refused never costs more than one reverted transaction. What
        # reverts a transaction in its block costs those in its batch one, and then itself alone.
        if len(jobs) == 1 and jobs[0].attempts == 0:
            signature = await signature_over(self._signer, answers[0].preimage(self._domain))
            return self._contract.answer_data(items[0], self._operator, signature)
        preimage = answer_batch_preimage(self._domain, answers)
        signature = await signature_over(self._signer, preimage)
        return self._contract.answer_batch_data(items, self._operator, signature)

    def _setback(self, job: Job, reason: str) -> JobMove:
        """Try again later: a log may be on its way that explains it, and silence has its price.

        Only the deadline ends it; a try is a simulation, which costs nothing.
        """
        return postponed(job, reason, self._clock.now(), _SLOWEST_RETRY_SECONDS)


def _notice_gas(job: Job) -> int:
    """Only an eager consumer hears of an answer that is not final."""
    return job.request.notice_gas if job.request.eager else 0


def _answer(job: Job) -> AnswerMessage:
    if job.answer is None:
        raise ValueError("a COMPUTED job has an answer")
    return job.answer


def _refusal(job: Job, reason: str) -> JobMove:
    return JobMove(job.request_id, Trigger.ANSWER_REFUSED, {"reason": reason})
