"""`oracle watch`: look into every answer, and convict what is wrong. Anybody can run it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oracle.bootstrap import connection
from oracle.bootstrap.watcher import run_watcher
from oracle.chain.keystore import LocalSigner
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings, start_logging
from oracle.core.types import opg
from oracle.errors import CheatFound
from oracle.settings import Settings
from oracle.watcher.policy import WatcherPolicy

_WEI_PER_GWEI = 10**9


def register(app: typer.Typer) -> None:
    """Adds the verb to the root of the command line."""
    verb(app, "watch")(watch)


async def watch(
    keystore: Annotated[
        Path | None,
        typer.Option(help="Pays gas and deposits, gets the rewards; watcher_keystore by default."),
    ] = None,
    from_block: Annotated[
        int | None, typer.Option(help="First block to look at; the deployment's by default.")
    ] = None,
    min_reward: Annotated[str, typer.Option(help="OPG below which nothing is proven.")] = "0",
    max_gas_price: Annotated[
        float | None, typer.Option(help="Gwei per gas; max_fee_gwei by default.")
    ] = None,
    max_deposit: Annotated[
        str, typer.Option(help="OPG that the demands on one answer may cost.")
    ] = "200",
    no_announce: Annotated[
        bool, typer.Option("--no-announce", help="Prove at once; the share may be taken by a copy.")
    ] = False,
    no_demand: Annotated[
        bool, typer.Option("--no-demand", help="Demand nothing that is withheld.")
    ] = False,
    demand_all: Annotated[
        bool,
        typer.Option("--demand-all", help="Demand withheld traces of right answers, too."),
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="End when every answer up to the head is decided.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Follow all answers, judge their traces, and take what is wrong to the court."""
    # Ends with a report on Ctrl-C or SIGTERM; a watcher that was killed goes on where it was. With
    # --once its exit code says whether a wrong answer became final since it was started.
    configured = settings()
    start_logging(configured.model_copy(update={"log_format": "json"}) if as_json else configured)
    gwei = configured.max_fee_gwei if max_gas_price is None else max_gas_price
    start = connection.deployment(configured).deployed_block if from_block is None else from_block
    policy = WatcherPolicy(
        start_block=start,
        range_blocks=configured.range_blocks,
        announce=not no_announce,
        min_reward=opg(min_reward),
        wei_per_opg=configured.wei_per_opg,
        max_gas_price_wei=int(gwei * _WEI_PER_GWEI),
        demand=not no_demand,
        demand_all=demand_all,
        max_deposit=opg(max_deposit),
    )
    report = await run_watcher(configured, _key(configured, keystore), policy, once=once)
    output(as_json).result(report.facts() if as_json else report.told())
    if once and report.missed:
        raise typer.Exit(CheatFound.exit_code)


def _key(configured: Settings, keystore: Path | None) -> LocalSigner:
    file = keystore or configured.watcher_keystore
    if file is None:
        raise configured.lacking(
            "settings name no watcher key, and it must be nobody else's",
            hint="`oracle keystore new keys/watcher.json` makes one: send it coin, and set "
            "watcher_keystore to it, or give it as --keystore",
        )
    return connection.open_key(configured, file)
