"""The doctor's look at an operator's standing on chain: stake, announced endpoint, offers, models.

Responsible for what will cost money or bring none though nothing fails. Changes nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from oracle.bootstrap.finding import CheckStatus, Finding
from oracle.bootstrap.full_request import advice_on, full_requests
from oracle.bootstrap.offer_advice import LOCAL_MIN_TIME_SECONDS, least_bond, never_matched
from oracle.bootstrap.readiness import fault_of, lacks
from oracle.chain.deployment import Deployment
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
from oracle.settings import Settings

_EACH_SECONDS: Final = 10.0
_ALL_SECONDS: Final = 60.0
"""After so long no other model is timed: who waits for a doctor wants to hear of the rest."""


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

    async def full_requests(
        self, settings: Settings, library: ModelLibrary, *, local: bool
    ) -> list[Finding]:
        """Whether the largest requests that the offers take can be answered by this machine."""
        check, found = "full requests", list[Finding]()
        status = await self._staking.status(self._operator)
        async with full_requests(
            settings, library, each_seconds=_EACH_SECONDS, all_seconds=_ALL_SECONDS
        ) as timed:
            for model, offer in await self.offered():
                if not offer.capacity or await fault_of(model, library) is not None:
                    continue  # said of the models
                advice = advice_on(
                    model,
                    offer,
                    status.free,
                    await timed.of(model),
                    settings,
                    # The devnet's own operators take deadlines of seconds, whatever comes of it.
                    short_on_purpose=local and offer.min_time < LOCAL_MIN_TIME_SECONDS,
                )
                for one in advice:
                    if one.note:
                        told = f"{one.what}; {one.next_step}"
                        found.append(Finding(check, CheckStatus.GOOD, told))
                    else:
                        mend = f"`oracle operator offer 0x{model.id.hex()}`: {one.next_step}"
                        found.append(Finding(check, CheckStatus.WARNING, one.what, mend))
        if not any(one.status is CheckStatus.WARNING for one in found):
            told = "as far as they could be timed, each can be answered by its deadline"
            found.append(Finding(check, CheckStatus.GOOD, told))
        return found
