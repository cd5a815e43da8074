"""`oracle deploy`: the contracts on any chain, with an existing token."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from oracle.bootstrap import connection
from oracle.chain.deployer import deploy
from oracle.chain.deployment import DeploymentParameters
from oracle.chain.sender import TransactionSender
from oracle.chain.token_contract import TokenBinding
from oracle.cli.command import verb
from oracle.cli.context import Json, output, settings
from oracle.core.types import address, format_opg, opg
from oracle.errors import ConfigurationError

_PRODUCTION = DeploymentParameters()


def register(app: typer.Typer) -> None:
    """Adds the verb to the root of the command line."""
    verb(app, "deploy")(run)


async def run(
    token: Annotated[str, typer.Option(help="Address of OPG on this chain.")],
    default_window: Annotated[
        int, typer.Option(help="A model's challenge window unless it says otherwise, seconds.")
    ] = _PRODUCTION.default_window,
    min_window: Annotated[
        int, typer.Option(help="Shortest challenge window, seconds.")
    ] = _PRODUCTION.min_challenge_window,
    max_window: Annotated[
        int, typer.Option(help="Longest challenge window, seconds.")
    ] = _PRODUCTION.max_challenge_window,
    max_ttl: Annotated[
        int, typer.Option(help="Longest time to a deadline, seconds.")
    ] = _PRODUCTION.max_ttl,
    dispute_allowance: Annotated[
        int, typer.Option(help="What disputes may add, seconds.")
    ] = _PRODUCTION.dispute_allowance,
    exit_delay: Annotated[
        int, typer.Option(help="From unbonding to withdrawal, seconds.")
    ] = _PRODUCTION.exit_delay,
    signer_delay: Annotated[
        int, typer.Option(help="Until a new signer takes over, seconds.")
    ] = _PRODUCTION.signer_delay,
    announcement_age: Annotated[
        int,
        typer.Option(help="From an announcement to a conviction that pays at once, seconds."),
    ] = _PRODUCTION.announcement_age,
    priority_period: Annotated[
        int, typer.Option(help="For how long any other conviction's share is held, seconds.")
    ] = _PRODUCTION.priority_period,
    reveal_deposit: Annotated[
        str, typer.Option(help="OPG that a first demand to reveal a KiB costs.")
    ] = format_opg(_PRODUCTION.reveal_deposit),
    credit_delay: Annotated[
        int, typer.Option(help="From announcing to withdrawing credit for views, seconds.")
    ] = _PRODUCTION.credit_delay,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Deploy all contracts with the owner's key; write the addresses file."""
    configured = settings()
    out = output(as_json)
    path = configured.deployment_path
    if path.exists():
        raise ConfigurationError(
            f"{path} exists", hint="name another with --deployment, or move it away"
        )
    parameters = DeploymentParameters(
        min_challenge_window=min_window,
        max_challenge_window=max_window,
        default_window=default_window,
        max_ttl=max_ttl,
        dispute_allowance=dispute_allowance,
        exit_delay=exit_delay,
        signer_delay=signer_delay,
        announcement_age=announcement_age,
        priority_period=priority_period,
        reveal_deposit=opg(reveal_deposit),
        credit_delay=credit_delay,
    )
    key = connection.signer(configured, "owner")
    opg_token = address(token)
    async with await connection.open_rpc(configured) as rpc:
        symbol = await TokenBinding(rpc, opg_token).symbol()
        out.say(f"chain {rpc.chain_id} at {rpc.endpoint}, deployer {key.address}")
        out.say(f"token {opg_token} ({symbol})")
        for name, value in asdict(parameters).items():
            shown = f"{format_opg(value)} OPG" if name == "reveal_deposit" else f"{value} s"
            out.say(f"{name.replace('_', ' ')}: {shown}")
        if not yes and not typer.confirm("None of this can be changed later. Deploy?", err=True):
            raise typer.Exit(1)
        with out.progress("deploying"):
            made = await deploy(TransactionSender(rpc, key), parameters, token=opg_token)
    made.save(path)
    out.result(
        {
            "oracle": made.oracle,
            "staking": made.staking,
            "registry": made.registry,
            "token": made.token,
            "court": made.court,
            "verifier": made.verifier,
            "views": made.views,
            "credit": made.credit,
            "deployment": str(path),
        }
    )
