"""`oracle demo`: the whole job once, from nothing to a table that adds up."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from oracle.bootstrap.devnet import keep_time, start_devnet
from oracle.bootstrap.worker import Worker
from oracle.chain.deployment import DeploymentParameters
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.demo import second_act
from oracle.demo.scenario import play, prepare, until
from oracle.demo.tally import tally
from oracle.devnet.anvil import AnvilOptions
from oracle.devnet.state import DevnetState
from oracle.errors import ConfigurationError, OracleError

_PARAMETERS = replace(DeploymentParameters.devnet(), default_window=10)
"""Time enough for a watcher to announce and prove."""


def register(app: typer.Typer) -> None:
    """Adds the verb to the root of the command line."""
    verb(app, "demo")(run)


async def run(
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running, to play with.")] = False,
    cheat: Annotated[
        str | None,
        typer.Option(help="Module of a dishonest operator, for a second act: see scripts/demo."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Start a chain, an operator and its worker; have contracts and scripts ask; show the books."""
    out = output(as_json)
    began = time.monotonic()

    def say(text: str) -> None:
        out.say(f"{time.monotonic() - began:5.1f} s  {text}")

    configured = settings()
    if not keep:
        configured = configured.model_copy(update={"data_dir": configured.data_dir / "demo"})
        _clear(configured.data_dir)
    state = DevnetState.load(configured.devnet_dir)
    if state is not None and state.running:
        raise ConfigurationError(
            f"a devnet already runs in {configured.data_dir}", hint="`oracle devnet down` ends it"
        )
    with out.progress("starting anvil, deploying contracts, registering models"):
        ready = await start_devnet(
            configured, AnvilOptions(outlive_parent=keep), _PARAMETERS, block_seconds=0
        )
    devnet = ready.devnet
    worker: Worker | None = None
    try:
        starting = asyncio.create_task(Worker.start(ready.settings_file, configured.data_dir))
        cast = await prepare(ready)
        await keep_time(devnet, 1)
        say(f"anvil on {devnet.state.url}: contracts, models and two operators are in place")
        worker = await starting
        say(f"worker: a process of its own ({worker.process.pid}), log in {worker.log_file}")
        story = await play(cast, say)
        if cheat is not None:
            stage = await second_act.set_stage(cast, configured, cheat, say)
            try:
                story["second_act"] = await second_act.play(cast, stage, say)
            finally:
                await stage.pursuit.clear()

        async def settled() -> bool:
            return (await tally(devnet.contracts)).open == 0

        await until(settled)
        books = await tally(devnet.contracts)
        if not keep:
            code = await worker.stop()
            say(f"worker: drained on SIGTERM, exit code {code}")
            if code != 0:
                raise OracleError(f"the worker ended with {code}: {worker.last_lines()}")
    except BaseException:
        keep = False
        raise
    finally:
        await devnet.rpc.close()
        if not keep:
            if worker is not None:
                await worker.stop()
            devnet.state.stop(configured.devnet_dir)
    facts = books.as_facts()
    if as_json:
        out.result(facts | {"story": story, "seconds": round(time.monotonic() - began, 1)})
    else:
        if cheat is not None:
            rows = [list(row.values()) for row in story["second_act"]["who"]]
            out.table("The second act", ["who", "OPG before", "after", "change"], rows)
        out.table("The books", ["what", "came to"], [[k, v] for k, v in facts.items()])
        if keep:
            _how_to_play(configured.data_dir, out.say)
        else:
            out.say(
                "next: ./scripts/demo --keep leaves it running to play with; "
                "README.md, Your first ten minutes"
            )
    if not books.adds_up:
        raise OracleError("the books do not add up", hint="this is a bug: please report it")


def _clear(data_dir: Path) -> None:
    """Ends and removes what an earlier demo left behind."""
    state = DevnetState.load(data_dir / "devnet")
    if state is not None:
        state.stop(data_dir / "devnet")
    shutil.rmtree(data_dir, ignore_errors=True)


def _how_to_play(data_dir: Path, say: object) -> None:
    lines = (
        "The chain and the worker go on. From this folder:",
        "  .venv/bin/oracle node status",
        "  .venv/bin/oracle model list",
        "  .venv/bin/oracle request digits-mlp --input models/examples/seven.json --wait "
        "--save receipt.json",
        "  .venv/bin/oracle show receipt.json",
        "  .venv/bin/oracle verify receipt.json",
        "and to end it: .venv/bin/oracle node stop && .venv/bin/oracle devnet down",
    )
    for line in lines:
        say(line)  # type: ignore[operator]
