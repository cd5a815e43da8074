"""`oracle bench`: measure gas, latency and throughput on devnets of their own, and hashing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from oracle.bench import gas as gas_bench
from oracle.bench import hashing as hashing_bench
from oracle.bench import honest as honest_bench
from oracle.bench import latency as latency_bench
from oracle.bench import models as model_bench
from oracle.bench import overhead as overhead_bench
from oracle.bench import throughput as throughput_bench
from oracle.cli import bench_chaos, bench_dispute, bench_explorer, bench_recovery
from oracle.cli.command import verb
from oracle.cli.context import Json, output
from oracle.cli.measured import about, measured
from oracle.devnet.anvil import BLOCK_GAS_LIMIT
from oracle.devnet.samples import samples
from oracle.errors import CheatFound, InputError, OracleError
from oracle.inference.model_file import read_bounded
from oracle.inference.provider import ProviderSetting, select_provider

app = typer.Typer(help="Measure gas, latency, throughput, hashing, and what accountability costs.")
bench_dispute.register(app)
bench_chaos.register(app)
bench_recovery.register(app)
bench_explorer.register(app)

_OVERHEAD: Final = {
    "model": "model",
    "tier": "tier",
    "plain": "plain_us",
    "program": "program_us",
    "traced": "traced_us",
    "committed": "committed_us",
    "ratio": "committed_ratio",
    "check": "check_us",
    "ratio ": "check_ratio",
    "of one": "check_alone_us",
    "trace B": "trace_bytes",
    "leaf B": "leaf_bytes",
    "hash GB/s": "hashing_gb_per_s",
    "differs": "largest_difference",
}
"""Columns of the table by their short names; a ratio is to the plain run, of what stands before."""


@verb(app, "gas")
async def gas(as_json: Json = False) -> None:
    """What every verb of the contracts costs, against the budgets there are."""
    out = output(as_json)
    facts = await measured(out, gas_bench.measure)
    if as_json:
        out.result(facts)
        return
    names = ("verb", "gas", "budget", "ok")
    rows = [["–" if row[n] is None else row[n] for n in names] for row in facts["verbs"]]
    out.table("Gas by verb", names, rows)
    about(out, facts)


@verb(app, "latency")
async def latency(
    count: Annotated[int, typer.Option("--requests", min=1, help="Of each kind.")] = 40,
    as_json: Json = False,
) -> None:
    """How long one request waits for its answer, and where the worker's time goes."""
    out = output(as_json)
    facts = await measured(out, lambda say: latency_bench.measure(count, say))
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
    about(out, facts)


@verb(app, "overhead")
async def overhead(
    model: Annotated[
        list[Path] | None, typer.Argument(help="ONNX files; the samples by default.")
    ] = None,
    provider: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    as_json: Json = False,
) -> None:
    """What being accountable costs a run: plain, as a program, with its trace, and judged."""
    out = output(as_json)
    facts = await measured(
        out,
        lambda say: asyncio.to_thread(
            overhead_bench.measure, _subjects(model), select_provider(_provider(provider)), say
        ),
    )
    if as_json:
        out.result(facts)
        return
    rows = [[one[name] for name in _OVERHEAD.values()] for one in facts["models"]]
    out.table("Overhead, microseconds a row", tuple(_OVERHEAD), rows)
    about(out, facts)


@verb(app, "models")
async def models(as_json: Json = False) -> None:
    """The sample models as programs: accuracy, tier, error bar, trace, distance from the source."""
    out = output(as_json)
    facts = await measured(out, lambda say: asyncio.to_thread(model_bench.measure, say))
    if as_json:
        out.result(facts)
        return
    rows = [one | {"trace_bytes": f"{one['trace_bytes']:,}"} for one in facts["models"]]
    out.table("Models", tuple(rows[0]), [list(one.values()) for one in rows])
    about(out, facts)


@verb(app, "honest")
async def honest(
    elements: Annotated[int, typer.Option(min=1, help="Elements to judge.")] = 100_000_000,
    provider: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Judge the elements of honest runs of every sample model; not one may be convicted."""
    out = output(as_json)
    sources = {one.name: one.file.read_bytes() for one in samples()}
    chosen = select_provider(_provider(provider))
    facts = await measured(
        out, lambda say: asyncio.to_thread(honest_bench.measure, sources, chosen, elements, say)
    )
    if as_json:
        out.result(facts)
    else:
        names = tuple(facts["models"][0])
        out.table("Honest runs", names, [[one[name] for name in names] for one in facts["models"]])
        out.say(f"{facts['elements']:,} elements judged, {facts['convicted']} convicted")
        about(out, facts)
    if facts["convicted"]:
        raise CheatFound(facts["violations"][0], hint="this is a bug: report it")


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
    facts = await measured(
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
        about(out, facts)
    if facts["lost"]:
        raise OracleError(f"{facts['lost']} requests were lost", hint="this is a bug: report it")


@verb(app, "hashing")
async def hashing(
    megabytes: Annotated[int, typer.Option(min=1, max=4_096, help="Of the trace hashed.")] = 256,
    as_json: Json = False,
) -> None:
    """How fast a trace is committed, and what opening leaves costs, by leaf size."""
    out = output(as_json)
    facts = await measured(
        out, lambda say: asyncio.to_thread(hashing_bench.measure, megabytes, say)
    )
    if as_json:
        out.result(facts)
        return
    sizes = facts["leaf_sizes"]
    columns = ("", *(f"{one['leaf_bytes']} B" for one in sizes))
    speeds = [
        ["GB/s, one core", *(one["gb_per_s"] for one in sizes)],
        [f"GB/s, {facts['cores_used']} cores", *(one["gb_per_s_all_cores"] for one in sizes)],
    ]
    out.table("Committing a trace, tree included", columns, speeds)
    rows = [[name, *(one["gas"][name] for one in sizes)] for name in sizes[0]["gas"]]
    out.table("Least gas to open what one element reads", columns, rows)
    about(out, facts)


def _subjects(files: list[Path] | None) -> list[overhead_bench.Subject]:
    """The files, or all samples, with a row of input each."""
    if files:
        return [overhead_bench.made_up(file.stem, read_bounded(file)) for file in files]
    return [overhead_bench.made_up(one.name, one.file.read_bytes()) for one in samples()]


def _provider(name: str) -> ProviderSetting:
    if name not in ("cpu", "cuda"):
        raise InputError(f"{name!r} is not a provider", hint="use cpu or cuda")
    return "cpu" if name == "cpu" else "cuda"


def _percent(shares: Mapping[str, float]) -> list[str]:
    return [f"{share:.0%}" for share in shares.values()]
