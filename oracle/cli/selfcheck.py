"""`oracle selfcheck`: the court's verdict on this machine, before it stakes anything."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from oracle.bootstrap.selfcheck import selfcheck as judge_own
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.cli.output import Output
from oracle.errors import CheatFound

_TRACES = 20


def register(app: typer.Typer) -> None:
    verb(app, "selfcheck")(selfcheck)


async def selfcheck(
    most: Annotated[int, typer.Option("--traces", min=0, help="Latest traces to judge.")] = _TRACES,
    as_json: Json = False,
) -> None:
    """Judge this node's latest traces and trial runs of its programs, as the court would."""
    out = output(as_json)
    await check_machine(out, most)


async def check_machine(out: Output, most: int = _TRACES, *, quiet: bool = False) -> None:
    """Judges, and prints what it found unless `quiet`.

    Raises:
        CheatFound: this machine must not bond.
    """
    with out.progress("judging this machine's own traces"):
        done = await asyncio.to_thread(judge_own, settings(), most, lambda _: None)
    broken = [one for one in done if one.problem]
    if not quiet or broken:
        out.table(
            "Selfcheck",
            ("what", "tier", "elements", "verdict"),
            [
                (one.what, one.tier.name.lower(), one.elements, one.problem or "honest")
                for one in done
            ],
        )
    if broken:
        raise CheatFound(
            "this machine does not keep the court's bounds",
            hint="do not bond with it: compare its onnxruntime, driver and provider with the "
            "execution profile (docs/program.md)",
        )
