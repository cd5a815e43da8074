"""`oracle operator`: keys, stake, payout, exit. Everything is signed by the owner's (cold) key."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from oracle.bootstrap import connection
from oracle.bootstrap.collected import collect as collect_by_hand
from oracle.bootstrap.readiness import lack_of_gas, signer_gas
from oracle.chain.keystore import LocalSigner, create_keystore, read_password
from oracle.chain.revert_words import moment
from oracle.cli import operator_announcements
from oracle.cli.amount import moved
from oracle.cli.command import verb
from oracle.cli.context import Json, operator_address, output, settings
from oracle.cli.operator_announcements import in_words
from oracle.cli.selfcheck import check_machine
from oracle.client import OracleClient
from oracle.core.types import Address, address, format_opg
from oracle.errors import ChainRefused, InputError, NotFound
from oracle.settings import Settings

app = typer.Typer(help="An operator's stake and offers, under the owner's key.")


operator_announcements.register(app)


@verb(app, "init")
async def init(
    payout: Annotated[str | None, typer.Option(help="Who is paid; the owner by default.")] = None,
    as_json: Json = False,
) -> None:
    """Register the owner's key as an operator, with the signer's key (made if missing)."""
    configured = settings()
    signer = _present_signer(configured)
    async with connection.client(configured, "owner") as client:
        owner = client.sender.address
        paid = address(payout) if payout else owner
        await client.sender.send(client.staking.address, client.staking.register_data(signer, paid))
        first = []
        if configured.operator != owner:
            first.append(f'set operator = "{owner}"')
        if lack_of_gas(await signer_gas(client.rpc, signer)) is not None:
            first.append("send gas to the signer")
        bonding = "`oracle operator bond`"
        output(as_json).result(
            {"operator": owner, "signer": signer, "payout": paid}
            | {"next": f"{', '.join(first)}, then {bonding}" if first else bonding}
        )


def _present_signer(configured: Settings) -> Address:
    if configured.signer_address is not None:
        return address(configured.signer_address)
    if configured.signer_keystore is None:
        raise configured.lacking(
            "settings name no signer key", hint="set signer_keystore, or signer_address"
        )
    return _signer(configured, configured.signer_keystore).address


def _signer(configured: Settings, path: Path) -> LocalSigner:
    if not path.exists():
        password = read_password(configured.password_file, opens=configured.keystores)
        create_keystore(path, password)
    return connection.open_key(configured, path)


@verb(app, "bond")
async def bond(
    amount: Annotated[str, typer.Argument(help="OPG to add to the stake.")], as_json: Json = False
) -> None:
    """Add OPG of the owner's key to the operator's stake, once `selfcheck` finds no fault."""
    base_units = moved(amount)
    await check_machine(output(as_json), quiet=True)
    async with connection.client(settings(), "owner") as client:
        staking = client.staking
        held = await client.token.balance_of(client.sender.address)
        if held < base_units:
            lacks = format_opg(base_units - held)
            raise ChainRefused(
                f"{client.sender.address} holds {format_opg(held)} OPG, not {amount}",
                hint=f"send {lacks} OPG to {client.sender.address}"
                + (f", or bond at most {format_opg(held)}" if held else ""),
            )
        if await client.token.allowance(client.sender.address, staking.address) < base_units:
            await client.sender.send(
                client.token.address, client.token.approve_data(staking.address, base_units)
            )
        await client.sender.send(
            staking.address, staking.bond_data(client.sender.address, base_units)
        )
        await _print_status(client, client.sender.address, as_json)


@verb(app, "collect")
async def collect(
    keystore: Annotated[
        Path | None,
        typer.Option(help="Key that pays for the transaction; the owner's by default."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Collect what payers of priced views owe, by the vouchers in the node's database; now, and
    whoever sends it: only the operator is paid."""
    configured = settings()
    operator = address(operator_address(configured))
    if keystore is not None:
        configured = configured.model_copy(update={"owner_keystore": keystore})
    out = output(as_json)
    async with connection.client(configured, "owner") as client:
        with out.progress("collecting"):
            found = await collect_by_hand(configured, client, operator)
        out.result(
            {
                "operator": operator,
                "payers": found.payers,
                "collected_opg": format_opg(found.amount),
                "not_covered_opg": format_opg(found.unpayable),
                "transactions": list(found.transactions),
                "wallet_opg": format_opg(await client.token.balance_of(operator)),
            }
        )


