"""`oracle up`: a node that is kept running, for people; services are better kept by systemd."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from oracle.bootstrap.devnet import start_devnet
from oracle.bootstrap.up import Keeper, Patience
from oracle.cli.command import verb
from oracle.cli.context import Json, as_arguments, output, settings
from oracle.devnet.anvil import AnvilOptions
from oracle.devnet.state import DevnetState
from oracle.errors import InputError
from oracle.settings import Settings


def register(app: typer.Typer) -> None:
    """Adds the verb to the root of the command line."""
    verb(app, "up")(run)


async def run(
    with_devnet: Annotated[
        bool | None,
        typer.Option(
            "--with-devnet/--without-devnet",
            help="Bring up a local devnet first; by default where settings name no rpc_url.",
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the devnet running that was started here.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Keep a node running, on a local devnet where there is no chain; end with its exit code."""
    configured, out = settings(), output(as_json)

    def say(text: str) -> None:
        with contextlib.suppress(OSError):  # a terminal that was closed ends no node
            out.say(f"up: {text}")

    if with_devnet and configured.rpc_url is not None:
        raise InputError(
            "settings name a chain, and the node would not be on the devnet",
            hint="take rpc_url out, or leave --with-devnet out",
        )
    arguments = as_arguments()
    started: DevnetState | None = None
    if with_devnet if with_devnet is not None else configured.rpc_url is None:
        started, made = await _devnet(configured, say)
        if configured.operator is None and made is not None:
            arguments = ["--config", str(made)]
    try:
        command = [sys.executable, "-m", "oracle", *arguments, "node", "run"]
        kept = await Keeper(command, Patience.of(configured.drain_seconds), say).keep()
    finally:
        if started is not None and not keep:
            started.stop(configured.devnet_dir)
            say("the devnet is ended")
    out.result({"exit_code": kept.exit_code, "starts": kept.starts})
    if kept.exit_code:
        raise typer.Exit(kept.exit_code)


async def _devnet(
    configured: Settings, say: Callable[[str], None]
) -> tuple[DevnetState | None, Path | None]:
    """The devnet, if it was started here, and the settings file of its operator."""
    running = DevnetState.load(configured.devnet_dir)
    if running is not None and running.running:
        say(f"a devnet runs on {running.url}")
        return None, configured.data_dir / "oracle.toml"
    say("starting a devnet: anvil, contracts, models, an operator")
    ready = await start_devnet(configured, AnvilOptions(outlive_parent=True))
    await ready.devnet.rpc.close()
    say(f"the devnet is on {ready.devnet.state.url}")
    return ready.devnet.state, ready.settings_file
