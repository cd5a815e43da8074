"""A trace that is not kept is made again by one more run, or is said to come out otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oracle.core import merkle
from oracle.core.job import JobState
from oracle.court.commitment import commit
from oracle.court.opening import verify_trace_opening
from oracle.errors import NotFound, RunTimedOut, TraceError, TraceMismatch
from oracle.ports.inference import CommittedTrace, Inference
from oracle.program.encoding import program_root
from oracle.program.instruction import Program
from oracle.service.remake import Remake, trace_again
from tests.service.fakes import Engine, Jobs, Registry, good
from tests.support.small_programs import small_program, small_trace

PROGRAM = small_program()
ROOT = program_root(PROGRAM)
TRACE = small_trace(PROGRAM, 2, 1)
COMMITMENT = commit(PROGRAM, ROOT, TRACE)


class Programs:
    async def program(self, root: bytes) -> Program:
        if root != ROOT:
            raise NotFound("no such program")
        return PROGRAM


class Bench:
    def __init__(self) -> None:
        self.engine, self.registry = Engine(), Registry()
        self.engine.behave = lambda _: traced(COMMITMENT.trace_root)
        self.job = Jobs().add(JobState.ANSWERED)
        self.remake = Remake(self.registry, self.engine, Programs())  # type: ignore[arg-type]


def traced(root: bytes) -> Inference:
    return replace(good(), trace=CommittedTrace(root, ROOT, TRACE))


async def test_the_same_trace_is_opened_as_often_as_it_is_asked_for_by_one_run() -> None:
    bench = Bench()
    for _ in range(3):
        opener = await bench.remake.opener(bench.job, COMMITMENT.trace_root)
    assert bench.engine.runs == 1
    assert await opener.claim(COMMITMENT.trace_root) == (2, merkle.root_of(COMMITMENT.levels))
    opening = await opener.open_leaves(COMMITMENT.trace_root, row=1, tensor=1, first=0, count=1)
    shown = verify_trace_opening(PROGRAM, ROOT, COMMITMENT.trace_root, 2, opening)
    assert shown == TRACE.rows[1][1].tobytes()
    with pytest.raises(TraceError, match="row 2 is out of range"):
        await opener.open_leaves(COMMITMENT.trace_root, row=2, tensor=0, first=0, count=1)
    with pytest.raises(NotFound):
        await opener.claim(bytes(32))


async def test_what_comes_out_otherwise_is_not_taken_for_it() -> None:
    bench = Bench()
    with pytest.raises(TraceMismatch, match="comes out otherwise"):
        await bench.remake.opener(bench.job, b"\x09" * 32)
    bench.engine.behave = lambda _: good()
    with pytest.raises(TraceMismatch, match="now: none"):
        await trace_again(bench.registry, bench.engine, bench.job, COMMITMENT.trace_root)


async def test_a_run_that_fails_says_why() -> None:
    bench = Bench()
    bench.engine.behave = lambda _: RunTimedOut("too slow")
    with pytest.raises(RunTimedOut):
        await bench.remake.opener(bench.job, COMMITMENT.trace_root)
