"""Runs the model for what we are bound to: ACCEPTED -> COMPUTED, with result and receipt saved.

An input the model cannot take, once we are bound, is answered with the empty result, which says
just that (docs/protocol.md): silence would be slashed. So is a run whose outputs fit no
transaction. A saved receipt is never computed or signed again. A program's trace is kept before
its root is signed: a demand to show it may follow. Knows no transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from oracle.core.job import Job, JobState, Trigger
from oracle.core.model import Model
from oracle.core.receipt import Answer
from oracle.core.tensor import decode_inputs, encode_outputs
from oracle.core.typed_data import Domain
from oracle.core.types import ZERO_BYTES32, Address, Tier
from oracle.court.commitment import no_rows_root
from oracle.court.message import MAX_RESULT_BYTES
from oracle.errors import (
    ModelFileError,
    NotFound,
    OracleError,
    SchemaError,
    SignedTwice,
    StorageError,
    TensorError,
    UnusableOutput,
)
from oracle.ports import (
    Clock,
    CommittedTrace,
    Inference,
    InferenceEngine,
    JobMove,
    JobStore,
    RegistryContract,
    Signer,
    Tensors,
    TraceHold,
    TraceStore,
    TraceToKeep,
)
from oracle.service import journal
from oracle.service.journal import short

_log = structlog.get_logger("oracle.infer")

UNANSWERABLE = b""
"""The result that says: the model gives no output for this input."""

SIGNATURE_KIND = "answer"

_SLOWEST_RETRY_SECONDS = 30.0

_TRACE_MARGIN_SECONDS = 86_400
"""A trace outlives the latest end of its window by a day, for those who come late."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to, before it is signed."""

    job: Job
    result: bytes
    session: str | None
    seconds: float
    note: str | None
    trace: CommittedTrace | None = None
    unrun_root: bytes = ZERO_BYTES32
    """What is committed to where nothing was run."""

    @property
    def trace_root(self) -> bytes:
        return self.unrun_root if self.trace is None else self.trace.root


