"""Who answers a model, at which price: standing offers as the staking contract holds them now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from oracle.chain.logs import LogScanner
from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.chain.wire import RawLog, to_bytes, to_hex, to_int
from oracle.core.operator import Demand, Offer, OperatorStatus
from oracle.core.request import BOND_MULTIPLE
from oracle.core.typed_data import word
from oracle.core.types import Address, address, format_opg
from oracle.errors import ChainUnreachable

_UNSURE_BLOCKS: Final = 128
"""Read again with what is new: blocks that may have been replaced."""


@dataclass(frozen=True, slots=True)
class StandingOffer:
    """An operator's offer for one model, and what stands behind it."""

    operator: Address
    offer: Offer
    status: OperatorStatus

    def objections(self, demand: Demand, seconds_to_mine: int = 0) -> Iterator[str]:
        """Why a request would not be accepted in its own block, if that is `seconds_to_mine` after
        it was made; nothing where it would."""
        needed = self.offer.min_time + seconds_to_mine
        if self.offer.capacity and seconds_to_mine and demand.seconds_left < needed:
            yield (
                f"{demand.seconds_left} s to the deadline: its offer needs {self.offer.min_time} "
                f"s, and {seconds_to_mine} s go for mining"
            )
            demand = replace(demand, seconds_left=needed)  # said of it already
        yield from self.offer.objections(demand)
        if 0 < self.offer.capacity <= self.status.unanswered:
            yield f"all of its {self.offer.capacity} places are taken"
        if demand.bond > self.status.free:
            yield (
                f"the bond of {format_opg(demand.bond)} OPG is above the operator's free stake of "
                f"{format_opg(self.status.free)} OPG"
            )

    def remedies(self, demand: Demand, seconds_to_mine: int = 0) -> Iterator[str]:
        """What would have to change for the request to be accepted; one for each objection."""
        offer, most = self.offer, min(self.offer.max_bond, self.status.free)
        if demand.fee < offer.price:
            yield f"raise the fee to {format_opg(offer.price)} OPG"
        if demand.bond > most and BOND_MULTIPLE * demand.fee >= demand.bond:
            lower = format_opg(most // BOND_MULTIPLE)
            yield f"lower the fee to {lower} OPG: the bond is {BOND_MULTIPLE} times as much"
        elif demand.bond > most:
            yield f"lower the bond, or the value at risk, to {format_opg(most)} OPG"
        if demand.seconds_left < (needed := offer.min_time + seconds_to_mine):
            yield f"give {needed} s to answer (--time-to-answer {needed})"
        if demand.window > offer.max_window:
            yield f"shorten the window to {offer.max_window} s"
        if demand.callback_gas_limit > offer.max_callback_gas:
            yield f"lower the callback gas to {offer.max_callback_gas}"
        if 0 < offer.capacity <= self.status.unanswered:
            yield "wait until one of its places is free, or make it open to all with a fee"


async def standing_offer(
    staking: StakingBinding, operator: Address, model_id: bytes
) -> StandingOffer:
    """One operator's offer for a model, withdrawn or not. Raises NotFound for no operator."""
    offer, status = await asyncio.gather(
        staking.offer(operator, model_id), staking.status(operator)
    )
    return StandingOffer(operator, offer, status)


class OwnOffers:
    """One operator's offers, for whoever looks again and again: logs are read once, and an offer
    where a log of it is new or is gone. Whoever asks meanwhile waits, and has the newer state.

    Args:
        first_block: no offer was set before it.
    """

    def __init__(
        self, rpc: Rpc, staking: StakingBinding, operator: Address, first_block: int
    ) -> None:
        self._rpc = rpc
        self._staking = staking
        self._operator = operator
        self._first_block = first_block
        self._next_block = first_block
        self._unsure: dict[tuple[int, bytes, int], bytes] = {}
        self._offers: dict[bytes, Offer] = {}
        self._one_at_a_time = asyncio.Lock()

    async def standing(self) -> dict[bytes, Offer]:
        """By model id, of whatever model, without those that are withdrawn.

        Raises:
            ChainUnreachable, ChainRefused: nothing counts as read then.
        """
        async with self._one_at_a_time:
            await self._rpc.on_one_endpoint(self._look)
        return {model: one for model, one in sorted(self._offers.items()) if one.capacity}

    async def _look(self) -> None:
        staking = self._staking
        head = await self._rpc.latest()
        topics = [to_hex(staking.abi.events["OfferSet"].topic), to_hex(word(self._operator))]
        start = max(self._first_block, self._next_block - _UNSURE_BLOCKS)
        logs = await LogScanner(self._rpc, staking.address).scan(start, head.number, topics)
        try:
            found = {_place(log): to_bytes(log["topics"][2]) for log in logs}
        except (LookupError, ValueError, TypeError) as error:
            raise ChainUnreachable(f"the node sent an unreadable log: {error}") from error
        known = {place: model for place, model in self._unsure.items() if place[0] >= start}
        changed = sorted({model for _, model in found.items() ^ known.items()})
        # As of "latest", an endpoint that is behind would give an older one, and that would stay
        # until the next log of that offer.
        offers = await asyncio.gather(
            *(staking.offer(self._operator, one, block=head.number) for one in changed)
        )
        self._offers.update(zip(changed, offers, strict=True))
        self._unsure = found
        self._next_block = max(self._next_block, head.number + 1)


def _place(log: RawLog) -> tuple[int, bytes, int]:
    """Block, its hash, and the log's number: another one after a reorg."""
    return to_int(log["blockNumber"]), to_bytes(log["blockHash"]), to_int(log["logIndex"])


async def all_offers(
    rpc: Rpc, staking: StakingBinding, first_block: int
) -> dict[bytes, list[Offer]]:
    """Every operator's offers by model id, cheapest first, without those that are withdrawn."""
    head = await rpc.latest()
    topic = to_hex(staking.abi.events["OfferSet"].topic)
    logs = await LogScanner(rpc, staking.address).scan(first_block, head.number, [topic])
    try:
        pairs = sorted(
            {(address("0x" + log["topics"][1][-40:]), to_bytes(log["topics"][2])) for log in logs}
        )
    except (LookupError, ValueError, TypeError) as error:
        raise ChainUnreachable(f"the node sent an unreadable log: {error}") from error
    found: dict[bytes, list[Offer]] = {}
    offers = await asyncio.gather(*(staking.offer(*pair) for pair in pairs))
    for (_, model), one in zip(pairs, offers, strict=True):
        if one.capacity:
            found.setdefault(model, []).append(one)
    for of_model in found.values():
        of_model.sort(key=lambda one: one.price)
    return found


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
