"""`oracle bench explorer`: how quick the explorer is with many requests."""

from __future__ import annotations

from typing import Annotated

import typer

from oracle.bench import explorer as explorer_bench
from oracle.cli.command import verb
from oracle.cli.context import Json, output
from oracle.cli.measured import about, measured


def register(app: typer.Typer) -> None:
    """Adds the verb to the tree of `oracle bench`."""
    verb(app, "explorer")(explorer)


async def explorer(
    count: Annotated[int, typer.Option("--requests", min=100, help="In the index.")] = 100_000,
    as_json: Json = False,
) -> None:
    """Fill an index of the explorer with made-up requests, and time lists, pages and searches."""
    out = output(as_json)
    facts = await measured(out, lambda say: explorer_bench.measure(count, say))
    if as_json:
        out.result(facts)
        return
    columns = ("what", "median_ms", "worst_ms")
    rows = [[row[name] for name in columns] for row in facts["lookups"]]
    title = f"Explorer with {facts['requests']:,} requests, {facts['entries']:,} events"
    out.table(title, columns, rows)
    out.say(
        f"filled in {facts['fill_seconds']} s ({facts['entries_a_second']:,} events a second), "
        f"{facts['index_mib']} MiB; 10 blocks taken back in {facts['rewind_10_blocks_ms']} ms"
    )
    about(out, facts)
