"""`oracle explorer`: every request, model and operator of a deployment, in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from oracle.bootstrap.explorer import ExplorerOptions, open_explorer, serve
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings, start_logging


def register(app: typer.Typer) -> None:
    """Adds the verb to the root of the command line."""
    verb(app, "explorer")(explorer)


async def explorer(
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 0,
    private_endpoints: Annotated[
        bool | None,
        typer.Option(
            "--private-endpoints/--no-private-endpoints",
            help="Whether verifications may ask private addresses; by default, on a local chain.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve the public explorer: every request, model and operator; needs no key."""
    configured = settings()
    start_logging(configured.model_copy(update={"log_format": "json"}) if as_json else configured)
    options = ExplorerOptions(host=host, port=port, private_endpoints=private_endpoints)
    out = output(as_json)
    async with open_explorer(configured, options) as opened:
        out.result({"address": opened.address}, f"The explorer is at {opened.address}")
        await serve(opened)
