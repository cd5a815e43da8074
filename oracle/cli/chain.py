"""`oracle chain`: reads the chain once more, where the job table is in doubt."""

from __future__ import annotations

from typing import Annotated

import typer

from oracle.bootstrap import connection
from oracle.bootstrap.clock import SystemClock
from oracle.chain.reader import Reader
from oracle.cli.command import verb
from oracle.cli.context import Json, operator_address, output, settings
from oracle.core.types import address
from oracle.ports.jobs import DatabaseIdentity
from oracle.service.replay import replay
from oracle.storage.storage import open_storage

app = typer.Typer(help="The chain as the worker reads it: once more.")


@app.callback()
def _verbs() -> None:
    """Keeps the verb's name where it is the only one."""


@verb(app, "replay")
async def replay_blocks(
    first: Annotated[int, typer.Option("--from", min=0, help="First block.")],
    last: Annotated[
        int | None, typer.Option("--to", min=0, help="Last block; the node's cursor by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read a range of blocks into the job table once more, beside a running node or without."""
    configured = settings()
    operator = address(operator_address(configured))
    out = output(as_json)
    async with connection.client(configured) as client:
        deployed = client.deployment
        reader = await Reader.open(
            client.rpc, deployed.oracle, largest_span=configured.range_blocks
        )
        storage = open_storage(configured.database_url, SystemClock())
        try:
            await storage.jobs.bind(
                DatabaseIdentity(deployed.chain_id, deployed.oracle, operator, reader.genesis_hash)
            )
            cursor = await storage.jobs.cursor()
            end = last if last is not None else cursor.number if cursor else first
            requests = events = changed = 0
            pieces = replay(
                reader, storage.jobs, operator, first, end, range_blocks=configured.range_blocks
            )
            async for piece in pieces:
                out.say(f"blocks {piece.first_block} to {piece.last_block}: {piece.events} events")
                requests += piece.requests
                events += piece.events
                changed += piece.changed
        finally:
            await storage.close()
    out.result(
        {
            "from_block": first,
            "to_block": end,
            "events": events,
            "requests_for_us": requests,
            "jobs_changed": changed,
        }
    )
