"""`oracle operator`: stake, offers, exit. Everything here is signed by the owner's (cold) key."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.bootstrap import connection
from oracle.bootstrap.collected import collect as collect_by_hand
from oracle.bootstrap.offer_advice import Advice, never_matched, of_stake
from oracle.bootstrap.readiness import UNANSWERED, fault_of, lack_of_gas, signer_gas
from oracle.chain.keystore import LocalSigner, create_keystore, read_password
from oracle.chain.revert_words import moment
from oracle.cli.amount import moved
from oracle.cli.command import verb
from oracle.cli.context import Json, operator_address, output, settings
from oracle.cli.selfcheck import check_machine
from oracle.client import OracleClient
from oracle.client.deprecated import require_live
from oracle.client.offchain_lookup import gateway_trouble
from oracle.core.endpoint import checked_endpoint
from oracle.core.model import had_again
from oracle.core.operator import Offer
from oracle.core.types import Address, address, format_opg, opg
from oracle.errors import ChainRefused, InputError, NotFound
from oracle.inference.model_library import ModelLibrary
from oracle.settings import Settings

app = typer.Typer(help="An operator's stake and offers, under the owner's key.")


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
    configured = settings()
    async with connection.client(configured, "owner") as client:
        found = await client.model(model)
        if capacity:  # what is withdrawn may be of any model
            require_live(found)
        longest = found.terms.challenge_window if max_window is None else max_window
        terms = Offer(opg(price), opg(max_bond), capacity, min_time, longest, max_callback_gas)
        await client.sender.send(
            client.staking.address, client.staking.set_offer_data(found.id, terms)
        )
        owner = client.sender.address
        free = (await client.staking.status(owner)).free
    advice: list[Advice] = []
    if terms.capacity:
        library = ModelLibrary(configured.model_store)
        if (fault := await fault_of(found, library)) is not None:
            what = f"{fault}; where this is the node's machine, {UNANSWERED}"
            advice.append(Advice(what, had_again(found, owner)))
        advice += [*never_matched(found, terms), *filter(None, [of_stake(terms, free)])]
    _advise(advice, as_json)
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
        | _warnings(advice, as_json)
    )


def _advise(advice: Sequence[Advice], as_json: bool) -> None:
    for one in advice:
        kind = "note" if one.note else "warning"
        output(as_json).say(f"{kind}: {one.what}\n  try: {one.next_step}")


def _warnings(advice: Sequence[Advice], as_json: bool) -> dict[str, Any]:
    """The same for scripts; people have read it."""
    return {"warnings": [one.as_facts() for one in advice]} if as_json else {}


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


@verb(app, "gateways")
async def gateways(
    urls: Annotated[
        list[str] | None,
        typer.Argument(help="URL templates (ERC-3668), the preferred one first; else shown."),
    ] = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take them back.")] = False,
    as_json: Json = False,
) -> None:
    """Announce on chain where answers in views are fetched, or show what is announced."""
    if urls and withdraw:
        raise InputError("gateways are either announced or withdrawn")
    configured = settings()
    advice: list[Advice] = []
    if urls or withdraw:
        wanted = [checked_endpoint(url) for url in urls or []]
        async with connection.client(configured, "owner") as client:
            operator, contract = client.sender.address, client.views
            await client.sender.send(contract.address, contract.set_gateways_data(wanted))
            announced = await contract.gateways_of(operator)
        troubles = await asyncio.gather(*(gateway_trouble(one) for one in announced))
        advice += [
            Advice(f"{url}: {trouble}", _GATEWAY_MENDS)
            for url, trouble in zip(announced, troubles, strict=True)
            if trouble is not None
        ]
    else:
        operator = address(operator_address(configured))
        async with connection.client(configured) as client:
            announced = await client.views.gateways_of(operator)
    _advise(advice, as_json)
    output(as_json).result(
        {"operator": operator, "gateways": list(announced)} | _warnings(advice, as_json)
    )


_GATEWAY_MENDS = (
    "oracle operator gateways https://…/views, as serve_port is reached from outside, with a node "
    "that has `views` set; if it is started later, nothing"
)


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


def in_words(offer: Offer) -> str:
    """An offer's terms on one line."""
    return (
        f"{format_opg(offer.price)} OPG, up to {offer.capacity} at once, "
        f"bond up to {format_opg(offer.max_bond)} OPG, at least {offer.min_time} s to answer, "
        f"window up to {offer.max_window} s, callback up to {offer.max_callback_gas} gas"
    )
