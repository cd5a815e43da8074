"""`oracle operator`: stake, offers, exit. Everything here is signed by the owner's (cold) key."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from oracle.bootstrap import connection
from oracle.chain.keystore import LocalSigner, create_keystore, read_password
from oracle.chain.revert_words import moment
from oracle.cli.command import verb
from oracle.cli.context import Json, operator_address, output, settings
from oracle.cli.selfcheck import check_machine
from oracle.client import OracleClient
from oracle.core.endpoint import checked_endpoint
from oracle.core.operator import Offer
from oracle.core.types import address, format_opg, opg
from oracle.errors import ConfigurationError, InputError, NotFound

app = typer.Typer(help="An operator's stake and offers, under the owner's key.")


@verb(app, "init")
async def init(
    payout: Annotated[str | None, typer.Option(help="Who is paid; the owner by default.")] = None,
    as_json: Json = False,
) -> None:
    """Register the owner's key as an operator, with the signer's key (made if missing)."""
    configured = settings()
    if configured.signer_keystore is None:
        raise ConfigurationError("settings name no signer key", hint="set signer_keystore")
    signer = _signer(configured.signer_keystore, configured.password_file)
    async with connection.client(configured, "owner") as client:
        owner = client.sender.address
        paid = address(payout) if payout else owner
        await client.sender.send(
            client.staking.address, client.staking.register_data(signer.address, paid)
        )
        output(as_json).result(
            {"operator": owner, "signer": signer.address, "payout": paid}
            | {
                "next": f'set operator = "{owner}", send gas to the signer, '
                "then `oracle operator bond`"
            }
        )


def _signer(path: Path, password_file: Path | None) -> LocalSigner:
    password = read_password(password_file)
    if not path.exists():
        create_keystore(path, password)
    return LocalSigner.from_keystore(path, password)


@verb(app, "bond")
async def bond(
    amount: Annotated[str, typer.Argument(help="OPG to add to the stake.")], as_json: Json = False
) -> None:
    """Add OPG of the owner's key to the operator's stake, once `selfcheck` finds no fault."""
    base_units = opg(amount)
    await check_machine(output(as_json), quiet=True)
    async with connection.client(settings(), "owner") as client:
        staking = client.staking
        if await client.token.allowance(client.sender.address, staking.address) < base_units:
            await client.sender.send(
                client.token.address, client.token.approve_data(staking.address, base_units)
            )
        await client.sender.send(
            staking.address, staking.bond_data(client.sender.address, base_units)
        )
        await _print_status(client, client.sender.address, as_json)


@verb(app, "offer")
async def offer(
    model: Annotated[str, typer.Argument(help="Name or id.")],
    price: Annotated[str, typer.Option(help="Smallest fee, in OPG.")],
    max_bond: Annotated[str, typer.Option(help="Largest bond a request may lock, in OPG.")],
    capacity: Annotated[
        int, typer.Option(help="Most unanswered requests at once; 0 withdraws the offer.")
    ] = 16,
    min_time: Annotated[int, typer.Option(help="Shortest time to the deadline, seconds.")] = 30,
    max_window: Annotated[
        int | None,
        typer.Option(help="Longest challenge window, seconds; the model's own by default."),
    ] = None,
    max_callback_gas: Annotated[
        int, typer.Option(help="Most gas for a consumer's notice, which who settles pays.")
    ] = 200_000,
    as_json: Json = False,
) -> None:
    """Set the standing offer for a model: matching requests bind the operator at once."""
    async with connection.client(settings(), "owner") as client:
        found = await client.model(model)
        longest = found.terms.challenge_window if max_window is None else max_window
        terms = Offer(opg(price), opg(max_bond), capacity, min_time, longest, max_callback_gas)
        await client.sender.send(
            client.staking.address, client.staking.set_offer_data(found.id, terms)
        )
    output(as_json).result(
        {
            "model": found.name,
            "price_opg": format_opg(terms.price),
            "max_bond_opg": format_opg(terms.max_bond),
            "capacity": terms.capacity,
            "min_time_seconds": terms.min_time,
            "max_window_seconds": terms.max_window,
            "max_callback_gas": terms.max_callback_gas,
        }
    )


@verb(app, "endpoint")
async def endpoint(
    url: Annotated[str | None, typer.Argument(help="To be announced; else it is shown.")] = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take it back.")] = False,
    as_json: Json = False,
) -> None:
    """Announce on chain where the operator's services are found, or show what is announced."""
    if url is not None and withdraw:
        raise InputError("an endpoint is either announced or withdrawn")
    configured = settings()
    if url is None and not withdraw:
        operator = address(operator_address(configured))
        async with connection.client(configured) as client:
            announced = await client.endpoint(operator)
    else:
        announced = checked_endpoint(url) if url is not None else None
        async with connection.client(configured, "owner") as client:
            operator = client.sender.address
            await client.sender.send(
                client.staking.address, client.staking.set_endpoint_data(announced or "")
            )
    output(as_json).result({"operator": operator, "endpoint": announced})


@verb(app, "rotate-signer")
async def rotate_signer(
    keystore: Annotated[Path, typer.Argument(help="The new hot key's file; made if missing.")],
    as_json: Json = False,
) -> None:
    """Replace the key that signs answers, after the delay that the contract sets."""
    made = _signer(keystore, settings().password_file).address
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
                "valid_from_date": moment(since),
                "in_seconds": delay,
                "transaction": sent.hash,
                "next": f"send gas to {made}; from then on, and not before, "
                f'set signer_keystore = "{keystore}" and start the node again',
            }
        )


@verb(app, "unbond")
async def unbond(
    amount: Annotated[str, typer.Argument(help="OPG to take out of the free stake.")],
    as_json: Json = False,
) -> None:
    """Start the exit of free stake; until it is withdrawn, it can be slashed."""
    async with connection.client(settings(), "owner") as client:
        await client.sender.send(client.staking.address, client.staking.unbond_data(opg(amount)))
        await _print_status(client, client.sender.address, as_json)


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
    """Show an operator's stake, what is locked, what is free, exits, offers and endpoint."""
    configured = settings()
    async with connection.client(configured) as client:
        await _print_status(client, operator or operator_address(configured), as_json)


async def _print_status(client: OracleClient, operator: str, as_json: bool) -> None:
    found = await client.staking.status(address(operator))
    exits = await client.staking.unbondings(found.operator)
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
            "earned_opg": format_opg((await client.oracle.account(found.payout)).balance),
            "exits": [
                {"opg": format_opg(one.amount), "available_at": one.available_at} for one in exits
            ],
            "offers": offers,
            "endpoint": await client.endpoint(found.operator),
        }
    )


def in_words(offer: Offer) -> str:
    """An offer's terms on one line."""
    return (
        f"{format_opg(offer.price)} OPG, up to {offer.capacity} at once, "
        f"bond up to {format_opg(offer.max_bond)} OPG, at least {offer.min_time} s to answer, "
        f"window up to {offer.max_window} s, callback up to {offer.max_callback_gas} gas"
    )
