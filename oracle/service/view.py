"""Answers in views: runs the model, keeps the trace, signs, and says the same again.

What is signed is an ordinary answer to a request of the caller's that nobody has sent yet. It goes
through the engine, the trace store and the sign-once record of jobs, and behind paid jobs: one view
runs at a time, and none while a job waits. An answer is on record before it is signed; when its
request is sent after all, `Infer` posts what is on record (`view_promises`). Knows no web.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from oracle.core.job import JobState
from oracle.core.model import Model
from oracle.core.request import Request, data_hash
from oracle.core.tensor import decode_inputs, encode_outputs
from oracle.core.typed_data import Domain
from oracle.core.types import ZERO_ADDRESS, ZERO_BYTES32, Address, Tier
from oracle.court.message import MAX_RESULT_BYTES
from oracle.errors import (
    InferenceError,
    InputError,
    NotFound,
    OracleError,
    PaymentRequired,
    RunCrashed,
    RunTimedOut,
    UnusableOutput,
    ViewRefused,
)
from oracle.ports.clock import Clock
from oracle.ports.inference import Inference, InferenceEngine, Tensors
from oracle.ports.jobs import JobStore
from oracle.ports.signing import Handover, Signer
from oracle.ports.traces import TraceHold, TraceStore, TraceToKeep
from oracle.ports.views import ViewAnswer, ViewQuestion, ViewStore
from oracle.service.journal import short
from oracle.service.retain import owed_until
from oracle.service.view_poison import Poison
from oracle.service.view_signing import SignViews
from oracle.service.view_terms import ViewTerms
from oracle.service.view_vouchers import Due, ViewVouchers

_log = structlog.get_logger("oracle.views")

_MOST_AT_ONCE: Final = 16
"""Questions that are being answered or wait for it; others are told to come again."""

_PATIENCE_SECONDS: Final = 5.0
"""How long a view waits for paid jobs to leave the engine to it."""

_LOOK_SECONDS: Final = 0.05

_SHARE_OF_TRACES: Final = 0.5
"""Of the trace budget: where more is owed, jobs need the rest."""

_FORGET_SECONDS: Final = 600
"""After its deadline no request can be sent; so much later, no reorg brings one back either."""

_SWEEP: Final = 256


_Key = tuple[Address, bytes, bytes, Due | None]


class Views:
    def __init__(
        self,
        terms: ViewTerms,
        views: ViewStore,
        jobs: JobStore,
        engine: InferenceEngine,
        traces: TraceStore,
        signer: Signer,
        clock: Clock,
        domain: Domain,
        operator: Address,
        *,
        closed: Callable[[], str | None],
        handover: Handover | None = None,
        vouchers: ViewVouchers | None = None,
    ) -> None:
        """
        Args:
            closed: why nothing is taken on now, in words; None where something is.
            vouchers: where models have a price.
        """
        self._terms = terms
        self._views = views
        self._jobs = jobs
        self._engine = engine
        self._traces = traces
        self._signer = signer
        self._clock = clock
        self._domain = domain
        self._operator = operator
        self._closed = closed
        self._handover = handover
        self._vouchers = vouchers
        self._turn = asyncio.Lock()
        self._under_way: dict[_Key, asyncio.Task[ViewAnswer]] = {}
        self._poison = Poison(clock.now)
        self._sign = SignViews(views, jobs, signer, domain, operator, vouchers)

    async def answer(self, question: ViewQuestion) -> ViewAnswer:
        """The answer, signed; the same one as before where there is one.

        Raises:
            NotFound: another operator's, or a model that is not answered in views, as it stands.
            InputError: the model takes no such input.
            PaymentInvalid, PaymentRequired: it has a price, and this does not pay it.
            ViewRefused: not now.
        """
        if question.operator != self._operator:
            raise NotFound(f"this gateway answers for {self._operator} alone")
        if question.caller == ZERO_ADDRESS:
            raise InputError("the caller is the zero address, which can post no receipt")
        if (reason := self._closed()) is not None:
            raise ViewRefused(f"not answered now: {reason}")
        model = await self._terms.model(question.model_id)
        inputs = decode_inputs(model.schema, question.input)
        due = await self._due(question, model)
        if due is not None and (given := await self._bought(question, due)) is not None:
            return given
        key = (question.caller, question.model_id, question.input, due)
        task = self._under_way.get(key)
        if task is None:
            if len(self._under_way) >= _MOST_AT_ONCE:
                raise ViewRefused("busy", hint="try again, or ask another gateway")
            task = asyncio.create_task(self._made(question, model, inputs, due))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)  # who gives up waiting spoils it for nobody

    async def close(self) -> None:
        """Ends what is being answered. Nothing is lost: what was signed is on record."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def cycle(self) -> bool:
        """Forgets answers whose requests can no longer be sent. True where there were some."""
        cursor = await self._jobs.cursor()
        if cursor is None:
            return False
        past = await self._views.past(cursor.timestamp - _FORGET_SECONDS, limit=_SWEEP)
        if not past:
            return False
        ids = [one.request_id for one in past]
        sent = {job.request_id for job in await self._jobs.jobs_of(ids)}
        await self._traces.keep_until(
            [
                TraceHold(one.trace_root, one.request_id, 0.0)
                for one in past
                if one.request_id not in sent and one.trace_root != ZERO_BYTES32
            ]
        )
        await self._views.drop(ids)
        return len(past) == _SWEEP

    def _ended(self, key: _Key, task: asyncio.Task[ViewAnswer]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # whoever asked may have gone: do not warn that nobody read it

    async def price(self, model_id: bytes) -> int:
        """What an answer costs, in base units. Raises NotFound."""
        return self._terms.price(await self._terms.model(model_id))

    async def _due(self, question: ViewQuestion, model: Model) -> Due | None:
        """What is to be paid, and the voucher that is to pay it; None where it is free."""
        price = self._terms.price(model)
        if not price:
            return None
        if self._vouchers is None:
            raise ViewRefused("not answered now: the deployment has no credit for views")
        try:
            return Due(price, await self._vouchers.voucher(question, price))
        except PaymentRequired:
            await self._terms.request(question, model)  # nobody deposits for what is refused
            raise

    async def _bought(self, question: ViewQuestion, due: Due) -> ViewAnswer | None:
        """What this very voucher has paid for, if it was this question: the reply was lost."""
        found = await self._views.bought(due.voucher.payer, due.voucher.total)
        if found is None or (found.request.model_id, found.request.input_hash) != (
            question.model_id,
            data_hash(question.input),
        ):
            return None
        if found.signer == self._signer.address:
            return found
        async with self._turn:
            return await self._sign.signed(found, due)

    async def _made(
        self, question: ViewQuestion, model: Model, inputs: Tensors, due: Due | None
    ) -> ViewAnswer:
        request = await self._terms.request(question, model)
        if self._handover and self._handover.pause_until(request.deadline) is not None:
            raise ViewRefused("not answered now: the operator's signer is about to change")
        request_id = request.id(self._domain)
        known = await self._views.view(request_id)
        if known is not None and known.signer == self._signer.address:
            return known
        if due is not None:
            await self._admit(due)
        async with self._turn:
            await self._until_jobs_are_served()
            if due is not None:  # another question of this caller's had its turn meanwhile
                known = await self._views.view(request_id)
                if known is not None and known.signer == self._signer.address:
                    return known
                await self._admit(due)
            if known is None or (not known.answer_signature and not await self._is_traced(known)):
                known = await self._computed(request_id, request, model, inputs)
            signed = await self._sign.signed(known, due)
        _log.info("view", request=short(request_id), model=model.name, caller=request.requester)
        return signed

    async def _admit(self, due: Due) -> None:
        assert self._vouchers is not None
        await self._vouchers.admit(due.voucher, due.price)

    # ---- running

    async def _computed(
        self, request_id: bytes, request: Request, model: Model, inputs: Tensors
    ) -> ViewAnswer:
        """Runs the model. The answer is on record before its trace, and the trace before it is
        signed: whatever is left of a process that is killed is found by `cycle`."""
        self._poison.refuse(model.id, request.input_hash)
        (found,) = await self._engine.run_each(
            model.terms.program_root, model.schema, [inputs], model.terms.tier
        )
        if isinstance(found, OracleError):
            raise self._failed(request, found)
        result, trace_root = _result(model, found), ZERO_BYTES32
        if found.trace is not None:
            await self._require_room()
            trace_root = found.trace.root
        answer = ViewAnswer(
            request_id,
            request,
            result,
            trace_root,
            accept_until=request.deadline - self._terms.rules.margin_seconds,
        )
        standing = await self._views.keep(answer)
        if standing is not answer:
            return standing  # another worker's, signed meanwhile
        if found.trace is not None:
            await self._traces.save([TraceToKeep(request_id, found.trace)])
            allowance = self._terms.rules.dispute_allowance
            until = owed_until(request) + allowance
            await self._traces.keep_until([TraceHold(trace_root, request_id, until)])
        return answer

    async def _until_jobs_are_served(self) -> None:
        """Waits while somebody who pays waits. Raises ViewRefused where that takes long."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while await self._is_a_job_waiting():  # noqa: ASYNC110 - other workers' jobs, too
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise ViewRefused(
                "busy with paid requests", hint="try again, or send a request"
            ) from None

    async def _is_a_job_waiting(self) -> bool:
        due = await self._jobs.jobs([JobState.ACCEPTED], limit=1, due_at=self._clock.now())
        return bool(due)

    async def _require_room(self) -> None:
        usage = await self._traces.usage()
        if usage.held_bytes > usage.budget_bytes * _SHARE_OF_TRACES:
            raise ViewRefused("no room for another trace beside those of paid requests")

    async def _is_traced(self, known: ViewAnswer) -> bool:
        root = known.trace_root
        return root == ZERO_BYTES32 or await self._traces.find(root) is not None

    def _failed(self, request: Request, error: OracleError) -> OracleError:
        if isinstance(error, UnusableOutput):
            return InputError(f"the model gives no output for this input: {error.message}")
        if isinstance(error, RunTimedOut | RunCrashed):
            self._poison.note(request.model_id, request.input_hash)
            _log.error("view failed", model="0x" + request.model_id.hex(), error=error.message)
        return error


def _result(model: Model, found: Inference) -> bytes:
    if found.trace is None and model.terms.tier is not Tier.UNPROVEN:
        raise InferenceError("a program was run without its trace")
    result = encode_outputs(model.schema, found.outputs)
    if len(result) > MAX_RESULT_BYTES:
        raise InputError(f"its output of {len(result)} bytes fits no transaction")
    return result
