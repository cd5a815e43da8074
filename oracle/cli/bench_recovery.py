"""`oracle bench recovery`: how soon a node is back after failures, and what it costs when idle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from oracle.bench import recovery as recovery_bench
from oracle.bench.recovery_idle import told
from oracle.cli.command import verb
from oracle.cli.context import Json, output
from oracle.cli.measured import about, measured
from oracle.cli.output import Output

_FAILURES: Final = {
    "failure": "failure",
    "timed from": "timed_from",
    "recovery s": "recovery_seconds",
    "requests": "requests",
    "lost (goal 0)": "lost",
    "signed twice (goal 0)": "duplicates",
    "reverted": "reverted",
    "RPC calls": "rpc_calls",
}
_CATCH_UP: Final = (
    "blocks", "requests_expired", "requests_live", "ready_seconds", "read_seconds",
    "decided_seconds", "answered_seconds", "rpc_calls", "lost", "reverted",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Adds the verb to the tree of `oracle bench`."""
    verb(app, "recovery")(recovery)


async def recovery(
    only: Annotated[
        list[str] | None,
        typer.Option(help="failures, idle, catch-up, or one failure; may be repeated."),
    ] = None,
    idle_seconds: Annotated[
        float, typer.Option(min=1, help="How long each idle node is counted.")
    ] = 60.0,
    blocks: Annotated[
        int, typer.Option(min=1, help="How far behind a node starts that catches up.")
    ] = 10_000,
    requests: Annotated[int, typer.Option(min=1, help="Requests in those blocks.")] = 500,
    rig: Annotated[str, typer.Option(help="Module of the rig.")] = recovery_bench.RIG,
    as_json: Json = False,
) -> None:
    """Time from a failure's end to the next answer; calls of an idle node; catching up."""
    out = output(as_json)
    facts = await measured(
        out,
        lambda say: recovery_bench.measure(
            only or (), rig, say, idle_seconds=idle_seconds, blocks=blocks, requests=requests
        ),
    )
    if as_json:
        out.result(facts)
    else:
        _show(out, facts)
        about(out, facts)
    recovery_bench.require_nothing_lost(facts)


def _show(out: Output, facts: Mapping[str, Any]) -> None:
    if "failures" in facts:
        rows = [
            ["–" if row[name] is None else row[name] for name in _FAILURES.values()]
            for row in facts["failures"]
        ]
        out.table("From a failure to the next answer mined", tuple(_FAILURES), rows)
    if "idle" in facts:
        goal = f"calls a minute (goal < {facts['goals']['idle_calls_per_minute']})"
        rows = [
            [row["blocks"], row["calls_per_minute"], row["met"], told(row["by_method"])]
            for row in facts["idle"]
        ]
        out.table("Calls of a node that idles", ("blocks", goal, "met", "by method"), rows)
    if "catch_up" in facts:
        found = facts["catch_up"]
        rows = [[name.replace("_", " "), found[name]] for name in _CATCH_UP]
        rows += [[f"memory MiB, {name}", mib] for name, mib in found["memory_mib"].items()]
        out.table("Catching up", ("what", "came to"), rows)
