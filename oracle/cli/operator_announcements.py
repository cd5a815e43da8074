"""`oracle operator offer`, `endpoint`, `gateways`: what an operator announces, with advice.

Signed by the owner's key. Knows nothing of stake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from oracle.bootstrap import connection
from oracle.bootstrap.full_request import advice_on, full_requests
from oracle.bootstrap.offer_advice import (
    Advice,
    default_min_time,
    never_matched,
    of_reveal_window,
    of_stake,
)
from oracle.bootstrap.readiness import UNANSWERED, fault_of
from oracle.cli.command import verb
from oracle.cli.context import Json, operator_address, output, settings, start_logging
from oracle.client.deprecated import require_live
from oracle.client.offchain_lookup import gateway_trouble
from oracle.core.endpoint import checked_endpoint
from oracle.core.model import Model, had_again
from oracle.core.operator import Offer
from oracle.core.types import Address, address, format_opg, opg
from oracle.errors import InputError
from oracle.inference.model_library import ModelLibrary
from oracle.settings import Settings


def register(app: typer.Typer) -> None:
    """Adds the verbs to the tree of `oracle operator`."""
    verb(app, "offer")(offer)
    verb(app, "endpoint")(endpoint)
    verb(app, "gateways")(gateways)


async def offer(
    model: Annotated[str, typer.Argument(help="Name or id.")],
    price: Annotated[str, typer.Option(help="Smallest fee, in OPG.")],
    max_bond: Annotated[str, typer.Option(help="Largest bond a request may lock, in OPG.")],
    capacity: Annotated[
        int, typer.Option(help="Most unanswered requests at once; 0 withdraws the offer.")
    ] = 16,
    min_time: Annotated[
        int | None,
        typer.Option(
            help="Shortest time to the deadline, seconds. By default what an answer takes whose "
            "transaction is stuck once: bump_seconds, answer_margin_seconds, two blocks and the "
            "confirmations, 120 in all unless they are set; 30 on a chain of this machine."
        ),
    ] = None,
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
    local = connection.chain_is_local(configured)
    if min_time is None:
        bump, margin = configured.bump_seconds, configured.answer_margin_seconds
        min_time = default_min_time(bump, margin, configured.confirmations, local=local)
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
    out, advice = output(as_json), list[Advice]()
    if terms.capacity:
        with out.progress("timing a full request"):
            advice = await _advice(configured, found, terms, owner, free, local=local)
    _advise(advice, as_json)
    out.result(
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


async def _advice(
    configured: Settings, model: Model, terms: Offer, owner: Address, free: int, *, local: bool
) -> list[Advice]:
    """What will not go as wanted; nothing that fails here is an error, for the offer is set."""
    advice: list[Advice] = []
    library = ModelLibrary(configured.model_store)
    fault = await fault_of(model, library)
    if fault is not None:
        what = f"{fault}; where this is the node's machine, {UNANSWERED}"
        advice.append(Advice(what, had_again(model, owner)))
    advice += [*never_matched(model, terms), *filter(None, [of_stake(terms, free)])]
    if not local:  # a devnet's windows are short on purpose
        advice += filter(None, [of_reveal_window(model)])
    if fault is None:
        start_logging(configured.model_copy(update={"log_level": "error"}))
        async with full_requests(configured, library) as timed:
            advice += advice_on(model, terms, free, await timed.of(model), configured)
    return advice


def _advise(advice: Sequence[Advice], as_json: bool) -> None:
    for one in advice:
        kind = "note" if one.note else "warning"
        output(as_json).say(f"{kind}: {one.what}\n  try: {one.next_step}")


def _warnings(advice: Sequence[Advice], as_json: bool) -> dict[str, Any]:
    """The same for scripts; people have read it."""
    return {"warnings": [one.as_facts() for one in advice]} if as_json else {}


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


def in_words(offer: Offer) -> str:
    """An offer's terms on one line."""
    return (
        f"{format_opg(offer.price)} OPG, up to {offer.capacity} at once, "
        f"bond up to {format_opg(offer.max_bond)} OPG, at least {offer.min_time} s to answer, "
        f"window up to {offer.max_window} s, callback up to {offer.max_callback_gas} gas"
    )
