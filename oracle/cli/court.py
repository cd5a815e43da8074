"""`oracle court`: the court's verdict, off the chain."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from oracle.cli.command import verb
from oracle.cli.context import Json, output
from oracle.court.check import check_trace
from oracle.court.commitment import commit
from oracle.errors import CheatFound, InputError
from oracle.inference.model_file import read_bounded
from oracle.program.compile import load_program
from oracle.program.encoding import program_root
from oracle.verify.trace_file import read_trace

app = typer.Typer(help="The court, off the chain: judge a whole trace.")


@verb(app, "check")
async def check(
    program: Annotated[Path, typer.Option(help="Program file, as `model compile` writes it.")],
    trace: Annotated[Path, typer.Option(help="Trace file, as an operator serves it.")],
    as_json: Json = False,
) -> None:
    """Judge every element of a trace; the first violated one is named, and the exit code is 11."""
    out = output(as_json)
    loaded = load_program(read_bounded(program))
    data = read_bounded(trace, 1 << 34)
    rows, rest = divmod(len(data), loaded.row_trace_bytes)
    if rest or not rows:
        raise InputError(
            f"{trace} has {len(data):,} bytes, a row of this program {loaded.row_trace_bytes:,}",
            hint="the trace is cut short, or of another program",
        )
    found = read_trace(loaded, data, rows)
    with out.progress("judging"):
        report = await asyncio.to_thread(check_trace, loaded, found)
    root = program_root(loaded)
    out.result(
        {
            "program_root": root,
            "trace_root": commit(loaded, root, found).trace_root,
            "rows": report.rows,
            "elements": report.elements,
            "within_bounds": report.within,
            "undefined": report.undefined,
            "exactly_judged": report.judged,
            "honest": report.honest,
        }
    )
    if report.first is not None:
        raise CheatFound(str(report.first))
