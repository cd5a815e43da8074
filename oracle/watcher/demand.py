"""Gets what an operator withholds: demands what a walk back from the output to the lie needs.

All that was demanded and revealed is on the chain, whoever asked for it, so each step reads it
there and needs no memory. A demand that nobody meets convicts. Judges by `court.walk`, and demands
what `plan` says.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

import structlog

from oracle.chain.court_contract import CourtBinding
from oracle.chain.court_reader import CourtReader, Proceedings, Shown
from oracle.chain.proof_coder import encode_place
from oracle.client.reader import OracleReader
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
from oracle.court.walk import DeadEnd, Wanted, next_step
from oracle.errors import ChainRefused, NoAnswer
from oracle.ports.inference import CommittedTrace
from oracle.watcher.convict import Convict
from oracle.watcher.examine import accused, ended
from oracle.watcher.outbox import Outbox
from oracle.watcher.own_run import NewRunner, run_again
from oracle.watcher.plan import Means, covers, joined, planned, rounds_left
from oracle.watcher.policy import WatcherPolicy
from oracle.watcher.subject import OpenedProgram, Subject, Subjects
from oracle.watcher.window import look

_log = structlog.get_logger("oracle.watcher")

_KEPT_RUNS = 4
_KEPT_SIGHTS = 16
_TAIL_BYTES = 3 * 32
"""Of a demand's calldata with an empty place: its offset, the largest deposit, its length."""


@dataclass(frozen=True)
class _Run:
    trace: CommittedTrace
    commitment: Commitment


@dataclass(frozen=True)
class _Sight:
    """What follows from what was shown; `whole` are the tensors shown to the last leaf."""

    step: Accusation | Wanted | DeadEnd
    whole: frozenset[tuple[int, int]] = frozenset()


_Shown = tuple[tuple[Shown, ...], tuple[int, bytes] | None]


