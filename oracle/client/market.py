"""Who answers a model, at which price: standing offers as the staking contract holds them now."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from oracle.chain.logs import LogScanner
from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.core.operator import Offer, OperatorStatus
from oracle.core.types import Address, address


@dataclass(frozen=True, slots=True)
class StandingOffer:
    """An operator's offer for one model, and what stands behind it."""

    operator: Address
    offer: Offer
    status: OperatorStatus

    def takes(self, fee: int, bond: int, seconds_left: int) -> bool:
        """Whether a request with these terms would be accepted in its own block."""
        return (
            self.offer.capacity > self.status.unanswered
            and self.offer.price <= fee
            and bond <= min(self.offer.max_bond, self.status.free)
            and seconds_left >= self.offer.min_time
        )


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
    offers = await asyncio.gather(*(staking.offer(one, model_id) for one in operators))
    statuses = await asyncio.gather(*(staking.status(one) for one in operators))
    found = [
        StandingOffer(operator, offer, status)
        for operator, offer, status in zip(operators, offers, statuses, strict=True)
        if offer.capacity
    ]
    return sorted(found, key=lambda one: (one.offer.price, one.operator))
