"""The seven steps in order, each on what those before it have established.

Where the receipt itself does not hold, nothing is run: whatever came out would say nothing of the
operator. Reads no chain and no file itself.
"""

from __future__ import annotations

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


async def verify(evidence: Evidence, facts: Facts, sources: Sources) -> Report:
    """Checks everything that can be. Never raises for what the evidence says."""
    claims = [
        check_request(evidence, facts),
        check_receipt(evidence, facts),
        check_binding(evidence, facts),
    ]
    step, found = await check_model(evidence, facts, sources)
    claims.append(step)
    later = await _computation(claims, evidence, found, sources)
    return Report(evidence.request_id, (*claims, *later, check_settlement(evidence, facts)))


async def _computation(
    claims: list[Step], evidence: Evidence, found: FoundModel | None, sources: Sources
) -> tuple[Step, Step]:
    """Steps 5 and 6."""
    broken = [step.name.value for step in claims if step.broken]
    if broken:
        return _skipped(f"what is claimed does not hold ({', '.join(broken)})")
    if evidence.answered is None:
        return _skipped("the request has no answer")
    model = evidence.model
    if not isinstance(model, RegisteredModel):
        return _skipped("the model is not known")
    try:
        rows = input_batch(model.schema, len(evidence.input))
    except TensorError:
        rows = 1  # an input that fits nothing; the run will say so
    own = await run_again(evidence, found, sources)
    committed = own.inference.trace if own.inference else None
    step, trace = await check_trace(evidence, found, rows, committed, sources)
    return step, await check_run(evidence, found, rows, own, trace, sources)


def _skipped(reason: str) -> tuple[Step, Step]:
    return (
        Step(Name.TRACE, (unchecked(reason),)),
        Step(Name.RUN, (unchecked(reason),)),
    )