class Demand:
    def __init__(
        self,
        reader: OracleReader,
        court: CourtBinding,
        proceedings: CourtReader,
        subjects: Subjects,
        outbox: Outbox,
        convict: Convict,
        new_runner: NewRunner,
        policy: WatcherPolicy,
    ) -> None:
        self._reader = reader
        self._court = court
        self._proceedings = proceedings
        self._subjects = subjects
        self._outbox = outbox
        self._convict = convict
        self._new_runner = new_runner
        self._policy = policy
        self._runs: OrderedDict[bytes, _Run] = OrderedDict()
        self._sights: OrderedDict[bytes, tuple[_Shown, _Sight]] = OrderedDict()

    async def step(self, case: Case) -> Case:
        """Where a WITHHELD case stands after the next thing to do.

        Raises:
            OracleError: not now; try again.
        """
        window = await look(self._reader, case.request_id)
        state = window.request
        try:
            subject = await self._subjects.subject(case)
        except NoAnswer:
            if not state.state.terminal:
                raise
            return ended(case, CaseState.OVER, f"a fork took the answer away: {case.reason}")
        # Asked before the chain is, as what is mined meanwhile is on its way no more.
        sent = await self._outbox.begins_with(self._head(subject))
        head = await self._reader.rpc.latest()
        found = await self._proceedings.proceedings(case.request_id, case.block_number, head.number)
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
        late = [one for one in pending if window.now > one.deadline]
        if late:
            data = self._court.reveal_timeout_data(subject.request, late[0])
            notice_gas = subject.request.notice_gas
            if await self._outbox.send(Purpose.TIME_OUT, data, notice_gas=notice_gas) is not None:
                _log.info("a demand was not met", request="0x" + case.request_id.hex())
            return case
        if window.is_closed:
            text = f"the window closed on what was not shown to be wrong: {case.reason}"
            return ended(case, CaseState.OVER, text)
        endpoint = await self._subjects.endpoint(subject.commitment.operator)
        opened = await self._subjects.program(subject.model, endpoint)
        sight = await self._sight(subject, opened, found)
        if isinstance(sight.step, Accusation):
            return accused(case, sight.step)
        if isinstance(sight.step, DeadEnd):
            text = f"nothing wrong was shown: {sight.step.reason}; {case.reason}"
            return case if pending or sent else ended(case, CaseState.OVER, text)
        # One that is neither pending nor met was met after the logs were read.
        over = [one for one in found.demands if one not in pending]
        if sent or any(one.number not in found.met for one in over):
            return case  # what it shows may spare the rest
        return await self._demanded(case, subject, opened, sight, found, pending)

    # ---- what to look at

    async def _sight(self, subject: Subject, opened: OpenedProgram, found: Proceedings) -> _Sight:
        """What is seen by now; looked at anew when more was shown."""
        known = self._sights.get(subject.request_id)
        if known is not None and known[0] == (found.shown, found.dismissed):
            return known[1]
        sight = await self._looked(subject, opened, found)
        self._sights[subject.request_id] = (found.shown, found.dismissed), sight
        while len(self._sights) > _KEPT_SIGHTS:
            self._sights.popitem(last=False)
        return sight

    async def _looked(self, subject: Subject, opened: OpenedProgram, found: Proceedings) -> _Sight:
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
                return _Sight(wrong)
        rows = rows_of(program, subject.message)
        if not rows:
            first_input = program.inputs[0]
            return _Sight(Wanted((Leaves(0, first_input, 0, 1),), 0, first_input))
        run = await self._run(subject, opened)
        most = max(1, (await self._court.limits()).max_reveal_bytes // program.leaf_bytes)
        openings = [one.opening for one in found.shown if one.rows == rows]

        def walked() -> _Sight:
            prover = laid_over(
                program, encoded, run.trace.trace, run.commitment, openings, claim, most
            )
            step = next_step(prover, subject.message, subject.result, run.trace.trace)
            return _Sight(step, prover.whole)

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
        sight: _Sight,
        found: Proceedings,
        pending: list[RevealDemand],
    ) -> Case:
        assert isinstance(sight.step, Wanted)
        me, program = self._outbox.sender, opened.program
        mine = any(one.demander == me for one in pending)
        spent = sum(one.deposit for one in found.demands if one.demander == me)
        held = await self._reader.token.balance_of(me)
        means = await self._means(subject, min(self._policy.max_deposit - spent, held))
        if not means.rounds:
            text = f"there is no time for another demand before the dispute limit: {case.reason}"
            return case if pending else ended(case, CaseState.OVER, text)
        asked = [*map(_leaves, pending)]
        wanted = planned(program, sight.step, sight.whole, asked, means, ahead=not mine)
        if not wanted:
            needed = joined(program, sight.step.leaves, means.most_bytes)
            if pending and (mine or all(any(covers(o, n) for o in asked) for n in needed)):
                return case
            return self._short(case, spent, held)
        total = sum(one.deposit for one in wanted)
        if await self._reader.token.allowance(me, self._court.address) < total:
            data = self._reader.token.approve_data(self._court.address, self._policy.max_deposit)
            await self._outbox.send(Purpose.ALLOW, data, self._reader.token.address)
            return case
        rows = max(1, rows_of(program, subject.message))
        for one in wanted:
            place = _place(opened, one.leaves, rows)
            data = self._court.demand_reveal_data(subject.disputed, place, one.deposit)
            await self._outbox.send(Purpose.DEMAND, data)
            _log.info(
                "demand",
                request="0x" + case.request_id.hex(),
                row=one.leaves.row,
                tensor=program.tensors[one.leaves.tensor].name,
                leaves=f"{one.leaves.first} to {one.leaves.first + one.leaves.count - 1}",
                deposit_opg=format_opg(one.deposit),
                rounds_left=means.rounds,
            )
        return case

    async def _means(self, subject: Subject, budget: int) -> Means:
        now = await self._reader.rpc.next_timestamp()
        limit = await self._reader.oracle.dispute_limit(subject.request)
        made, _ = await self._court.demands(subject.request_id)
        return Means(
            rounds=rounds_left(now, limit, subject.model.terms.reveal_window),
            budget=budget,
            unit=await self._court.deposit_for(subject.request_id, 1),
            made=made,
            most_bytes=(await self._court.limits()).max_reveal_bytes,
        )

    def _head(self, subject: Subject) -> bytes:
        """How the calldata of every demand on an answer begins: before place and deposit."""
        return self._court.demand_reveal_data(subject.disputed, b"", 0)[:-_TAIL_BYTES]

    def _short(self, case: Case, spent: int, held: int) -> Case:
        """Nothing can be paid for: by the key, which may be given more, or by the policy."""
        left = self._policy.max_deposit - spent
        if held < left:
            raise ChainRefused(
                f"the next demand costs more than the {format_opg(held)} OPG that "
                f"{self._outbox.sender} holds",
                hint=f"send it OPG for deposits; it may spend {format_opg(left)} more",
            )
        most = format_opg(self._policy.max_deposit)
        text = f"the next demand costs more than is left of the {most} OPG that may be spent"
        return ended(case, CaseState.OVER, f"{text}: {case.reason}")


def _leaves(demand: RevealDemand) -> Leaves:
    asked = demand.leaves
    return Leaves(asked.row, asked.tensor, asked.first, asked.count)


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
