"""Decides on requests nobody is bound to yet: SEEN -> ADMITTED or DECLINED.

Before any compute: is there time, stake and profit, is it within what the operator itself offers
for that very model, and has the offer a place; only then, is the model known and here, and can the
input be decoded. What waits for a place, or to be loaded, holds up no other model. The sum that
led to the decision is kept with the job. Never calls the consumer: a callback cannot block an
answer, so there is nothing to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from oracle.core.job import Job, JobState, Trigger
from oracle.core.model import untimely
from oracle.core.operator import Offer
from oracle.core.tensor import decode_inputs
from oracle.core.types import Address
from oracle.errors import InferenceError, ModelFileError, NotFound, SchemaError, TensorError
from oracle.ports.contracts import RegistryContract, StakingContract
from oracle.ports.inference import InferenceEngine, ModelFiles
from oracle.ports.jobs import JobMove, JobPatch, JobStore
from oracle.ports.sending import TransactionGateway
from oracle.service import journal
from oracle.service.estimate import result_bytes
from oracle.service.intake import Intake
from oracle.service.journal import short
from oracle.service.policy import Circumstances, Policy, judged

_log = structlog.get_logger("oracle.admit")

_BATCH = 256
_PENDING = (JobState.ADMITTED, JobState.ACCEPTING)
_MOST_PENDING = 10_000


class Admit:
    def __init__(
        self,
        jobs: JobStore,
        registry: RegistryContract,
        staking: StakingContract,
        gateway: TransactionGateway,
        models: ModelFiles,
        engine: InferenceEngine,
        operator: Address,
        policy: Policy,
        dispute_allowance: int,
        intake: Intake | None = None,
    ) -> None:
        """`dispute_allowance` is the deployment's, in seconds."""
        self._jobs = jobs
        self._registry = registry
        self._staking = staking
        self._gateway = gateway
        self._models = models
        self._engine = engine
        self._operator = operator
        self._policy = policy
        self._dispute_allowance = dispute_allowance
        self._intake = intake

    async def cycle(self) -> bool:
        """Judges what is SEEN. True where there was something."""
        jobs = await self._jobs.jobs([JobState.SEEN], limit=_BATCH)
        room = self._intake.room() if self._intake is not None and jobs else None
        if not jobs or room == 0:
            return False
        status = await self._staking.status(self._operator)
        pending = await self._jobs.jobs(_PENDING, limit=_MOST_PENDING)
        free = status.free - sum(job.request.bond for job in pending)
        fees = await self._gateway.fees()
        chain_time = await self._gateway.chain_time()
        bound = status.unanswered + len(pending)
        full: set[bytes] = set()
        while True:
            moves, waiting = await self._judge(
                jobs, Circumstances(chain_time, free, fees.max_fee), bound, room
            )
            journal.record(await self._jobs.move(moves))
            if moves or waiting <= full or len(jobs) < _BATCH:
                return bool(moves)
            full |= waiting
            jobs = await self._jobs.jobs([JobState.SEEN], limit=_BATCH, besides=full)

    async def _judge(
        self, jobs: Sequence[Job], now: Circumstances, bound: int, room: int | None
    ) -> tuple[list[JobMove], set[bytes]]:
        """What becomes of these, and the models of which no more can be taken on in this round:
        their offers have no place, or they could not be loaded.

        Args:
            bound: how many requests bind the operator, or will, and are not answered.
            room: how many may be taken on; None for any number.
        """
        offers = await self._offers(jobs)
        moves: list[JobMove] = []
        waiting: set[bytes] = set()
        for job in jobs:
            model_id = job.request.model_id
            size = await self._result_bytes(job) if offers[model_id].capacity else 0
            now = replace(now, offer=offers[model_id], result_bytes=size)
            found = judged(job.request, now, self._policy, now=now.chain_time)
            if found.objection is None:
                if model_id in waiting:
                    continue
                if bound >= offers[model_id].capacity:
                    waiting.add(model_id)  # as at the offer itself: until another is answered
                    continue
                if room == 0:
                    continue
                try:
                    unservable = await self._unservable(job)
                except InferenceError as error:
                    # Of no request's making: all of this model are judged another time, and those
                    # of others meanwhile.
                    waiting.add(model_id)
                    _log.warning("not judged", request=short(job.request_id), error=error.message)
                    continue
                if unservable is not None:
                    found = judged(
                        *(job.request, now, self._policy), unservable=unservable, now=now.chain_time
                    )
            kept: JobPatch = {"economics": found.to_json()}
            if found.objection is None:
                bound += 1
                now = replace(now, free_stake=now.free_stake - job.request.bond)
                room = None if room is None else room - 1
                moves.append(JobMove(job.request_id, Trigger.ADMIT, kept))
            else:
                kept["reason"] = found.objection
                moves.append(JobMove(job.request_id, Trigger.DECLINE, kept))
        return moves, waiting

    async def _offers(self, jobs: Sequence[Job]) -> dict[bytes, Offer]:
        """The operator's own offers, by model; of no capacity where there is none."""
        models = {job.request.model_id for job in jobs}
        return {one: await self._staking.offer(self._operator, one) for one in models}

    async def _result_bytes(self, job: Job) -> int:
        """What its result will have; nothing where its model cannot be used."""
        try:
            model = await self._registry.model(job.request.model_id)
        except (NotFound, SchemaError):
            return 0
        return result_bytes(model.schema, job.input)

    async def _unservable(self, job: Job) -> str | None:
        try:
            model = await self._registry.model(job.request.model_id)
        except (NotFound, SchemaError) as error:
            return f"the model cannot be used: {error.message}"
        reason = untimely(model.terms.reveal_window, self._dispute_allowance)
        if reason is not None:
            return f"the model cannot be disputed as it should be: {reason}"
        if not self._models.has(model.terms.program_root, model.terms.tier):
            return "the model's file is not in this node's store"
        try:
            # Anybody may register a file of ours under a schema that is not its own.
            terms = model.terms
            await self._engine.load(terms.program_root, model.schema, terms.tier)
        except ModelFileError as error:
            return f"the model cannot be run: {error.message}"
        try:
            decode_inputs(model.schema, job.input)
        except TensorError as error:
            return f"the input cannot be decoded: {error.message}"
        return None
