"""`oracle bench`: measure gas, latency and throughput, each on a devnet of its own."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import typer

from oracle.bench import gas as gas_bench
from oracle.bench import latency as latency_bench
from oracle.bench import throughput as throughput_bench
from oracle.bench.machine import machine_note
from oracle.cli.command import verb
from oracle.cli.context import Json, output
from oracle.cli.output import Output
from oracle.devnet.anvil import BLOCK_GAS_LIMIT
from oracle.errors import OracleError

app = typer.Typer(help="Measure gas, latency and throughput, each on a devnet of its own.")

Measure = Callable[[Callable[[str], None]], Awaitable[dict[str, Any]]]


@verb(app, "gas")
async def gas(as_json: Json = False) -> None:
    """What every verb of the contracts costs, against the budgets there are."""
    out = output(as_json)
    facts = await _measured(out, gas_bench.measure)
    if as_json:
        out.result(facts)
        return
    names = ("verb", "gas", "budget", "ok")
    rows = [["–" if row[n] is None else row[n] for n in names] for row in facts["verbs"]]
    out.table("Gas by verb", names, rows)
    _about(out, facts)


@verb(app, "latency")
async def latency(
    count: Annotated[int, typer.Option("--requests", min=1, help="Of each kind.")] = 40,
    as_json: Json = False,
) -> None:
    """How long one request waits for its answer, and where the worker's time goes."""
    out = output(as_json)
    facts = await _measured(out, lambda say: latency_bench.measure(count, say))
    if as_json:
        out.result(facts)
        return
    modes = ("automine", "blocks_of_1_s")
    rows = [
        [mode, unit, *(facts[mode][unit][part] for part in ("min", "p50", "p95", "max"))]
        for mode in modes
        for unit in ("blocks", "seconds")
    ]
    columns = ("mining", "unit", "min", "p50", "p95", "max")
    out.table("From the request's block to the answer's", columns, rows)
    shares = [[mode, *_percent(facts[mode]["worker"]["share"])] for mode in modes]
    steps = tuple(facts[modes[0]]["worker"]["share"])
    out.table("The worker's time", ("mining", *steps), shares)
    _about(out, facts)


@verb(app, "throughput")
async def throughput(
    count: Annotated[int, typer.Option("--requests", min=1, help="Asked at once.")] = 1_000,
    block_gas: Annotated[
        int, typer.Option(help="Of a block of 1 s; more shows the worker's own limit.")
    ] = BLOCK_GAS_LIMIT,
    as_json: Json = False,
) -> None:
    """How many requests a second one worker answers, none lost, and what bounds it."""
    out = output(as_json)
    facts = await _measured(
        out, lambda say: throughput_bench.measure(count, say, block_gas=block_gas)
    )
    if as_json:
        out.result(facts)
    else:
        plain = [[k, v] for k, v in facts.items() if not isinstance(v, dict | list)]
        out.table("Throughput", ("what", "came to"), [[k.replace("_", " "), v] for k, v in plain])
        columns = ("block", "gas_used", "answers")
        rows = [[one[name] for name in columns] for one in facts["blocks"]]
        out.table("Blocks from the first request to the last answer", columns, rows)
        _about(out, facts)
    if facts["lost"]:
        raise OracleError(f"{facts['lost']} requests were lost", hint="this is a bug: report it")


async def _measured(out: Output, measure: Measure) -> dict[str, Any]:
    """Runs a measurement, saying how far it is; its figures, and what they were taken on."""
    began = time.monotonic()
    machine = machine_note()
    with out.progress("measuring"):
        facts = await measure(lambda text: out.say(f"{time.monotonic() - began:5.1f} s  {text}"))
    return facts | {"machine": machine, "took_seconds": round(time.monotonic() - began, 1)}


def _percent(shares: Mapping[str, float]) -> list[str]:
    return [f"{share:.0%}" for share in shares.values()]


def _about(out: Output, facts: Mapping[str, Any]) -> None:
    machine = facts["machine"]
    out.say(
        f"on {machine['cores']} cores of {machine['cpu']}, "
        f"load {machine['load_before'][0]} before; "
        f"anvil {machine['anvil']}, Python {machine['python']}; took {facts['took_seconds']} s"
    )