@verb(app, "rotate-signer")
async def rotate_signer(
    keystore: Annotated[
        Path | None, typer.Argument(help="The new hot key's file; made if missing.")
    ] = None,
    remote: Annotated[
        str | None, typer.Option("--address", help="Instead: the new key of a remote signer.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Replace the key that signs answers, after the delay that the contract sets."""
    if remote is not None:
        if keystore is not None:
            raise InputError("two new keys are named", hint="give a file or --address")
        made, setting = address(remote), f'next_signer_address = "{remote}"'
    elif keystore is not None:
        made = _signer(settings(), keystore).address
        setting = f'next_signer_keystore = "{keystore}"'
    else:
        raise InputError("no new key is named", hint="give its file, or --address")
    async with connection.client(settings(), "owner") as client:
        staking = client.staking
        present = (await staking.status(client.sender.address)).signer
        if made == present:
            raise InputError(f"{made} is the signer already", hint="name another key's file")
        sent = await client.sender.send(staking.address, staking.rotate_signer_data(made))
        delay = await staking.signer_delay()
        mined = await client.rpc.block(sent.mined.block_number)
        since = (mined or await client.rpc.latest()).timestamp + delay
        output(as_json).result(
            {
                "operator": client.sender.address,
                "signer_until_then": present,
                "new_signer": made,
                "valid_from": since,
                "in_seconds": delay,
                "transaction": sent.hash,
                "next": f"send gas to {made}; set {setting} and run `oracle node reload` before "
                "then: the node changes by itself",
            }
        )


@verb(app, "payout")
async def payout(
    to: Annotated[str, typer.Argument(help="Address that is paid from the next settlement on.")],
    as_json: Json = False,
) -> None:
    """Change who is paid: earnings of settlements from now on, of earlier requests, too."""
    paid = address(to)
    async with connection.client(settings(), "owner") as client:
        staking, operator = client.staking, client.sender.address
        before = (await staking.status(operator)).payout
        if paid == before:
            raise InputError(f"{paid} is paid already", hint="name another address")
        sent = await client.sender.send(staking.address, staking.set_payout_data(paid))
        earned = (await client.oracle.account(before)).balance
        output(as_json).result(
            {
                "operator": operator,
                "payout": paid,
                "payout_until_then": before,
                "left_there_opg": format_opg(earned),
                "transaction": sent.hash,
            }
        )


@verb(app, "unbond")
async def unbond(
    amount: Annotated[
        str, typer.Argument(help="OPG to take out of the free stake; `all` for all of it.")
    ],
    as_json: Json = False,
) -> None:
    """Start the exit of free stake; until it is withdrawn, it can be slashed."""
    wanted = None if amount == "all" else moved(amount)
    async with connection.client(settings(), "owner") as client:
        owner = client.sender.address
        held = await client.staking.status(owner)
        taken = held.free if wanted is None else wanted
        if taken == 0 or taken > held.free:
            raise InputError(
                f"{format_opg(held.free)} OPG of the stake are free, {format_opg(held.locked)} are "
                "locked by requests that are not over",
                hint="oracle operator unbond all, for what is free. A request that was not "
                "answered in time locks its bond until anybody reclaims its fee: oracle reclaim 0x…"
                if held.free
                else "oracle job list shows which; one that was not answered in time locks its "
                "bond until anybody reclaims its fee: oracle reclaim 0x…",
            )
        await client.sender.send(client.staking.address, client.staking.unbond_data(taken))
        await _print_status(client, owner, as_json)


@verb(app, "withdraw")
async def withdraw(as_json: Json = False) -> None:
    """Withdraw every exit whose delay is over."""
    async with connection.client(settings(), "owner") as client:
        owner = client.sender.address
        now = (await client.rpc.latest()).timestamp
        before = await client.token.balance_of(owner)
        exits = await client.staking.unbondings(owner)
        ready = [one for one in exits if one.available_at <= now]
        if not ready:
            if not exits:
                raise NotFound("no exit was begun", hint="start one: `oracle operator unbond`")
            soonest = min(exits, key=lambda one: one.available_at)
            raise NotFound(
                "no exit is over",
                hint=f"the next is over at {moment(soonest.available_at)}, in "
                f"{soonest.available_at - now} s: {format_opg(soonest.amount)} OPG",
            )
        for one in ready:
            await client.sender.send(
                client.staking.address, client.staking.withdraw_data(one.index)
            )
        received = await client.token.balance_of(owner) - before
        output(as_json).result({"withdrawn_opg": format_opg(received), "exits": len(ready)})


@verb(app, "status")
async def status(
    operator: Annotated[str | None, typer.Argument(help="Address; settings' by default.")] = None,
    as_json: Json = False,
) -> None:
    """Show an operator's stake, what is locked and free, exits, offers, endpoint, gateways."""
    configured = settings()
    async with connection.client(configured) as client:
        await _print_status(client, operator or operator_address(configured), as_json)


async def _print_status(client: OracleClient, operator: str, as_json: bool) -> None:
    found = await client.staking.status(address(operator))
    exits = await client.staking.unbondings(found.operator)
    account = await client.oracle.account(found.payout)
    models = await client.registry.models()
    names = Counter(model.name for model in models)
    offers = {}
    for model in models:
        terms = await client.staking.offer(found.operator, model.id)
        if terms.capacity:
            # Anybody may register a name that is taken.
            shared = names[model.name] > 1
            offers[f"{model.name} 0x{model.id.hex()}" if shared else model.name] = in_words(terms)
    output(as_json).result(
        {
            "operator": found.operator,
            "signer": found.signer,
            "signer_balance_wei": await client.gateway.balance(found.signer),
            "payout": found.payout,
            "stake_opg": format_opg(found.stake),
            "locked_opg": format_opg(found.locked),
            "free_opg": format_opg(found.free),
            "unanswered": found.unanswered,
            "accepted_ever": found.accepted,
            "earned_not_withdrawn_opg": format_opg(account.balance),
            "exits": [
                {"opg": format_opg(one.amount), "available_at": one.available_at} for one in exits
            ],
            "offers": offers,
            "endpoint": await client.endpoint(found.operator),
            "gateways": []
            if client.deployment.views is None
            else list(await client.views.gateways_of(found.operator)),
        }
    )
