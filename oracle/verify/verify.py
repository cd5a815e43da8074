"""The seven steps in order, each on what those before it have established.

Where the receipt itself does not hold, nothing is run: whatever came out would say nothing of the
operator. Reads no chain and no file itself.
"""

from __future__ import annotations

from collections.abc import Callable

from oracle.core.saved_receipt import RegisteredModel
from oracle.core.tensor import input_batch
from oracle.errors import TensorError
from oracle.verify.claim_steps import (
    Facts,
    check_binding,
    check_receipt,
    check_request,
    check_settlement,
)
from oracle.verify.evidence import Evidence
from oracle.verify.model_step import FoundModel, check_model
from oracle.verify.report import Name, Report, Step, unchecked
from oracle.verify.run_step import check_run, run_again
from oracle.verify.sources import Sources
from oracle.verify.trace_step import check_trace

Told = Callable[[Step], None]


def _nobody(_step: Step) -> None:
    """Whoever wants the report only."""


async def verify(
    evidence: Evidence, facts: Facts, sources: Sources, told: Told = _nobody
) -> Report:
    """Checks everything that can be. Never raises for what the evidence says.

    Args:
        told: is told of each step as soon as it is over.
    """
    claims: list[Step] = []
    for check in (check_request, check_receipt, check_binding):
        claims.append(check(evidence, facts))
        told(claims[-1])
    step, found = await check_model(evidence, facts, sources)
    claims.append(step)
    told(step)
    later = await _computation(claims, evidence, found, sources, told)
    settlement = check_settlement(evidence, facts)
    told(settlement)
    return Report(evidence.request_id, (*claims, *later, settlement))


async def _computation(
    claims: list[Step],
    evidence: Evidence,
    found: FoundModel | None,
    sources: Sources,
    told: Told,
) -> tuple[Step, Step]:
    """Steps 5 and 6."""
    broken = [step.name.value for step in claims if step.broken]
    if broken:
        return _skipped(f"what is claimed does not hold ({', '.join(broken)})", told)
    if evidence.answered is None:
        return _skipped("the request has no answer", told)
    model = evidence.model
    if not isinstance(model, RegisteredModel):
        return _skipped("the model is not known", told)
    try:
        rows = input_batch(model.schema, len(evidence.input))
    except TensorError:
        rows = 1  # an input that fits nothing; the run will say so
    own = await run_again(evidence, found, sources)
    committed = own.inference.trace if own.inference else None
    step, trace = await check_trace(evidence, found, rows, committed, sources)
    told(step)
    run = await check_run(evidence, found, rows, own, trace, sources)
    told(run)
    return step, run


def _skipped(reason: str, told: Told) -> tuple[Step, Step]:
    trace, run = (Step(name, (unchecked(reason),)) for name in (Name.TRACE, Name.RUN))
    told(trace)
    told(run)
    return trace, run
