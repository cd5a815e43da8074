"""Who answers a model, at which price: standing offers as the staking contract holds them now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from oracle.chain.logs import LogScanner
from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.chain.wire import to_bytes, to_hex
from oracle.core.operator import Demand, Offer, OperatorStatus
from oracle.core.typed_data import word
from oracle.core.types import Address, address, format_opg
from oracle.errors import ChainUnreachable


@dataclass(frozen=True, slots=True)
class StandingOffer:
    """An operator's offer for one model, and what stands behind it."""

    operator: Address
    offer: Offer
    status: OperatorStatus

    def objections(self, demand: Demand) -> Iterator[str]:
        """Why a request would not be accepted in its own block; nothing where it would."""
        yield from self.offer.objections(demand)
        if 0 < self.offer.capacity <= self.status.unanswered:
            yield f"all of its {self.offer.capacity} places are taken"
        if demand.bond > self.status.free:
            yield (
                f"the bond of {format_opg(demand.bond)} OPG is above the operator's free stake of "
                f"{format_opg(self.status.free)} OPG"
            )


async def standing_offer(
    staking: StakingBinding, operator: Address, model_id: bytes
) -> StandingOffer:
    """One operator's offer for a model, withdrawn or not. Raises NotFound for no operator."""
    offer, status = await asyncio.gather(
        staking.offer(operator, model_id), staking.status(operator)
    )
    return StandingOffer(operator, offer, status)


async def offers_of(
    rpc: Rpc, staking: StakingBinding, operator: Address, first_block: int
) -> dict[bytes, Offer]:
    """An operator's offers by model id, of whatever model, without those that are withdrawn."""
    head = await rpc.latest()
    topics = [to_hex(staking.abi.events["OfferSet"].topic), to_hex(word(operator))]
    logs = await LogScanner(rpc, staking.address).scan(first_block, head.number, topics)
    try:
        models = sorted({to_bytes(log["topics"][2]) for log in logs})
    except (LookupError, ValueError, TypeError) as error:
        raise ChainUnreachable(f"the node sent an unreadable log: {error}") from error
    offers = await asyncio.gather(*(staking.offer(operator, one) for one in models))
    return {model: one for model, one in zip(models, offers, strict=True) if one.capacity}


async def standing_offers(
    rpc: Rpc, staking: StakingBinding, model_id: bytes, first_block: int
) -> list[StandingOffer]:
    """All offers for a model that are not withdrawn, cheapest first."""
    head = await rpc.latest()
    topic = "0x" + staking.abi.events["OfferSet"].topic.hex()
    logs = await LogScanner(rpc, staking.address).scan(
        first_block, head.number, [topic, None, "0x" + model_id.hex()]
    )
    operators = sorted({address("0x" + log["topics"][1][-40:]) for log in logs})
    found = await asyncio.gather(*(standing_offer(staking, one, model_id) for one in operators))
    live = [one for one in found if one.offer.capacity]
    return sorted(live, key=lambda one: (one.offer.price, one.operator))
