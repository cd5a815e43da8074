"""Collects what is final: ANSWERED -> SETTLING, in batches, once the challenge window is over."""

from __future__ import annotations

from collections.abc import Sequence

from oracle.core.job import LONGEST_PAUSE_SECONDS, Job, JobState
from oracle.core.receipt import Answer, AnswerCommitment
from oracle.core.transaction import Purpose
from oracle.core.types import ZERO_ADDRESS, ZERO_BYTES32, Address
from oracle.ports.clock import Clock
from oracle.ports.contracts import OracleContract, SettleItem
from oracle.ports.jobs import JobMove, JobStore
from oracle.ports.sending import TransactionGateway
from oracle.service.post import Post, alike, within_one_transaction
from oracle.service.postpone import postponed

_CLOCK_TOLERANCE_SECONDS = 15


class Settle:
    def __init__(
        self,
        jobs: JobStore,
        contract: OracleContract,
        gateway: TransactionGateway,
        post: Post,
        clock: Clock,
        operator: Address,
        *,
        batch: int = 100,
    ) -> None:
        self._jobs = jobs
        self._contract = contract
        self._gateway = gateway
        self._post = post
        self._clock = clock
        self._operator = operator
        self._batch = batch

    async def cycle(self) -> bool:
        """Settles one transaction's worth. True where there was something to settle."""
        if await self._post.room() <= 0:
            return False
        now = self._clock.now()
        if not await self._jobs.jobs([JobState.ANSWERED], limit=1, due_at=now):
            return False
        # A chain that mines on demand stands still between transactions; our clock does not.
        chain_time = max(await self._gateway.chain_time(), int(now) - _CLOCK_TOLERANCE_SECONDS)
        ready = await self._jobs.settleable(chain_time, limit=4 * self._batch, due_at=now)
        ready = await self._post.unserved(Purpose.SETTLE, ready)
        alone = await self._post.alone(Purpose.SETTLE, ready)
        jobs = within_one_transaction(alike(ready, self._batch, alone), _notice_gas)
        if not jobs:
            return False
        await self._post.post(Purpose.SETTLE, jobs, self._calldata, self._later, _notice_gas)
        return True

    async def _calldata(self, jobs: Sequence[Job]) -> bytes:
        return self._contract.settle_batch_data([self._item(job) for job in jobs])

    def _item(self, job: Job) -> SettleItem:
        result = job.result or b""
        trace_root = job.answer.trace_root if job.answer else ZERO_BYTES32
        answer = Answer.of(job.request_id, job.request, self._operator, result, trace_root)
        notified = job.request.consumer != ZERO_ADDRESS
        return SettleItem(job.request, AnswerCommitment.of(answer), result if notified else b"")

    def _later(self, job: Job, reason: str) -> JobMove:
        """Finality has no deadline: keep trying, ever more slowly."""
        return postponed(job, reason, self._clock.now(), LONGEST_PAUSE_SECONDS)


def _notice_gas(job: Job) -> int:
    return job.request.notice_gas
