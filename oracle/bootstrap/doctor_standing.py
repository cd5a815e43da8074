"""The doctor's look at an operator's standing on chain: stake, announced endpoint, offers, models.

Responsible for what will cost money or bring none though nothing fails. Changes nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from oracle.bootstrap.finding import CheckStatus, Finding
from oracle.bootstrap.full_request import advice_on, full_requests
from oracle.bootstrap.offer_advice import (
    LOCAL_MIN_TIME_SECONDS,
    FullRequest,
    least_bond,
    never_matched,
)
from oracle.bootstrap.offer_sums import of_all_places, of_price
from oracle.bootstrap.readiness import fault_of, lacks
from oracle.chain.deployment import Deployment
from oracle.chain.gateway import Gateway
from oracle.chain.registry_contract import RegistryBinding
from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.client.endpoint import endpoint_of
from oracle.client.market import OwnOffers
from oracle.core.model import Model
from oracle.core.operator import Offer
from oracle.core.types import Address, format_opg
from oracle.errors import NotFound, SchemaError
from oracle.inference.model_library import ModelLibrary
from oracle.service.policy import Policy
from oracle.settings import Settings

_EACH_SECONDS: Final = 10.0
_ALL_SECONDS: Final = 60.0
"""After so long no other model is timed: somebody waits for the doctor."""

_TIMED: Final = "full requests"


def not_timed_beside_a_node() -> Finding:
    """What is said instead while a node runs: what it answers now must not wait for a rehearsal."""
    told = (
        "not timed, for a node runs here and needs this machine's memory and cores: stop it and "
        "ask again, or set one offer again with `oracle operator offer`, which times its model"
    )
    return Finding(_TIMED, CheckStatus.GOOD, told)


class Standing:
    """A registered operator's. Every look raises ChainUnreachable where the endpoint is away."""

    def __init__(self, rpc: Rpc, deployment: Deployment, operator: Address) -> None:
        self._rpc = rpc
        self._deployment = deployment
        self._operator = operator
        deployed = deployment.deployed_block
        self._staking = StakingBinding(rpc, deployment.staking)
        self._offers = OwnOffers(rpc, self._staking, operator, deployed)
        self._registry = RegistryBinding(rpc, deployment.registry, deployed_block=deployed)

    async def stake(self) -> Finding:
        """What is free for new requests."""
        status = await self._staking.status(self._operator)
        told = f"{format_opg(status.stake)} OPG, {format_opg(status.free)} of them free"
        if status.free == 0:
            mend = "`oracle operator bond`: without free stake no request can be taken on"
            return Finding("stake", CheckStatus.WARNING, told, mend)
        short = [
            f"{model.name} locks {format_opg(least)} at least"
            for model, offer in await self.offered()
            if (least := least_bond(model, offer)) > status.free
        ]
        if short:
            told += f", too little for any request of some offers: {', '.join(short)}"
            mend = "`oracle operator bond AMOUNT`, or wait until what is locked is free again"
            return Finding("stake", CheckStatus.WARNING, told, mend)
        return Finding("stake", CheckStatus.GOOD, told)

    async def announced(self) -> Finding:
        """Where watchers look for the traces of answers."""
        deployed = self._deployment.deployed_block
        found = await endpoint_of(self._rpc, self._staking, self._operator, deployed)
        if found is None:
            mend = (
                "`oracle operator endpoint https://…`, as serve_port is reached from outside: "
                "watchers fetch traces there, and otherwise demand them on chain"
            )
            return Finding("announced endpoint", CheckStatus.WARNING, "none", mend)
        return Finding("announced endpoint", CheckStatus.GOOD, found)

    async def offered(self) -> list[tuple[Model, Offer]]:
        """The operator's standing offers, of models that can be read."""
        standing = await self._offers.standing()
        await self._registry.look_up(standing)
        found = []
        for model_id, offer in standing.items():
            with suppress(NotFound, SchemaError):  # said of the models
                found.append((await self._registry.model(model_id), offer))
        return found

    async def models(self, signer: Address | None, library: ModelLibrary) -> list[Finding]:
        """What is on offer, and whether it can be served."""
        offered = await self.offered()
        found = await lacks(
            self._rpc,
            self._deployment,
            self._operator,
            signer or self._operator,
            library,
            self._registry,
            self._offers,
        )
        wanting = [
            Finding("offers and models", CheckStatus.BAD, one.what, one.next_step)
            for one in found
            if one.kind != "gas"
        ]
        wanting += [
            Finding(
                "offers and models",
                CheckStatus.WARNING,
                f"the offer for {model.name}: {one.what}",
                f"`oracle operator offer 0x{model.id.hex()}`: {one.next_step}",
            )
            for model, offer in offered
            for one in never_matched(model, offer)
        ]
        if not wanting:
            told = "every model on offer is here, and its file is whole"
            return [Finding("offers and models", CheckStatus.GOOD, told)]
        return wanting

    async def prices(self, settings: Settings) -> list[Finding]:
        """Offers whose price does not pay for what they take, where the worth of a fee is known."""
        if not settings.wei_per_opg:
            return []
        policy = Policy(wei_per_opg=settings.wei_per_opg, margin_percent=settings.margin_percent)
        gas_price = (await Gateway(self._rpc).fees()).max_fee
        return [
            Finding(
                "offers and models",
                CheckStatus.WARNING,
                f"the offer for {model.name}: {one.what}",
                f"`oracle operator offer 0x{model.id.hex()}`: {one.next_step}",
            )
            for model, offer in await self.offered()
            if offer.capacity and (one := of_price(model, offer, gas_price, policy)) is not None
        ]

    async def full_requests(
        self, settings: Settings, library: ModelLibrary, *, local: bool
    ) -> list[Finding]:
        """Whether the largest requests that the offers take can be answered by this machine."""
        found, untimed = list[Finding](), 0
        together: list[tuple[Model, Offer, FullRequest]] = []
        status = await self._staking.status(self._operator)
        async with full_requests(
            settings, library, each_seconds=_EACH_SECONDS, all_seconds=_ALL_SECONDS
        ) as timed:
            for model, offer in await self.offered():
                if not offer.capacity:
                    continue
                if await fault_of(model, library) is not None:
                    untimed += 1  # why is said of the models
                    continue
                came = await timed.of(model)
                # The devnet's own operators take deadlines of seconds, whatever comes of it.
                short_on_purpose = local and offer.min_time < LOCAL_MIN_TIME_SECONDS
                if not isinstance(came, FullRequest):
                    untimed += 1
                elif not short_on_purpose:
                    together.append((model, offer, came))
                advice = advice_on(
                    model,
                    offer,
                    status.free,
                    came,
                    settings,
                    short_on_purpose=short_on_purpose,
                )
                for one in advice:
                    if one.note:
                        told = f"{one.what}; {one.next_step}"
                        found.append(Finding(_TIMED, CheckStatus.GOOD, told))
                    else:
                        mend = f"`oracle operator offer 0x{model.id.hex()}`: {one.next_step}"
                        found.append(Finding(_TIMED, CheckStatus.WARNING, one.what, mend))
        margin, confirmations = settings.answer_margin_seconds, settings.confirmations
        if (all_at_once := of_all_places(together, margin, confirmations)) is not None:
            mend = f"`oracle operator offer`: {all_at_once.next_step}"
            found.append(Finding(_TIMED, CheckStatus.WARNING, all_at_once.what, mend))
        if not untimed and not any(one.status is CheckStatus.WARNING for one in found):
            told = "each can be answered by its deadline"
            found.append(Finding(_TIMED, CheckStatus.GOOD, told))
        if not found:
            told = f"not timed: {untimed} on offer, which are not here or damaged"
            found.append(Finding(_TIMED, CheckStatus.GOOD, told))
        return found
