"""What an operator should see to before its node can serve: gas for the signer, models for offers.

Responsible for saying of each lack what it is and what to do about it. Refuses nothing: a node that
lacks something still answers what it can, and goes on once it has it. Changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from oracle.chain.deployment import Deployment
from oracle.chain.gateway import Gateway
from oracle.chain.registry_contract import RegistryBinding
from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.client.market import OwnOffers
from oracle.core.model import Model, had_again, untimely
from oracle.core.types import ZERO_ADDRESS, Address, Tier, format_wad
from oracle.errors import (
    ChainRefused,
    ChainUnreachable,
    ConfigurationError,
    NotFound,
    SchemaError,
)
from oracle.service.funds import (
    GAS_OF_A_REVEAL,
    GAS_OF_AN_ANSWER,
    GAS_OF_THE_LARGEST_ANSWER,
    FundsPolicy,
    gas_in_words,
    gas_of,
)

_KEPT: Final = FundsPolicy()
"""As a node keeps it where its settings name no amounts."""

COMFORTABLE_ANSWERS: Final = 1_000
"""As many small ones are suggested, beside what is kept for large ones and traces demanded."""

UNANSWERED: Final = "a request that the offer takes will go unanswered, and cost twice its fee"


class Stored(Protocol):
    """What this machine holds of models."""

    def has(self, digest: bytes, tier: Tier) -> bool: ...

    def damage(self, digest: bytes, tier: Tier) -> str | None: ...


class Registrations(Protocol):
    """Models by id, looked up several at once."""

    async def look_up(self, model_ids: Collection[bytes]) -> None: ...
    async def model(self, model_id: bytes) -> Model: ...


@dataclass(frozen=True, slots=True)
class SignerGas:
    """What the signer's key has of the chain's coin, and what gas costs now, in wei."""

    signer: Address
    balance_wei: int
    price_wei: int

    @property
    def answers(self) -> int:
        """How many small answers it pays for, if it pays for nothing else."""
        return self.balance_wei // max(1, GAS_OF_AN_ANSWER * self.price_wei)

    @property
    def largest_answers(self) -> int:
        """How many answers of the largest result it pays for, if it pays for nothing else."""
        return self.balance_wei // max(1, GAS_OF_THE_LARGEST_ANSWER * self.price_wei)

    @property
    def reveals(self) -> int:
        """How many of the largest reveals it pays for, if it pays for nothing else."""
        return self.balance_wei // max(1, GAS_OF_A_REVEAL * self.price_wei)

    @property
    def enough(self) -> bool:
        """Whether the operator need not be warned."""
        gas = gas_of(_KEPT.minimum_answers, _KEPT.minimum_largest, _KEPT.minimum_reveals)
        return self.balance_wei >= gas * self.price_wei

    @property
    def suggested_wei(self) -> int:
        """What to send to it."""
        gas = gas_of(COMFORTABLE_ANSWERS, _KEPT.minimum_largest, _KEPT.minimum_reveals)
        return max(0, gas * self.price_wei - self.balance_wei)

    @property
    def in_words(self) -> str:
        """What it pays for."""
        return f"{gas_in_words(self.balance_wei, self.price_wei)} at today's price"


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that is missing: what, and the next step.

    Attributes:
        model_id: what is offered, of kind `model`.
    """

    kind: Literal["gas", "model", "unchecked"]
    what: str
    next_step: str
    model_id: bytes | None = None

    def as_facts(self) -> dict[str, str]:
        """By name, for scripts."""
        return {"kind": self.kind, "what": self.what, "next": self.next_step}


async def require_registered(rpc: Rpc, deployment: Deployment, operator: Address) -> None:
    """Raises ConfigurationError where the chain knows no such operator, or ChainUnreachable."""
    staking = StakingBinding(rpc, deployment.staking)
    if await staking.signer_of(operator, pending=True) == ZERO_ADDRESS:
        raise ConfigurationError(
            f"{operator} is not registered as an operator on chain {deployment.chain_id}",
            hint="`oracle operator init`",
        )


async def signer_gas(rpc: Rpc, signer: Address) -> SignerGas:
    """Raises ChainUnreachable."""
    gateway = Gateway(rpc)
    fees = await gateway.fees()
    return SignerGas(signer, await gateway.balance(signer), fees.max_fee)


def lack_of_gas(gas: SignerGas) -> Lack | None:
    if gas.enough:
        return None
    return Lack(
        "gas",
        f"{gas.signer} pays for gas and holds {format_wad(gas.balance_wei)} of the chain's coin: "
        f"{gas.in_words}",
        f"send {format_wad(gas.suggested_wei)} of the coin to {gas.signer}, for "
        f"{COMFORTABLE_ANSWERS:,} small answers, {_KEPT.minimum_largest} of the largest results "
        f"and {_KEPT.minimum_reveals} of the largest demands",
    )


async def lacks(
    rpc: Rpc,
    deployment: Deployment,
    operator: Address,
    signer: Address,
    stored: Stored,
    registry: RegistryBinding | None = None,
    offers: OwnOffers | None = None,
) -> list[Lack]:
    """All that is missing; says so, too, where the chain does not let it be found out.

    Args:
        registry: keeps what is read of the models on offer; a new one by default.
        offers: keeps what is read of the offers; a new one by default.
    """
    try:
        found = [lack_of_gas(await signer_gas(rpc, signer))]
        staking = StakingBinding(rpc, deployment.staking)
        offers = offers or OwnOffers(rpc, staking, operator, deployment.deployed_block)
        registry = registry or RegistryBinding(
            rpc, deployment.registry, deployed_block=deployment.deployed_block
        )
        allowance = deployment.parameters.dispute_allowance
        found += await missing_models(
            registry, await offers.standing(), stored, allowance, operator
        )
    except (ChainUnreachable, ChainRefused) as error:
        return [
            Lack(
                "unchecked",
                f"gas and models could not be checked: {error.message}",
                "`oracle node status`, once the endpoint answers",
            )
        ]
    return [one for one in found if one is not None]


async def missing_models(
    registry: Registrations,
    offered: Collection[bytes],
    stored: Stored,
    allowance: int,
    operator: Address,
) -> list[Lack]:
    """What keeps an operator from serving its offers. Raises ChainUnreachable or ChainRefused."""
    await registry.look_up(offered)
    found = []
    for model_id in sorted(offered):
        shown = f"0x{model_id.hex()}"
        take_back = (
            f"take it back: oracle operator offer {shown} --capacity 0 --price 0 --max-bond 0"
        )
        try:
            model = await registry.model(model_id)
        except (NotFound, SchemaError) as error:
            what = f"there is an offer for {shown}, which cannot be served: {error.message}"
            found.append(Lack("model", what, take_back, model_id))
            continue
        reason = untimely(model.terms.reveal_window, allowance)
        if reason is not None:
            what = f"there is an offer for {model.name} ({shown}), which is not to be: {reason}"
            found.append(Lack("model", what, take_back, model_id))
        if (fault := await fault_of(model, stored)) is not None:
            what = f"there is an offer for {model.name} ({shown}), and {fault}: {UNANSWERED}"
            found.append(Lack("model", what, had_again(model, operator), model_id))
    return found


async def fault_of(model: Model, stored: Stored) -> str | None:
    """Why a model cannot be run here, as far as its file goes."""
    root, tier = model.terms.program_root, model.terms.tier
    if not stored.has(root, tier):
        return "the model is not here"
    return await asyncio.to_thread(stored.damage, root, tier)