class Infer:
    def __init__(
        self,
        jobs: JobStore,
        registry: RegistryContract,
        engine: InferenceEngine,
        traces: TraceStore,
        signer: Signer,
        clock: Clock,
        domain: Domain,
        operator: Address,
        *,
        batch: int = 128,
        retry_seconds: float = 1.0,
    ) -> None:
        self._jobs = jobs
        self._registry = registry
        self._engine = engine
        self._traces = traces
        self._signer = signer
        self._clock = clock
        self._domain = domain
        self._operator = operator
        self._batch = batch
        self._retry_seconds = retry_seconds

    async def cycle(self) -> bool:
        """Takes one batch of ACCEPTED jobs. True where there was one."""
        jobs = await self._jobs.jobs(
            [JobState.ACCEPTED], limit=self._batch, due_at=self._clock.now()
        )
        if not jobs:
            return False
        moves: list[JobMove] = []
        outcomes: list[Outcome] = []
        by_model: dict[bytes, list[Job]] = defaultdict(list)
        for job in jobs:
            if job.signature is not None:
                moves.append(JobMove(job.request_id, Trigger.COMPUTED))
            else:
                by_model[job.request.model_id].append(job)
        for model_id, group in by_model.items():
            for done in await self._run(model_id, group):
                if isinstance(done, Outcome):
                    outcomes.append(done)
                else:
                    moves.append(done)
        kept, unkept = await self._keep(outcomes)
        moves += unkept
        moves += await self._sign(kept)
        journal.record(await self._jobs.move(moves))
        return True

    async def _run(self, model_id: bytes, jobs: Sequence[Job]) -> list[Outcome | JobMove]:
        """Runs one model's jobs; a model that cannot be used fails its own jobs and no others."""
        try:
            return await self._run_model(await self._registry.model(model_id), jobs)
        except (NotFound, SchemaError, ModelFileError) as error:
            return [self._unusable(job, error) for job in jobs]

    async def _run_model(self, model: Model, jobs: Sequence[Job]) -> list[Outcome | JobMove]:
        done: list[Outcome | JobMove] = []
        runnable: list[tuple[Job, Tensors]] = []
        for job in jobs:
            try:
                runnable.append((job, decode_inputs(model.schema, job.input)))
            except TensorError as error:
                done.append(_malformed(job, model, error.message))
        if not runnable:
            return done
        inferences = await self._engine.run_each(
            model.terms.program_root,
            model.schema,
            [inputs for _, inputs in runnable],
            model.terms.tier,
        )
        for (job, _), inference in zip(runnable, inferences, strict=True):
            if isinstance(inference, OracleError):
                done.append(self._failed(job, model, inference))
            else:
                done.append(_outcome(job, model, inference))
        return done

    def _unusable(self, job: Job, error: OracleError) -> JobMove:
        """Silence costs the bond, and until the deadline a file or a thread may be mended."""
        _log.error("inference failed", request=short(job.request_id), error=error.message)
        if self._clock.now() > job.request.deadline:
            return JobMove(job.request_id, Trigger.COMPUTE_FAILED, {"reason": error.message})
        return self._postponed(job, error)

    def _failed(self, job: Job, model: Model, error: OracleError) -> Outcome | JobMove:
        if isinstance(error, TensorError):
            return _malformed(job, model, error.message)
        # Without a trace nothing shows that a program gave no output: an empty result of it is
        # convicted, and that costs far more than silence.
        if isinstance(error, UnusableOutput) and model.terms.tier is Tier.UNPROVEN:
            return _malformed(job, model, error.message)
        return self._unusable(job, error)

    def _postponed(self, job: Job, error: OracleError) -> JobMove:
        tried = job.attempts + 1
        wait = min(_SLOWEST_RETRY_SECONDS, self._retry_seconds * 2.0 ** min(tried, 10))
        return JobMove(
            job.request_id,
            Trigger.POSTPONE,
            {
                "attempts": tried,
                "not_before": self._clock.now() + wait,
                "reason": error.message,
            },
        )

    async def _keep(self, outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[JobMove]]:
        """Keeps the traces; those outcomes whose trace is safe, and moves for the others."""
        traced = [done for done in outcomes if done.trace is not None]
        kept = [done for done in outcomes if done.trace is None]
        try:
            await self._save(traced)
            return [*kept, *traced], []
        except StorageError as error:
            if len(traced) == 1:
                return kept, [self._unusable(traced[0].job, error)]
        refused: list[JobMove] = []
        for done in traced:
            saved, moves = await self._keep([done])
            kept += saved
            refused += moves
        return kept, refused

    async def _save(self, traced: Sequence[Outcome]) -> None:
        if not traced:
            return
        await self._traces.save(
            [TraceToKeep(done.job.request_id, done.trace) for done in traced if done.trace]
        )
        await self._traces.keep_until(
            [
                TraceHold(
                    done.trace_root,
                    done.job.request_id,
                    done.job.request.deadline + done.job.request.window + _TRACE_MARGIN_SECONDS,
                )
                for done in traced
            ]
        )

    async def _sign(self, outcomes: Sequence[Outcome]) -> list[JobMove]:
        if not outcomes:
            return []
        answers = [
            Answer.of(
                done.job.request_id, done.job.request, self._operator, done.result, done.trace_root
            )
            for done in outcomes
        ]
        digests = [answer.digest(self._domain) for answer in answers]
        try:
            await self._jobs.reserve_signatures(
                SIGNATURE_KIND,
                [
                    (done.job.request_id, digest)
                    for done, digest in zip(outcomes, digests, strict=True)
                ],
            )
        except SignedTwice as error:
            return await self._sign_apart(outcomes, error)
        return [
            JobMove(
                done.job.request_id,
                Trigger.COMPUTED,
                {
                    "result": done.result,
                    "answer": answer,
                    "signature": self._signer.sign_digest(digest),
                    "session": done.session,
                    "inference_seconds": done.seconds,
                    "reason": done.note,
                    "attempts": 0,
                    "not_before": 0.0,
                },
            )
            for done, answer, digest in zip(outcomes, answers, digests, strict=True)
        ]

    async def _sign_apart(self, outcomes: Sequence[Outcome], error: SignedTwice) -> list[JobMove]:
        """One of these must not be signed: it fails alone."""
        if len(outcomes) > 1:
            return [move for done in outcomes for move in await self._sign([done])]
        request_id = outcomes[0].job.request_id
        _log.error("not signed", request=short(request_id), error=error.message)
        return [JobMove(request_id, Trigger.COMPUTE_FAILED, {"reason": error.message})]


def _outcome(job: Job, model: Model, inference: Inference) -> Outcome:
    """What a run came to: its result, or the empty one where there is none to be posted."""
    result, note = encode_outputs(model.schema, inference.outputs), None
    if len(result) > MAX_RESULT_BYTES:
        note = f"unanswerable input: {len(result)} bytes do not fit a transaction"
        result = UNANSWERABLE
    return Outcome(job, result, inference.session, inference.seconds, note, inference.trace)


def _malformed(job: Job, model: Model, reason: str) -> Outcome:
    """Nothing was run: of a program, that is a trace of no rows."""
    terms = model.terms
    unproven = terms.tier is Tier.UNPROVEN
    root = ZERO_BYTES32 if unproven else no_rows_root(terms.program_root)
    note = f"unanswerable input: {reason}"
    return Outcome(job, UNANSWERABLE, None, 0.0, note, unrun_root=root)
