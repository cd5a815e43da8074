"""Looks into an answer: the whole trace where it is served, an own run where it is not.

Leaves a case clean, accused with a proof, or withheld. Sends nothing.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from dataclasses import replace

import structlog

from oracle.chain.proof_coder import encode_proof
from oracle.client.reader import OracleReader
from oracle.client.trace_reader import ReadLimits, TraceReader
from oracle.core.case import Case, CaseState
from oracle.core.request import RequestState
from oracle.core.types import ZERO_BYTES32, Tier
from oracle.court.accusation import Accusation, accuse, accuse_without_rows, wrong_rows
from oracle.court.commitment import commit, no_rows_root
from oracle.court.message import rows_of
from oracle.court.revealed import claim_of
from oracle.errors import OracleError, TraceError, TraceMismatch
from oracle.program.instruction import Trace
from oracle.verify.places import FETCH_SECONDS, SLOWEST_BYTES_A_SECOND
from oracle.watcher.own_run import NewRunner, OwnRun, run_again
from oracle.watcher.policy import WatcherPolicy
from oracle.watcher.subject import OpenedProgram, Subject, Subjects

_log = structlog.get_logger("oracle.watcher")

_PATIENCE_SECONDS = 15.0
"""Whoever fails to serve after so long has kept others waiting, and is not asked for a while: what
it does not serve is had by a run and by demands."""
_SHUNNED_SECONDS = 120.0


class Examine:
    def __init__(
        self,
        reader: OracleReader,
        subjects: Subjects,
        new_runner: NewRunner,
        policy: WatcherPolicy,
        limits: ReadLimits | None = None,
    ) -> None:
        """`limits` are what an endpoint may cost; the usual ones by default."""
        self._reader = reader
        self._subjects = subjects
        self._new_runner = new_runner
        self._policy = policy
        self._limits = limits or ReadLimits()
        self._shunned: dict[str, float] = {}

    async def step(self, case: Case) -> Case:
        """Where an OPEN case stands after a look at the answer.

        Raises:
            OracleError: it cannot be looked at now; try again.
        """
        state = (await self._reader.state(case.request_id)).state
        if state.terminal:
            # Of a case that began anew, the share of the conviction may be this watcher's.
            next_ = CaseState.HELD if state is RequestState.SLASHED else CaseState.OVER
            reason = f"{state.name.lower()} before it was looked into"
            return replace(case, state=next_, reason=reason)
        subject = await self._subjects.subject(case)
        terms = subject.model.terms
        if terms.tier is Tier.UNPROVEN:
            return ended(case, CaseState.SKIPPED, "of the unproven tier: there is nothing to judge")
        endpoint = await self._subjects.endpoint(subject.commitment.operator)
        opened = await self._subjects.program(subject.model, endpoint)
        root = subject.commitment.trace_root
        if root == no_rows_root(terms.program_root):
            found = await asyncio.to_thread(
                accuse_without_rows,
                opened.program,
                opened.encoded,
                subject.message,
                subject.result,
                root,
            )
            clean = "the input is malformed, and the answer says so"
            return accused(case, found) if found else ended(case, CaseState.CLEAN, clean)
        try:
            served = await self._served(subject, opened, endpoint)
        except OracleError as error:
            return await self._withheld(case, subject, opened, error.message)
        if isinstance(served, Accusation):
            return accused(case, served)
        return await _judged(case, subject, opened, served)

    async def _served(
        self, subject: Subject, opened: OpenedProgram, endpoint: str | None
    ) -> Trace | Accusation:
        """The signed trace as the operator serves it. Where it has not as many rows as the input, a
        leaf of it is enough, and says so.

        Raises:
            OracleError: it is not served, too slowly, or something else is.
        """
        if endpoint is None:
            raise TraceError("the operator has announced no endpoint")
        begun = time.monotonic()
        if begun < self._shunned.get(endpoint, 0.0):
            raise TraceError(f"{endpoint} kept this watcher waiting a moment ago")
        try:
            return await _read(subject, opened, endpoint, self._limits)
        except OracleError:
            if time.monotonic() - begun > _PATIENCE_SECONDS:
                self._shunned[endpoint] = time.monotonic() + _SHUNNED_SECONDS
            raise

    async def _withheld(
        self, case: Case, subject: Subject, opened: OpenedProgram, why: str
    ) -> Case:
        own = await run_again(subject, opened, self._new_runner)
        if own.trace is not None and own.trace.root == subject.commitment.trace_root:
            # It is the signed trace, to the bit, wherever it came from.
            return await _judged(case, subject, opened, own.trace.trace)
        return self._weighed(case, subject, own, why)

    def _weighed(self, case: Case, subject: Subject, own: OwnRun, why: str) -> Case:
        if own.failure is not None:
            return ended(case, CaseState.SKIPPED, f"not checked: {why}; {own.failure}")
        nothing = subject.commitment.trace_root == ZERO_BYTES32
        if own.differs is None and not nothing and not self._policy.demand_all:
            text = f"this machine's run agrees; the trace is not served: {why}"
            return ended(case, CaseState.CLEAN, text)
        unseen = "the answer commits to nothing" if nothing else "every trace is demanded"
        reason = f"{own.differs or unseen}; the trace is not served: {why}"
        if not self._policy.demand:
            return ended(case, CaseState.SKIPPED, f"{reason}; demands are switched off")
        _log.info("withheld", request="0x" + case.request_id.hex(), reason=reason)
        return replace(case, state=CaseState.WITHHELD, reason=reason, attempts=0, not_before=0.0)


async def _read(
    subject: Subject, opened: OpenedProgram, endpoint: str, limits: ReadLimits
) -> Trace | Accusation:
    program, root = opened.program, subject.commitment.trace_root
    async with TraceReader(endpoint, limits) as reader:
        rows = (await reader.describe(root)).get("rows")
        if type(rows) is not int or not 1 <= rows <= program.max_rows:
            raise TraceMismatch(f"a trace of {str(rows)[:40]!r} rows is none of this program")
        if rows != rows_of(program, subject.message):
            leaf = await reader.leaves(
                program, opened.encoded.root, root, rows, row=0, tensor=0, first=0, count=1
            )
            claim = claim_of(program, opened.encoded.root, root, rows, leaf)
            wrong = wrong_rows(program, opened.encoded, subject.message, claim)
            assert wrong is not None
            return wrong
        size = program.row_trace_bytes * rows
        try:
            async with asyncio.timeout(FETCH_SECONDS + size / SLOWEST_BYTES_A_SECOND):
                return await reader.trace(
                    program, opened.encoded.root, root, rows, threads=os.cpu_count() or 1
                )
        except TimeoutError:
            raise TraceError(f"{endpoint} sends the trace too slowly") from None


async def _judged(case: Case, subject: Subject, opened: OpenedProgram, trace: Trace) -> Case:
    program, encoded = opened.program, opened.encoded

    def judged() -> Accusation | None:
        threads = os.cpu_count() or 1
        commitment = commit(program, encoded.root, trace, threads=threads)
        return accuse(program, encoded, subject.message, subject.result, trace, commitment)

    found = await asyncio.to_thread(judged)
    if found is None:
        text = f"no element of {len(trace.rows)} rows is violated"
        return ended(case, CaseState.CLEAN, text)
    return accused(case, found)


def accused(case: Case, found: Accusation) -> Case:
    """A case with a proof, and the salt of the announcement to come."""
    what = found.what
    _log.error("WRONG ANSWER", request="0x" + case.request_id.hex(), what=what)
    return replace(
        case,
        state=CaseState.ACCUSED,
        reason=what,
        proof=encode_proof(found.proof),
        salt=secrets.token_bytes(32),
        attempts=0,
        not_before=0.0,
    )


def ended(case: Case, state: CaseState, reason: str) -> Case:
    """A case that is over."""
    return replace(case, state=state, reason=reason)
