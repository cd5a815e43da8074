"""`oracle bench chaos`: half an hour of everything at once, and whether all still holds."""

from __future__ import annotations

from typing import Annotated

import typer

from oracle.bench import chaos as chaos_bench
from oracle.cli.command import verb
from oracle.cli.context import Json, output
from oracle.cli.measured import about, measured


def register(app: typer.Typer) -> None:
    """Adds the verb to the tree of `oracle bench`."""
    verb(app, "chaos")(chaos)


async def chaos(
    minutes: Annotated[float, typer.Option(min=0.1, help="How long failures happen.")] = 30.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same plan.")] = 1,
    rig: Annotated[str, typer.Option(help="Module of the rig.")] = chaos_bench.RIG,
    as_json: Json = False,
) -> None:
    """Ask throughout while blocks, endpoint, fees and node fail; check V1 to V7 at the end."""
    out = output(as_json)
    facts = await measured(out, lambda say: chaos_bench.measure(minutes, seed, rig, say))
    out.result(facts)
    if not as_json:
        about(out, facts)
    if facts["broken"]:
        raise typer.Exit(1)
