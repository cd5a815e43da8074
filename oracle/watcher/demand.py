"""Gets what an operator withholds: demands leaf by leaf, back from the output to the lie.

All that was demanded and revealed is on the chain, whoever asked for it, so each step reads it
there and needs no memory. A demand that nobody meets convicts. Judges by `court.walk`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

import structlog

from oracle.chain.court_contract import CourtBinding, CourtLimits
from oracle.chain.court_reader import CourtReader, Proceedings
from oracle.chain.proof_coder import encode_place
from oracle.client.view import OracleView
from oracle.core.case import Case, CaseState
from oracle.core.dispute import RevealDemand
from oracle.core.request import RequestState
from oracle.core.transaction import Purpose
from oracle.core.types import format_opg
from oracle.court.accusation import Accusation, wrong_rows
from oracle.court.commitment import Commitment, commit
from oracle.court.message import rows_of
from oracle.court.opening import open_record
from oracle.court.proof import Place, TraceClaim
from oracle.court.revealed import Leaves, claim_of, laid_over
from oracle.court.walk import DeadEnd, next_step
from oracle.errors import NoAnswer
from oracle.ports import CommittedTrace
from oracle.program.instruction import Program
from oracle.watcher.convict import Convict
from oracle.watcher.examine import accused, ended
from oracle.watcher.outbox import Outbox
from oracle.watcher.own_run import NewRunner, run_again
from oracle.watcher.policy import WatcherPolicy
from oracle.watcher.subject import OpenedProgram, Subject, Subjects

_log = structlog.get_logger("oracle.watcher")

_KEPT_RUNS = 4
_WHOLE_TENSOR_BYTES = 4_096
"""Tensors up to this size are demanded whole: a leaf more costs less than a demand more."""


@dataclass(frozen=True)
class _Run:
    trace: CommittedTrace
    commitment: Commitment


class Demand:
    def __init__(
        self,
        view: OracleView,
        court: CourtBinding,
        proceedings: CourtReader,
        subjects: Subjects,
        outbox: Outbox,
        convict: Convict,
        new_runner: NewRunner,
        policy: WatcherPolicy,
    ) -> None:
        self._view = view
        self._court = court
        self._proceedings = proceedings
        self._subjects = subjects
        self._outbox = outbox
        self._convict = convict
        self._new_runner = new_runner
        self._policy = policy
        self._runs: OrderedDict[bytes, _Run] = OrderedDict()

    async def step(self, case: Case) -> Case:
        """Where a WITHHELD case stands after the next thing to do.

        Raises:
            OracleError: not now; try again.
        """
        state = await self._view.state(case.request_id)
        head = await self._view.rpc.latest()
        found = await self._proceedings.proceedings(case.request_id, case.block_number, head.number)
        subject = await self._subjects.subject(case)
        pending = [one for one in found.demands if await self._court.is_pending(one)]
        if state.state.terminal:
            mine = [one for one in pending if one.demander == self._outbox.sender]
            for one in mine:
                await self._outbox.send(Purpose.SHARE, self._court.refund_demand_data(one))
            if mine:
                return case
            if state.state is RequestState.SLASHED:
                return await self._convict.step(case)
            return ended(case, CaseState.OVER, f"the request is over: {case.reason}")
        late = [one for one in pending if head.timestamp > one.deadline]
        if late:
            data = self._court.reveal_timeout_data(subject.request, late[0])
            if await self._outbox.send(Purpose.TIME_OUT, data) is not None:
                _log.error("a demand was not met", request="0x" + case.request_id.hex())
            return case
        endpoint = await self._subjects.endpoint(subject.commitment.operator)
        opened = await self._subjects.program(subject.model, endpoint)
        step = await self._next(case, subject, opened, found)
        if isinstance(step, Accusation):
            return accused(case, step)
        if isinstance(step, DeadEnd):
            text = f"nothing wrong was shown: {step.reason}; {case.reason}"
            return case if pending else ended(case, CaseState.OVER, text)
        return await self._demanded(case, subject, opened, step, found, pending)

    # ---- what to look at

    async def _next(
        self, case: Case, subject: Subject, opened: OpenedProgram, found: Proceedings
    ) -> Accusation | Leaves | DeadEnd:
        program, encoded = opened.program, opened.encoded
        root = subject.commitment.trace_root
        claim: TraceClaim | None = None
        if found.dismissed is not None:
            claim = TraceClaim(*found.dismissed)
        elif found.shown:
            first = found.shown[0]
            claim = claim_of(program, encoded.root, root, first.rows, first.opening)
        if claim is not None:
            wrong = wrong_rows(program, encoded, subject.message, claim)
            if wrong is not None:
                return wrong
        rows = rows_of(program, subject.message)
        if not rows:
            return Leaves(0, program.inputs[0], 0, 1)
        run = await self._run(subject, opened)
        most = max(1, (await self._court.limits()).max_reveal_bytes // program.leaf_bytes)
        openings = [one.opening for one in found.shown if one.rows == rows]

        def walked() -> Accusation | Leaves | DeadEnd:
            prover = laid_over(
                program, encoded, run.trace.trace, run.commitment, openings, claim, most
            )
            return next_step(prover, subject.message, subject.result, run.trace.trace)

        return await asyncio.to_thread(walked)

    async def _run(self, subject: Subject, opened: OpenedProgram) -> _Run:
        known = self._runs.get(subject.request_id)
        if known is not None:
            return known
        own = await run_again(subject, opened, self._new_runner)
        if own.trace is None:
            raise NoAnswer(own.failure or "nothing was run here")
        commitment = await asyncio.to_thread(
            commit, opened.program, opened.encoded.root, own.trace.trace
        )
        run = self._runs[subject.request_id] = _Run(own.trace, commitment)
        while len(self._runs) > _KEPT_RUNS:
            self._runs.popitem(last=False)
        return run

    # ---- demanding

    async def _demanded(
        self,
        case: Case,
        subject: Subject,
        opened: OpenedProgram,
        wanted: Leaves,
        found: Proceedings,
        pending: list[RevealDemand],
    ) -> Case:
        if any(_covers(one, wanted) for one in pending):
            return case
        limits = await self._court.limits()
        wanted = _widened(opened.program, wanted, limits)
        rows = max(1, rows_of(opened.program, subject.message))
        place = _place(opened, wanted, rows)
        me = self._outbox.sender
        spent = sum(one.deposit for one in found.demands if one.demander == me)
        deposit = await self._court.deposit_for(
            case.request_id, _byte_count(opened.program, wanted)
        )
        if spent + deposit > self._policy.max_deposit:
            if pending:
                return case
            text = (
                f"deposits of {format_opg(spent + deposit)} OPG are above the "
                f"{format_opg(self._policy.max_deposit)} that may be spent: {case.reason}"
            )
            return ended(case, CaseState.OVER, text)
        if await self._view.token.allowance(me, self._court.address) < deposit:
            data = self._view.token.approve_data(self._court.address, self._policy.max_deposit)
            await self._outbox.send(Purpose.ALLOW, data, self._view.token.address)
            return case
        data = self._court.demand_reveal_data(subject.disputed, place, deposit)
        if await self._outbox.send(Purpose.DEMAND, data) is not None:
            _log.warning(
                "demand",
                request="0x" + case.request_id.hex(),
                row=wanted.row,
                tensor=opened.program.tensors[wanted.tensor].name,
                leaves=f"{wanted.first} to {wanted.first + wanted.count - 1}",
                deposit_opg=format_opg(deposit),
            )
        return case


def _widened(program: Program, wanted: Leaves, limits: CourtLimits) -> Leaves:
    """The whole tensor where it is small; as much of what is wanted as one demand may ask for."""
    info = program.tensors[wanted.tensor]
    if info.byte_count <= min(_WHOLE_TENSOR_BYTES, limits.max_reveal_bytes):
        leaves = -(-info.byte_count // program.leaf_bytes)
        return Leaves(wanted.row, wanted.tensor, 0, leaves)
    return wanted


def _covers(demand: RevealDemand, wanted: Leaves) -> bool:
    leaves = demand.leaves
    return (
        (leaves.row, leaves.tensor) == (wanted.row, wanted.tensor)
        and leaves.first <= wanted.first
        and wanted.first + wanted.count <= leaves.first + leaves.count
    )


def _byte_count(program: Program, wanted: Leaves) -> int:
    start = wanted.first * program.leaf_bytes
    stop = (wanted.first + wanted.count) * program.leaf_bytes
    return min(stop, program.tensors[wanted.tensor].byte_count) - start


def _place(opened: OpenedProgram, wanted: Leaves, rows: int) -> bytes:
    program, encoded = opened.program, opened.encoded
    is_input = wanted.tensor in program.inputs
    record = 0 if is_input else program.producer[wanted.tensor] + 1
    return encode_place(
        Place(
            header=encoded.header,
            record=open_record(encoded, record),
            input=program.inputs.index(wanted.tensor) if is_input else 0,
            rows=rows,
            row=wanted.row,
            first=wanted.first,
            count=wanted.count,
        )
    )
