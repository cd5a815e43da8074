"""Decides on requests nobody is bound to yet: SEEN -> ADMITTED or DECLINED.

Before any compute: is the model known and here, can the input be decoded, is there time, stake and
profit. Never calls the consumer: a callback cannot block an answer, so there is nothing to learn.
"""

from __future__ import annotations

from oracle.core.job import Job, JobState, Trigger
from oracle.core.tensor import decode_inputs
from oracle.core.types import Address
from oracle.errors import ModelFileError, NotFound, SchemaError, TensorError
from oracle.ports import (
    InferenceEngine,
    JobMove,
    JobStore,
    ModelFiles,
    RegistryContract,
    StakingContract,
    TransactionGateway,
)
from oracle.service import journal
from oracle.service.policy import Circumstances, Policy, objection

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
    ) -> None:
        self._jobs = jobs
        self._registry = registry
        self._staking = staking
        self._gateway = gateway
        self._models = models
        self._engine = engine
        self._operator = operator
        self._policy = policy

    async def cycle(self) -> bool:
        """Judges what is SEEN. True where there was something."""
        jobs = await self._jobs.jobs([JobState.SEEN], limit=_BATCH)
        if not jobs:
            return False
        status = await self._staking.status(self._operator)
        pending = await self._jobs.jobs(_PENDING, limit=_MOST_PENDING)
        free = status.free - sum(job.request.bond for job in pending)
        fees = await self._gateway.fees()
        chain_time = await self._gateway.chain_time()
        moves = []
        for job in jobs:
            circumstances = Circumstances(chain_time, free, fees.max_fee)
            reason = await self._unservable(job) or objection(
                job.request, circumstances, self._policy
            )
            if reason is None:
                free -= job.request.bond
                moves.append(JobMove(job.request_id, Trigger.ADMIT))
            else:
                moves.append(JobMove(job.request_id, Trigger.DECLINE, {"reason": reason}))
        journal.record(await self._jobs.move(moves))
        return True

    async def _unservable(self, job: Job) -> str | None:
        try:
            model = await self._registry.model(job.request.model_id)
        except (NotFound, SchemaError) as error:
            return f"the model cannot be used: {error.message}"
        if not self._models.has(model.terms.program_root):
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
