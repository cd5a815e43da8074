"""Step 6: the model run again on this machine, and the signed trace judged element by element.

Says what each is worth: a judgement convinces everybody, a comparison whoever made it. Gets its
machine and its court through `sources`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.core.model import UNCERTIFIED, error_bar
from oracle.core.saved_receipt import RegisteredModel
from oracle.core.schema import TensorSpec
from oracle.core.tensor import decode_inputs, decode_outputs
from oracle.core.types import Tier
from oracle.court.message import MAX_RESULT_BYTES
from oracle.court.screen_result import same
from oracle.errors import OracleError, TensorError, UnusableOutput
from oracle.ports.inference import Inference, Tensors
from oracle.program.instruction import Program, Trace
from oracle.verify.evidence import Evidence
from oracle.verify.model_step import FoundModel
from oracle.verify.report import Finding, Kind, Name, Step, passed, unchecked, wrong
from oracle.verify.sources import Sources

CLOSE: Final = 1e-4
"""Of the largest output: how far float32 runs of one model usually stay apart on two machines."""

_WAD: Final = 10**18


@dataclass(frozen=True, slots=True)
class OwnRun:
    """A run on this machine: what it gave, that it gives no output, or why there was none."""

    inference: Inference | None
    no_output: str | None = None
    not_run: str | None = None


async def run_again(evidence: Evidence, found: FoundModel | None, sources: Sources) -> OwnRun:
    """Runs the model on the request's input, if it can be."""
    model = evidence.model
    assert isinstance(model, RegisteredModel)
    if found is None:
        return OwnRun(None, not_run="the model is not at hand")
    if sources.runner is None:
        return OwnRun(None, not_run="it was not to be run")
    try:
        inputs = decode_inputs(model.schema, evidence.input)
    except TensorError as error:
        return OwnRun(None, no_output=error.message)
    terms = model.terms
    try:
        inference = await sources.runner.run(
            found.file, terms.program_root, model.schema, terms.tier, inputs
        )
    except (UnusableOutput, TensorError) as error:
        return OwnRun(None, no_output=error.message)
    except OracleError as error:
        return OwnRun(None, not_run=f"the model cannot be run here: {error.message}")
    return OwnRun(inference)


async def check_run(
    evidence: Evidence,
    found: FoundModel | None,
    rows: int,
    own: OwnRun,
    trace: Trace | None,
    sources: Sources,
) -> Step:
    """The step. Without the signed trace there is only the comparison."""
    model, answered = evidence.model, evidence.answered
    assert isinstance(model, RegisteredModel)
    assert answered is not None
    findings: list[Finding] = []
    judged = False
    if trace is not None and found is not None and found.program is not None:
        finding = await _judged(found.program, trace, sources)
        judged = finding.kind is Kind.PASSED
        findings.append(finding)
    findings += _compared(model, answered.result, rows, own, judged)
    return Step(Name.RUN, tuple(findings))


async def _judged(program: Program, trace: Trace, sources: Sources) -> Finding:
    if sources.judge is None:
        return unchecked("the trace was not to be judged")
    try:
        report = await asyncio.to_thread(sources.judge, program, trace)
    except TensorError as error:  # its root is the signed one: the operator signed this
        return wrong(f"the signed trace holds what no run can give: {error.message}")
    except OracleError as error:
        return unchecked(f"the trace cannot be judged: {error.message}")
    if report.first is not None:
        return wrong(f"violated: {report.first}")
    silent = f"; {report.undefined:,} on which it says nothing" if report.undefined else ""
    return passed(f"the court's rules find no violated element among {report.elements:,}{silent}")


