"""Runs the model for what we are bound to: ACCEPTED -> COMPUTED, with result and receipt saved.

An input the model cannot take, once we are bound, is answered with the empty result, which says
just that (docs/protocol.md): silence would be slashed. So is a run whose outputs fit no
transaction. What is saved is never computed or signed again: where the signer gives no signature,
the result waits for it. A program's trace is kept before its root is signed (`keep`): a demand to
show it may follow. A request whose run ended the inference process is run alone the next time,
after all others, and is given up at the second: it may cost its own answer and nobody else's. A
group whose run fails as a whole, of memory say, is run in parts. Knows no transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

import structlog

from oracle.core.job import Job, JobState, Trigger
from oracle.core.model import Model, had_again
from oracle.core.receipt import Answer
from oracle.core.request import FIRST_SIGNED_NONCE
from oracle.core.tensor import decode_inputs, encode_outputs, shared_batch
from oracle.core.typed_data import Domain
from oracle.core.types import ZERO_BYTES32, Address, Tier
from oracle.court.commitment import no_rows_root
from oracle.court.message import MAX_RESULT_BYTES
from oracle.errors import (
    ChainRefused,
    ChainUnreachable,
    IllegalTransition,
    InferenceError,
    ModelFileError,
    NotFound,
    OracleError,
    RunCrashed,
    RunCutShort,
    RunTimedOut,
    SchemaError,
    SignerError,
    StorageError,
    TensorError,
    UnusableOutput,
)
from oracle.ports.clock import Clock
from oracle.ports.contracts import RegistryContract
from oracle.ports.inference import Inference, InferenceEngine, Tensors
from oracle.ports.jobs import JobMove, JobStore
from oracle.ports.signing import Signer
from oracle.ports.traces import TraceStore
from oracle.service import journal
from oracle.service.breaker import Breaker, Kind
from oracle.service.group_size import GroupSizes
from oracle.service.journal import short
from oracle.service.keep import KeepTraces
from oracle.service.policy import MOST_STRIKES
from oracle.service.postpone import postponed
from oracle.service.sign import UNANSWERABLE, Outcome, SignAnswers, saved_outcome

_log = structlog.get_logger("oracle.infer")

_SLOWEST_RETRY_SECONDS = 30.0

_LOOKED_UP_AGAIN_SECONDS = 5.0
"""Until then the jobs of a model that cannot be looked up leave their places to others."""

_SUSPECTS_APART_SECONDS = 5.0
"""One suspect a round, so that what arrives meanwhile waits for no more than one."""

_Runnable: TypeAlias = tuple[Job, Tensors, int]
"""A job with its inputs and how many rows they have."""

Promised: TypeAlias = Callable[[Sequence[Job]], Awaitable[Mapping[bytes, tuple[Answer, bytes]]]]


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
        breaker: Breaker | None = None,
        estimate: Callable[[Job], Awaitable[str | None]] | None = None,
        promised: Promised | None = None,
    ) -> None:
        """
        Args:
            estimate: the sum of a job that an offer took on, which nobody has judged.
            promised: answers that were signed before their requests were sent, with the results.
        """
        self._jobs = jobs
        self._registry = registry
        self._engine = engine
        self._keep = KeepTraces(traces, registry, engine)
        self._operator = operator
        self._sign = SignAnswers(jobs, signer, domain, operator)
        self._clock = clock
        self._batch = batch
        self._retry_seconds = retry_seconds
        self._breaker = breaker or Breaker(clock)
        self._estimate = estimate
        self._promised = promised
        self._sizes = GroupSizes(clock)

    async def cycle(self) -> bool:
        """Takes a batch of ACCEPTED jobs and runs a group of each model. True where there was one.

        Raises:
            SignerError: some were not signed; they wait with their results.
            ChainUnreachable, ChainRefused: a model cannot be looked up, and there was nothing else
                to run. Another worker may take its jobs.
        """
        jobs = await self._jobs.take(
            [JobState.ACCEPTED], limit=self._batch, due_at=self._clock.now()
        )
        if not jobs:
            return False
        jobs = await self._in_time(jobs)
        done: list[Outcome | JobMove] = []
        by_model: dict[bytes, list[Job]] = defaultdict(list)
        suspects: list[Job] = []
        promised = await self._promises(jobs)
        for job in jobs:
            if job.signature is not None:
                done.append(JobMove(job.request_id, Trigger.COMPUTED))
            elif job.answer is not None and job.result is not None:
                done.append(saved_outcome(job, job.answer, job.result))
            elif job.request_id in promised:
                done.append(saved_outcome(job, *promised[job.request_id]))
            elif job.strikes:
                suspects.append(job)
            else:
                by_model[job.request.model_id].append(job)
        unsigned: SignerError | None = None
        unknown: OracleError | None = None
        worked = bool(done)
        groups = [*by_model.items(), *((job.request.model_id, [job]) for job in suspects[:1])]
        for model_id, group in groups:
            try:
                done += await self._run(model_id, group)
                worked = True
            except (ChainUnreachable, ChainRefused) as error:
                unknown = error
                await self._let_go(group)
            unsigned = await self._finish(done, jobs) or unsigned
            done = []
        done += [self._later(job) for job in suspects[1:]]
        unsigned = await self._finish(done, jobs) or unsigned
        if unsigned is not None:
            raise unsigned
        if unknown is not None and not worked:
            raise unknown
        if unknown is not None:
            _log.warning("a model cannot be looked up", error=unknown.message)
        return True

    async def _in_time(self, jobs: Sequence[Job]) -> Sequence[Job]:
        """The jobs whose answers the contract may still take, by the last block that was read.

        The others are given up unrun, or those that can still be answered would wait for them.
        """
        cursor = await self._jobs.cursor()
        late = [job for job in jobs if cursor and job.request.deadline < cursor.timestamp]
        if not late:
            return jobs
        reason = "the deadline passed before it was run"
        journal.record(
            await self._moved(
                [
                    JobMove(job.request_id, Trigger.COMPUTE_FAILED, {"reason": reason})
                    for job in late
                ]
            )
        )
        given_up = {job.request_id for job in late}
        return [job for job in jobs if job.request_id not in given_up]

    async def _let_go(self, jobs: Sequence[Job]) -> None:
        """What is put off is anybody's: another worker may reach the chain."""
        not_before = self._clock.now() + _LOOKED_UP_AGAIN_SECONDS
        await self._moved(
            [JobMove(job.request_id, Trigger.POSTPONE, {"not_before": not_before}) for job in jobs]
        )

    async def _moved(self, moves: Sequence[JobMove]) -> Sequence[Job]:
        """Moves jobs, but those that news from the chain has moved meanwhile."""
        try:
            return await self._jobs.move(moves)
        except IllegalTransition as error:
            if len(moves) == 1:
                _log.info("overtaken", step="infer", by=error.message)
                return []
        return [job for move in moves for job in await self._moved([move])]

    async def _promises(self, jobs: Sequence[Job]) -> Mapping[bytes, tuple[Answer, bytes]]:
        """Only requests that came by signature can have been answered before they came."""
        signed = [
            job for job in jobs if job.result is None and job.request.nonce >= FIRST_SIGNED_NONCE
        ]
        return await self._promised(signed) if self._promised is not None and signed else {}

    async def _finish(
        self, done: Sequence[Outcome | JobMove], jobs: Sequence[Job]
    ) -> SignerError | None:
        """Keeps, signs and saves what was run; why some of it was not signed."""
        if not done:
            return None
        kept, cannot = await self._keep.keep([one for one in done if isinstance(one, Outcome)])
        moves = [one for one in done if isinstance(one, JobMove)]
        moves += [self._unkept(one.job, error) for one, error in cannot]
        signed, unsigned = await self._sign.sign(kept)
        moves += signed
        if self._estimate is not None:
            unjudged = {job.request_id: job for job in jobs if job.economics is None}
            for move in moves:
                if move.request_id in unjudged:
                    move.patch["economics"] = await self._estimate(unjudged[move.request_id])
        journal.record(await self._moved(moves))
        return unsigned

    async def _run(self, model_id: bytes, jobs: Sequence[Job]) -> list[Outcome | JobMove]:
        """Runs one model's jobs; a model that cannot be used fails its own jobs and no others."""
        try:
            return await self._run_model(await self._registry.model(model_id), jobs)
        except (NotFound, SchemaError, ModelFileError, InferenceError) as error:
            return [self._unusable(job, error) for job in jobs]

    async def _run_model(self, model: Model, jobs: Sequence[Job]) -> list[Outcome | JobMove]:
        """Runs as many as make one group; the others come again with the next round."""
        done: list[Outcome | JobMove] = []
        group: list[_Runnable] = []
        room, rows = self._sizes.room(model), 0
        for job in jobs:
            try:
                inputs = decode_inputs(model.schema, job.input)
                own = shared_batch(model.schema.inputs, inputs)
            except TensorError as error:
                done.append(_malformed(job, model, error.message))
                continue
            rows += own
            if group and (len(group) == room.requests or rows > room.rows):
                break
            group.append((job, inputs, own))
        if not group:
            return done
        # Without a process, or with a file that is missing, no part of the group could be run.
        try:
            await self._engine.load(model.terms.program_root, model.schema, model.terms.tier)
        except ModelFileError as error:
            raise self._unloadable(model, error) from error
        return done + (await self._run_group(model, group))[0]

    async def _run_group(
        self, model: Model, group: Sequence[_Runnable]
    ) -> tuple[list[Outcome | JobMove], bool]:
        """Runs a group, in parts where it fails as a whole; and whether no single one failed so.

        Where none did, its size was at fault, and groups are smaller for a while.
        """
        most = self._sizes.most(model.id)
        if len(group) > most:
            return await self._run_parts(model, group, most)
        try:
            inferences = await self._engine.run_each(
                model.terms.program_root,
                model.schema,
                [inputs for _, inputs, _ in group],
                model.terms.tier,
            )
        except ModelFileError as error:
            cause = self._unloadable(model, error)
            return [self._unusable(job, cause) for job, _, _ in group], False
        except InferenceError as error:
            if len(group) == 1:
                return [self._unusable(group[0][0], error)], False
            _log.info("run in parts", requests=len(group), error=error.message)
            half = -(-len(group) // 2)
            done, well = await self._run_parts(model, group, half)
            if well:
                self._sizes.failed_above(model.id, half)
            return done, well
        ran = [
            (own, inference)
            for (_, _, own), inference in zip(group, inferences, strict=True)
            if isinstance(inference, Inference)
        ]
        self._sizes.ran(model.id, sum(own for own, _ in ran), [one for _, one in ran])
        return [
            self._checked(job, model, inference)
            for (job, _, _), inference in zip(group, inferences, strict=True)
        ], True

    async def _run_parts(
        self, model: Model, group: Sequence[_Runnable], size: int
    ) -> tuple[list[Outcome | JobMove], bool]:
        done: list[Outcome | JobMove] = []
        well = True
        for start in range(0, len(group), size):
            found, ran = await self._run_group(model, group[start : start + size])
            done += found
            well = well and ran
        return done, well

    def _unloadable(self, model: Model, error: ModelFileError) -> ModelFileError:
        return ModelFileError(
            f"model {short(model.id)}: {error.message}; mend it: {had_again(model, self._operator)}"
        )

    def _checked(
        self, job: Job, model: Model, inference: Inference | OracleError
    ) -> Outcome | JobMove:
        if isinstance(inference, OracleError):
            return self._failed(job, model, inference)
        if inference.trace is None and model.terms.tier is not Tier.UNPROVEN:
            return self._unusable(job, InferenceError("a program was run without its trace"))
        try:
            outcome = _outcome(job, model, inference)
        except TensorError as error:
            return self._failed(job, model, UnusableOutput(error.message))
        self._breaker.succeeded(Kind.INFERENCE)
        return outcome

    def _unusable(self, job: Job, error: OracleError) -> JobMove:
        """Silence costs twice the fee, and until the deadline a file or a thread may be mended."""
        kind = Kind.STORAGE if isinstance(error, StorageError) else Kind.INFERENCE
        self._breaker.failed(kind, error.message, job.request_id)
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
        if isinstance(error, RunTimedOut | RunCrashed):
            return self._struck(job, error)
        if isinstance(error, RunCutShort):
            return self._postponed(job, error)
        return self._unusable(job, error)

    def _unkept(self, job: Job, error: OracleError) -> JobMove:
        """A second run, to see whether it comes to the same, may fail as any run does."""
        if isinstance(error, RunTimedOut | RunCrashed):
            return self._struck(job, error)
        return self._unusable(job, error)

    def _struck(self, job: Job, error: OracleError) -> JobMove:
        """Its run ended the process, or had to be ended: once may be chance, twice is poison."""
        self._breaker.failed(Kind.INFERENCE, error.message, job.request_id)
        strikes = job.strikes + 1
        if strikes < MOST_STRIKES:
            _log.error("inference failed", request=short(job.request_id), error=error.message)
            move = self._postponed(job, error)
            move.patch["strikes"] = strikes
            return move
        reason = f"{error.message} ({strikes} times): it is not run again"
        return JobMove(
            job.request_id, Trigger.COMPUTE_FAILED, {"reason": reason, "strikes": strikes}
        )

    def _later(self, job: Job) -> JobMove:
        return JobMove(
            job.request_id,
            Trigger.POSTPONE,
            {"not_before": self._clock.now() + _SUSPECTS_APART_SECONDS},
        )

    def _postponed(self, job: Job, error: OracleError) -> JobMove:
        return postponed(
            job,
            error.message,
            self._clock.now(),
            _SLOWEST_RETRY_SECONDS,
            unit_seconds=self._retry_seconds,
        )


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
