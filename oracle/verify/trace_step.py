"""Step 5: the trace is the one that was signed, and it is a run on this input with this result.

A trace may come from anywhere, this machine's own run included: it is known by its root. Does not
judge what is in it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import numpy as np

from oracle.core.saved_receipt import RegisteredModel
from oracle.core.schema import TensorSpec
from oracle.core.tensor import decode_inputs
from oracle.core.types import ZERO_BYTES32, Tier
from oracle.court.commitment import commit, no_rows_root
from oracle.court.message import MAX_RESULT_BYTES, row_bytes
from oracle.errors import OracleError, TensorError, TraceError, TraceMismatch
from oracle.ports.inference import CommittedTrace
from oracle.program.instruction import Program, Trace
from oracle.verify.evidence import Answered, Evidence
from oracle.verify.model_step import FoundModel
from oracle.verify.report import (
    Finding,
    Kind,
    Name,
    Step,
    failed,
    moot,
    passed,
    unchecked,
    wrong,
)
from oracle.verify.sources import Sources


async def check_trace(
    evidence: Evidence,
    found: FoundModel | None,
    rows: int,
    own: CommittedTrace | None,
    sources: Sources,
) -> tuple[Step, Trace | None]:
    """The step, and the signed trace where it was had.

    Args:
        rows: how many rows the request has.
        own: what a run on this machine committed to, if there was one.
    """
    answered, model = evidence.answered, evidence.model
    assert answered is not None
    assert isinstance(model, RegisteredModel)
    early = _none_to_check(evidence, answered, model, found)
    if early is not None:
        return Step(Name.TRACE, (early,)), None
    assert found is not None
    assert found.program is not None
    trace, findings = await _obtain(answered.answer.trace_root, model, found, rows, own, sources)
    if trace is not None:
        findings += await asyncio.to_thread(
            lambda: list(_ends(evidence, answered, model, found, trace))
        )
    return Step(Name.TRACE, tuple(findings)), trace


def _none_to_check(
    evidence: Evidence, answered: Answered, model: RegisteredModel, found: FoundModel | None
) -> Finding | None:
    if model.terms.tier is Tier.UNPROVEN:
        return moot("an unproven answer commits to no trace: it can only be run again")
    root = answered.answer.trace_root
    rowless = root == no_rows_root(model.terms.program_root)
    malformed = _is_malformed(model, evidence.input)
    if rowless and malformed:
        return passed("a trace of no rows: the input is malformed, so there was nothing to run")
    if rowless:
        return wrong("the answer commits to a trace of no rows, and the input is well formed")
    if answered.answer.trace_root == ZERO_BYTES32:
        return wrong(
            "the answer commits to no trace, although its model is in a tier whose answers must"
        )
    if malformed:
        return wrong("the answer commits to a run of an input that is malformed")
    return unchecked("the program is not at hand") if found is None else None


async def _obtain(
    trace_root: bytes,
    model: RegisteredModel,
    found: FoundModel,
    rows: int,
    own: CommittedTrace | None,
    sources: Sources,
) -> tuple[Trace | None, list[Finding]]:
    """The trace of this root, from the first place that has it; this machine comes last."""
    program, root = found.program, model.terms.program_root
    assert program is not None
    findings: list[Finding] = []
    for place in sources.traces:
        try:
            trace = await place.read(trace_root, program, rows)
            if len(trace.rows) != rows:
                raise TraceError(f"it has {len(trace.rows)} rows, the request has {rows}")
            threads = os.cpu_count() or 1
            actual = await asyncio.to_thread(commit, program, root, trace, threads=threads)
        except (TraceError, TraceMismatch) as error:
            findings.append(failed(f"{place.name} gives no trace of this answer: {error.message}"))
            continue
        except OracleError as error:
            findings.append(unchecked(f"{place.name} does not give it: {error.message}"))
            continue
        if actual.trace_root == trace_root:
            size = sum(values.nbytes for row in trace.rows for values in row)
            same = passed(f"the trace from {place.name}, {size:,} bytes, has the signed root")
            return trace, [*_settled(findings), same]
        findings.append(
            failed(
                f"{place.name} gives another trace: its root is 0x{actual.trace_root.hex()[:16]}…, "
                f"0x{trace_root.hex()[:16]}… was signed"
            )
        )
    if own is not None and own.root == trace_root:
        same = passed("this machine's own run has the signed root: the same trace, to the bit")
        return own.trace, [*_settled(findings), same]
    if not findings:
        findings.append(
            unchecked("no trace is at hand, and the operator has announced no endpoint")
        )
    return None, findings


def _settled(findings: list[Finding]) -> list[Finding]:
    """The findings once the trace is had: that a place did not give it leaves nothing open."""
    return [moot(one.text) if one.kind is Kind.UNCHECKED else one for one in findings]


def _ends(
    evidence: Evidence,
    answered: Answered,
    model: RegisteredModel,
    found: FoundModel,
    trace: Trace,
) -> Iterator[Finding]:
    """Whether the trace begins with the request's input and ends with the result."""
    program = found.program
    assert program is not None
    for what, specs, numbers, wanted in (
        ("input", model.schema.inputs, program.inputs, evidence.input),
        ("result", model.schema.outputs, program.outputs, answered.result),
    ):
        if what == "result" and not wanted:
            yield _without_result(program, trace)
        elif _bytes(program, trace, specs, numbers) == wanted:
            yield passed(f"its {what} tensors are the {what}")
        else:
            yield wrong(f"the signed trace is of another {what}")


def _is_malformed(model: RegisteredModel, message: bytes) -> bool:
    try:
        decode_inputs(model.schema, message)
    except TensorError:
        return True
    return False


def _without_result(program: Program, trace: Trace) -> Finding:
    """Whether the trace shows why the result is empty."""
    if len(trace.rows) * row_bytes(program, program.outputs) > MAX_RESULT_BYTES:
        return passed("its outputs do not fit a transaction, so the result is empty")
    return wrong("the outputs of the signed trace fit a transaction, and the result is empty")


def _bytes(
    program: Program, trace: Trace, specs: tuple[TensorSpec, ...], numbers: tuple[int, ...]
) -> bytes | None:
    """The wire bytes of some tensors of all rows; None where rows differ in what they share."""
    parts = []
    for spec, number in zip(specs, numbers, strict=True):
        info = program.tensors[number]
        rows = [np.ascontiguousarray(info.unflatten(row[number])).tobytes() for row in trace.rows]
        if not spec.batched and len(set(rows)) > 1:
            return None
        parts += rows if spec.batched else rows[:1]
    return b"".join(parts)