def _compared(
    model: RegisteredModel, result: bytes, rows: int, own: OwnRun, judged: bool
) -> Iterator[Finding]:
    """What this machine's run says of the result."""
    if own.not_run is not None:
        yield unchecked(own.not_run)
        return
    if own.no_output is not None:
        if not result:
            yield passed(f"this machine agrees that there is no output: {own.no_output}")
        else:
            yield wrong(f"this machine gets no output for this input: {own.no_output}")
        return
    assert own.inference is not None
    mine = own.inference.outputs
    if not result:
        if sum(array.nbytes for array in mine.values()) > MAX_RESULT_BYTES:
            yield passed("this machine's outputs do not fit a transaction, either")
        else:
            yield wrong("the answer says that there is no output, this machine gets one")
        return
    try:
        answer = decode_outputs(model.schema, result, rows)
    except TensorError as error:
        yield wrong(f"the result does not fit the model's schema: {error.message}")
        return
    if all(
        answer[spec.name].tobytes() == np.ascontiguousarray(mine[spec.name]).tobytes()
        for spec in model.schema.outputs
    ):
        yield passed("run again on this machine: every output is the same, to the bit")
        return
    hollow = [
        spec.name
        for spec in model.schema.outputs
        if spec.element.is_float and _is_hollow(answer[spec.name], mine[spec.name])
    ]
    if hollow:
        yield wrong(f"{', '.join(hollow)}: NaN or infinity, otherwise than on this machine")
    elif model.terms.tier is Tier.UNPROVEN:
        yield from _close(model, answer, mine)
    else:
        yield from _within(model, answer, mine, judged)


def _is_hollow(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether they differ where one of them is no finite number."""
    differing = ~same(one, other)
    return not np.isfinite((one[differing], other[differing])).all()


def _within(
    model: RegisteredModel, answer: Tensors, mine: Tensors, judged: bool
) -> Iterator[Finding]:
    """A provable answer that is not the same: is it within the error bar?"""
    epsilon, tier = model.terms.epsilon, model.terms.tier
    after = "; yet the court's rules find nothing, so the bar is too small" if judged else ""
    for spec in model.schema.outputs:
        one, other = answer[spec.name], mine[spec.name]
        if same(one, other).all():
            yield passed(f"{spec.name}: the same as on this machine")
        elif tier is Tier.EXACT:
            yield wrong(f"{spec.name}: {_where(spec, one, other)}, and the exact tier allows none")
        elif not spec.element.is_float:
            yield unchecked(
                f"{spec.name}: {_where(spec, one, other)}; no error bar covers whole numbers, "
                "which may turn on a rounding"
            )
        elif epsilon == UNCERTIFIED:
            yield unchecked(f"{spec.name}: {_where(spec, one, other)}, and no bar is certified")
        elif _distance(one, other) * _WAD <= epsilon:
            yield passed(
                f"{spec.name}: {_where(spec, one, other)}, within the error bar of "
                f"{error_bar(epsilon)}"
            )
        else:
            yield wrong(
                f"{spec.name}: {_where(spec, one, other)}, beyond the error bar of "
                f"{error_bar(epsilon)}{after}"
            )


def _close(model: RegisteredModel, answer: Tensors, mine: Tensors) -> Iterator[Finding]:
    """An unproven answer that is not the same: is it near enough to be another machine's?"""
    worth = "this convinces you and nobody else: nothing was signed that could be judged"
    for spec in model.schema.outputs:
        one, other = answer[spec.name], mine[spec.name]
        if same(one, other).all():
            yield passed(f"{spec.name}: the same as on this machine")
        elif spec.element.is_float and _near(one, other):
            yield passed(
                f"{spec.name}: close, not equal: {_where(spec, one, other)}; machines round "
                "differently, and a small cheat would look like that"
            )
        else:
            yield wrong(f"{spec.name}: {_where(spec, one, other)}; {worth}")


def _near(one: NDArray[Any], other: NDArray[Any]) -> bool:
    finite = np.abs(other[np.isfinite(other)])
    scale = max(1.0, float(np.max(finite, initial=0.0)))
    return bool(_distance(one, other) <= Fraction(CLOSE * scale))


def _distance(one: NDArray[Any], other: NDArray[Any]) -> Fraction:
    """The largest difference of two arrays that differ in finite numbers only, exactly."""
    place = _furthest(one, other)
    return abs(Fraction(one[place].item()) - Fraction(other[place].item()))


def _furthest(one: NDArray[Any], other: NDArray[Any]) -> tuple[int, ...]:
    differing = ~same(one, other)
    with np.errstate(invalid="ignore"):  # equal infinities, which do not count
        gap = np.abs(one.astype(np.float64) - other.astype(np.float64))
    gap = np.where(differing, gap, 0.0)
    if not gap.any():  # whole numbers that float64 cannot tell apart
        gap = differing
    return tuple(int(axis) for axis in np.unravel_index(int(np.argmax(gap)), one.shape))


def _where(spec: TensorSpec, one: NDArray[Any], other: NDArray[Any]) -> str:
    place = _furthest(one, other)
    return f"{one[place]} at {list(place)} where this machine has {other[place]}"
