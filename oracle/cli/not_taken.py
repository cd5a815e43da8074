"""Why nobody takes a request that is on chain, by the standing offers, and how its fee returns.

Knows what offers say and no operator's own policy: one may still take what its offer does not.
"""

from __future__ import annotations

from collections.abc import Iterator

from oracle.chain.revert_words import moment
from oracle.client import OracleClient, Story
from oracle.client.market import StandingOffer
from oracle.core.operator import Demand
from oracle.core.request import Request
from oracle.core.types import ZERO_ADDRESS, format_opg


async def why_not_taken(client: OracleClient, story: Story) -> str | None:
    """In words, of a request that nobody has accepted; None where some offer's terms fit it."""
    request, named = story.created.request, f"0x{story.created.request_id.hex()}"
    if (await client.rpc.latest()).timestamp > request.deadline:
        over = f"nobody took it before {moment(request.deadline)}"
        return f"{over}; `oracle reclaim {named}` gives the fee back"
    asked = [
        one
        for one in await client.offers(request.model_id)
        if request.operator in (ZERO_ADDRESS, one.operator)
    ]
    reasons = [list(_reasons(one, request)) for one in asked]
    if not all(reasons):
        return None
    if not asked:
        why = "there is none"
    elif all(one.offer.price > request.fee for one in asked):
        why = f"lowest price: {format_opg(asked[0].offer.price)} OPG"
    else:
        fewest = min(reasons, key=len)
        why = "; ".join(fewest)
    whose = "no offer" if request.operator == ZERO_ADDRESS else f"no offer of {request.operator}"
    return f"{whose} takes it ({why}); `oracle cancel {named}` gives the fee back"


def _reasons(one: StandingOffer, request: Request) -> Iterator[str]:
    """What keeps an operator from it, now as when it was made."""
    offer = one.offer
    if request.fee < offer.price:
        yield f"the price of {one.operator} is {format_opg(offer.price)} OPG"
    limits = request.window, request.callback_gas_limit
    for beyond in offer.objections(Demand(offer.price, request.bond, offer.min_time, *limits)):
        yield f"by the offer of {one.operator}, {beyond}"
    if request.bond > one.status.free:
        yield f"{one.operator} has {format_opg(one.status.free)} OPG of free stake for its bond"
