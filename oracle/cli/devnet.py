"""`oracle devnet`: a local chain with everything on it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from oracle.bootstrap import connection
from oracle.bootstrap.devnet import start_devnet
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings, typed
from oracle.core.types import address, format_opg, format_wad, opg
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.anvil import AnvilOptions
from oracle.devnet.funding import give, require_local
from oracle.devnet.state import DevnetState
from oracle.errors import InputError, NotFound

app = typer.Typer(help="A local chain with contracts, models, an operator and money on it.")


@verb(app, "up")
async def up(
    port: Annotated[int, typer.Option(help="0: one that the system chooses.")] = 0,
    block_seconds: Annotated[
        int, typer.Option(help="Time between blocks; 0: a block per transaction.", min=0)
    ] = 1,
    as_json: Json = False,
) -> None:
    """Start a devnet, or complete the one that runs here."""
    out = output(as_json)
    configured = settings()
    options = AnvilOptions(port=port, outlive_parent=True)
    with out.progress("starting anvil, deploying contracts, registering models"):
        ready = await start_devnet(configured, options, block_seconds=block_seconds)
    await ready.devnet.rpc.close()
    deployment = ready.devnet.contracts.deployment
    facts: dict[str, Any] = {
        "rpc_url": ready.devnet.state.url,
        "chain_id": deployment.chain_id,
        "oracle": deployment.oracle,
        "staking": deployment.staking,
        "registry": deployment.registry,
        "token": deployment.token,
        "operator": ready.operator,
        "requester": signer_of(Person.REQUESTER).address,
        "settings_file": str(ready.settings_file),
        "models": dict(ready.models),
    }
    out.result(facts)
    serve, ask = (
        typed(ready.settings_file, *words)
        for words in (("node", "run"), ("request", "digits-mlp", "--input", "FILE", "--wait"))
    )
    out.say(f"next, in another terminal: {serve}")
    out.say(f"then, to ask: {ask}")


@verb(app, "down")
def down(as_json: Json = False) -> None:
    """End the devnet. Its chain is gone then; the data directory stays."""
    configured = settings()
    state = DevnetState.load(configured.devnet_dir)
    if state is None:
        raise NotFound("no devnet was started here", hint="see --data-dir")
    was_running = state.stop(configured.devnet_dir)
    output(as_json).result({"stopped": was_running, "rpc_url": state.url})


@verb(app, "status")
async def status(as_json: Json = False) -> None:
    """Say whether a devnet runs, and what is on it."""
    configured = settings()
    state = DevnetState.load(configured.devnet_dir)
    if state is None or not state.running:
        raise NotFound("no devnet runs here", hint="start one: `oracle devnet up`")
    async with connection.client(configured) as opened:
        head = await opened.rpc.latest()
        locked = await opened.token.balance_of(opened.staking.address)
        escrowed = await opened.token.balance_of(opened.oracle.address)
        output(as_json).result(
            {
                "rpc_url": state.url,
                "process": state.pid,
                "block": head.number,
                "opg_in_oracle": format_opg(escrowed),
                "opg_in_staking": format_opg(locked),
                "log": state.log_file,
            }
        )


@verb(app, "fund")
async def fund(
    account: Annotated[str, typer.Argument(help="Address to give to.")],
    coin: Annotated[str, typer.Option(metavar="ETH", help="Of the chain's coin, for gas.")] = "1",
    tokens: Annotated[
        str, typer.Option("--opg", metavar="OPG", help="For fees, stake, demands.")
    ] = "1000",
    as_json: Json = False,
) -> None:
    """Give an account coin and OPG, on a local devnet only; say what it holds then."""
    receiver, base_units = address(account), opg(tokens)
    try:
        wei = opg(coin)  # of 18 decimals, too
    except InputError as error:
        raise InputError(
            f"{coin!r} is no amount of coin", hint="write it like 2 or 0.25"
        ) from error
    configured = settings()
    async with connection.client(configured) as opened:
        await require_local(opened.rpc, connection.rpc_urls(configured))
        holds = await give(opened.rpc, opened.token, receiver, wei=wei, opg=base_units)
    output(as_json).result(
        {
            "account": receiver,
            "given_coin": format_wad(wei),
            "given_opg": format_opg(base_units),
            "balance_coin": format_wad(holds.wei),
            "balance_opg": format_opg(holds.opg),
        }
    )
