"""`oracle job`: what the worker's job table holds, why, and once more for what was given up.

Reads the table whether or not a node runs; a running node takes up what is put back within seconds.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import typer

from oracle.bootstrap.clock import SystemClock
from oracle.chain.revert_words import moment
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.cli.request_id import found_job
from oracle.cli.spoken import NONE, spoken
from oracle.cli.transaction import facts_of
from oracle.core.economics import Estimate, outcome
from oracle.core.explanation import explain, reason_of
from oracle.core.job import Job, JobState
from oracle.core.types import ZERO_ADDRESS, format_opg
from oracle.service.retry import retry as tried_again
from oracle.storage.lookup import Lookup
from oracle.storage.storage import Storage, open_storage

app = typer.Typer(help="The worker's jobs: what it holds, why, and once more.")

Id = Annotated[str, typer.Argument(help="Request id, or as much of its start as is unique.")]


@verb(app, "list")
async def list_jobs(
    state: Annotated[
        list[JobState] | None, typer.Option(help="Only jobs in this state; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most jobs listed.")] = 20,
    as_json: Json = False,
) -> None:
    """List the latest jobs, newest first."""
    async with _opened() as (storage, lookup):
        jobs = await lookup.jobs(state or (), limit)
        counts = await storage.jobs.count_by_state()
        sent = await lookup.open_for([job.request_id for job in jobs])
    reasons = {job.request_id: reason_of(job, sent.get(job.request_id, ())) for job in jobs}
    columns = ("request", "state", "fee_opg", "deadline", "final_at", "attempts", "reason")
    rows = [
        (
            job.request_id if as_json else f"0x{job.request_id.hex()[:16]}…",
            job.state.value,
            format_opg(job.request.fee),
            job.request.deadline if as_json else moment(job.request.deadline),
            _final_at(job, as_json=as_json),
            job.attempts,
            reasons[job.request_id] if as_json else reasons[job.request_id] or NONE,
        )
        for job in jobs
    ]
    told = {one.value: count for one, count in counts.items() if count}
    output(as_json).table(
        "Jobs",
        columns,
        rows,
        all=told if as_json else ", ".join(f"{n} {name}" for name, n in told.items()) or NONE,
    )


@verb(app, "show")
async def show(request: Id, as_json: Json = False) -> None:
    """Show everything the worker keeps of a job, with its transactions and its sum of money."""
    async with _opened() as (storage, lookup):
        job = await found_job(lookup, request)
        transactions = await storage.transactions.transactions_for(job.request_id)
    money: dict[str, Any] = {"came_to": _in_opg(outcome(job, transactions).as_facts(), "earned")}
    if job.economics is not None:
        expected = Estimate.from_json(job.economics).as_facts()
        money = {"expected": _in_opg(expected, "fee")} | money
    sent = {"transactions": [facts_of(one) for one in transactions]}
    output(as_json).result(spoken(_facts(job) | money | sent, as_json=as_json))


@verb(app, "explain")
async def explain_job(request: Id, as_json: Json = False) -> None:
    """Say in words why a job stands where it does, what comes next, and what can be done."""
    async with _opened() as (storage, lookup):
        job = await found_job(lookup, request)
        transactions = await storage.transactions.transactions_for(job.request_id)
    told = explain(job, transactions, time.time())
    facts = {"request": job.request_id, "stands": told.stands, "next": told.next}
    if told.at_stake:
        facts["at_stake"] = told.at_stake
    if told.can_do:
        facts["you_can"] = told.can_do
    output(as_json).result(facts)


@verb(app, "retry")
async def retry(request: Id, as_json: Json = False) -> None:
    """Have a job's present step tried at once; take up again what failed or was declined."""
    async with _opened() as (storage, lookup):
        job = await found_job(lookup, request)
        moved = await tried_again(storage.jobs, job, time.time())
    output(as_json).result(
        {"request": moved.request_id, "was": job.state.value, "state": moved.state.value}
    )


@asynccontextmanager
async def _opened() -> AsyncIterator[tuple[Storage, Lookup]]:
    storage = open_storage(settings().database_url, SystemClock())
    try:
        yield storage, Lookup(storage.database)
    finally:
        await storage.close()


def _final_at(job: Job, *, as_json: bool) -> int | str | None:
    """When its answer is beyond dispute; nothing before there is one."""
    if as_json:
        return job.settle_at
    return NONE if job.settle_at is None else moment(job.settle_at)


def _in_opg(facts: dict[str, Any], name: str) -> dict[str, Any]:
    """A sum's facts, with the amount of base units by this name as decimal OPG in front."""
    return {f"{name}_opg": format_opg(facts.pop(name)), **facts}


def _facts(job: Job) -> dict[str, Any]:
    terms = job.request
    facts: dict[str, Any] = {
        "request": job.request_id,
        "state": job.state.value,
        "reason": job.reason,
        "model": terms.model_id,
        "requester": terms.requester,
        "consumer": None if terms.consumer == ZERO_ADDRESS else terms.consumer,
        "fee_opg": format_opg(terms.fee),
        "bond_opg": format_opg(terms.bond),
        "deadline": moment(terms.deadline),
        "window_seconds": terms.window,
        "accepted": job.accepted,
        "block": job.block_number,
        "input_bytes": len(job.input),
        "attempts": job.attempts,
        "seen": moment(int(job.seen_at)),
        "updated": moment(int(job.updated_at)),
    }
    if job.signature is not None and job.answer is not None:
        facts |= {
            "result_bytes": len(job.result or b""),
            "trace_root": job.answer.trace_root,
            "signature": job.signature,
            "inference_seconds": job.inference_seconds,
        }
    if job.settle_at is not None:
        facts["final"] = moment(job.settle_at)
    if job.state is JobState.SETTLED:
        facts["earned_opg"] = format_opg(job.fee_earned)
    return facts
