"""How many requests a second one worker answers when as many are asked as fit the blocks.

Everything is counted from the chain's own logs, so an answer that was lost cannot be overlooked;
what bounds the figure is judged from measured block gas and CPU time.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oracle.bench import flood
from oracle.bench.record import Record, gas_of, read_record
from oracle.bench.stage import Stage, settings_note, stage, working
from oracle.bench.usage import Usage, watching
from oracle.bootstrap.devnet import keep_time
from oracle.bootstrap.worker import Worker
from oracle.devnet.anvil import BLOCK_GAS_LIMIT
from oracle.errors import NoAnswer

Say = Callable[[str], None]

BLOCK_SECONDS = 1
_PATIENCE_SECONDS = 120.0
_FULL = 0.9
"""Above this share, a resource is said to bound the figure."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is kept of a run until it is summed up: monotonic moments, the chain, the processes."""

    began: float
    answered_at: float
    settled_at: float
    record: Record
    usage: Usage


async def measure(count: int, say: Say, *, block_gas: int = BLOCK_GAS_LIMIT) -> dict[str, Any]:
    """Asks `count` times at once, waits until all is settled; the figures by name.

    Args:
        block_gas: gas of a block of one second; more than chains have shows the worker's own limit.

    Raises:
        NoAnswer: not everything was answered and settled in time.
    """
    async with stage(block_gas=block_gas) as on:
        say(f"a devnet on {on.devnet.state.url}; signing {count} requests")
        await on.make_room(count, flood.BOND)
        prepared = await flood.prepare(on, count)
        async with working(on) as worker:
            await flood.fill_pool(on, prepared)
            say(f"{count} requests wait in the pool; blocks begin")
            run = await _run(on, worker, count, say)
            facts = await _sum_up(on, run)
        return facts | {"block_gas": block_gas, "settings": settings_note(on)}


async def _run(on: Stage, worker: Worker, count: int, say: Say) -> Run:
    first_block = (await on.devnet.rpc.latest()).number + 1
    processes = {"worker": worker.process.pid, "anvil": on.devnet.state.pid}
    async with watching(processes) as usage:
        began = time.monotonic()
        await keep_time(on.devnet, BLOCK_SECONDS)
        await _until(on, worker, count, "unanswered")
        answered_at = time.monotonic()
        say(f"all answered after {answered_at - began:.1f} s")
        await _until(on, worker, count, "locked")
        settled_at = time.monotonic()
        say(f"all settled after {settled_at - began:.1f} s")
    record = await read_record(on.contracts, first_block)
    return Run(began, answered_at, settled_at, record, usage)


async def _until(on: Stage, worker: Worker, count: int, what: str) -> None:
    """Asks the staking contract until all were accepted and none is open."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while True:
        status = await on.contracts.staking.status(on.operator)
        if status.accepted >= count and getattr(status, what) == 0:
            return
        if time.monotonic() > give_up_at:
            raise NoAnswer(
                f"after {_PATIENCE_SECONDS:g} s, {status.accepted} of {count} are accepted and "
                f"{status.unanswered} of them unanswered",
                hint=f"the worker's log ends: {worker.last_lines()}",
            )
        await asyncio.sleep(0.2)


async def _sum_up(on: Stage, run: Run) -> dict[str, Any]:
    record, usage = run.record, run.usage
    first = min(record.requested.values())
    last = max(record.answered.values())
    seconds = record.seconds_between(first, last)
    by_block = Counter(record.answered.values())
    busy = record.span(first, last)
    gas_share = sum(one.gas_used for one in busy) / sum(one.gas_limit for one in busy)
    wall = run.answered_at - run.began
    worker_cpu = usage.cpu_seconds("worker", run.began, run.answered_at)
    anvil_cpu = usage.cpu_seconds("anvil", run.began, run.answered_at)
    answer_gas = await gas_of(on.contracts, record.answer_transactions)
    settle_gas = await gas_of(on.contracts, record.settle_transactions)
    answered, settled = len(record.answered), len(record.settled)
    waits = [record.answered[key] - record.requested[key] for key in record.answered]
    facts: dict[str, Any] = {
        "requests": len(record.requested),
        "answered": answered,
        "settled": settled,
        "lost": len(record.lost),
        "seconds_first_request_to_last_answer": seconds,
        "answered_per_second": round(answered / max(seconds, BLOCK_SECONDS), 1),
        "answered_per_second_peak": round(max(by_block.values()) / BLOCK_SECONDS, 1),
        "blocks_to_answer_mean": round(sum(waits) / len(waits), 2),
        "blocks_to_answer_max": max(waits),
        "block_gas_used": round(gas_share, 3),
        "answer_transactions": len(record.answer_transactions),
        "settle_transactions": len(record.settle_transactions),
        "gas_per_answer": round(answer_gas / answered),
        "gas_per_settlement": round(settle_gas / max(settled, 1)),
        "worker_cpu_seconds_to_last_answer": round(worker_cpu, 2),
        "worker_cpu_seconds_to_last_settlement": round(
            usage.cpu_seconds("worker", run.began, run.settled_at), 2
        ),
        "worker_cpu_ms_per_answer": round(1000 * worker_cpu / answered, 2),
        "worker_cpu_share_of_a_core": round(worker_cpu / wall, 3),
        "anvil_cpu_share_of_a_core": round(anvil_cpu / wall, 3),
        "worker_rss_mib_max": round(usage.peak_rss_mib("worker"), 1),
        "blocks": [
            {
                "block": one.number - first,
                "gas_used": round(one.gas_used / one.gas_limit, 3),
                "answers": by_block[one.number],
            }
            for one in busy
        ],
    }
    return facts | {"bound_by": _bound(facts)}


def _bound(facts: dict[str, Any]) -> str:
    """What stood in the way of more, by the measured shares."""
    blocks = facts["blocks"]
    full = sum(1 for one in blocks if one["gas_used"] >= _FULL)
    worker, anvil = facts["worker_cpu_share_of_a_core"], facts["anvil_cpu_share_of_a_core"]
    if 2 * full >= len(blocks):
        return f"block gas: {full} of {len(blocks)} blocks were full"
    if worker >= _FULL:
        return f"the worker's CPU: {worker:.0%} of a core"
    if anvil >= _FULL:
        return f"anvil's CPU: {anvil:.0%} of a core"
    return (
        f"nothing alone: blocks {facts['block_gas_used']:.0%} full, "
        f"worker {worker:.0%} and anvil {anvil:.0%} of a core"
    )
