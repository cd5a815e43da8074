"""What an operator should see to before its node can serve: gas for the signer, models for offers.

Responsible for saying of each lack what it is and what to do about it. Refuses nothing: a node that
lacks something still answers what it can, and goes on once it has it. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from oracle.chain.deployment import Deployment
from oracle.chain.gateway import Gateway
from oracle.chain.registry_contract import RegistryBinding
from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.client.market import offers_of
from oracle.core.types import Address, format_wad
from oracle.errors import ChainRefused, ChainUnreachable, NotFound, SchemaError

GAS_OF_AN_ANSWER: Final = 150_000
"""An answer and its settlement, each sent alone, with room (`oracle bench gas`)."""

FEW_ANSWERS: Final = 20
"""Below this many the operator is warned."""

COMFORTABLE_ANSWERS: Final = 1_000
"""As many are suggested."""


class Stored(Protocol):
    """What this machine holds of models."""

    def has(self, digest: bytes) -> bool: ...


@dataclass(frozen=True, slots=True)
class SignerGas:
    """What the signer's key has of the chain's coin, and what an answer costs now, in wei."""

    signer: Address
    balance_wei: int
    answer_wei: int

    @property
    def answers(self) -> int:
        """How many answers it pays for."""
        return self.balance_wei // max(1, self.answer_wei)

    @property
    def suggested_wei(self) -> int:
        """What to send to it."""
        return max(0, COMFORTABLE_ANSWERS * self.answer_wei - self.balance_wei)


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that is missing: what, and the next step."""

    kind: Literal["gas", "model", "unchecked"]
    what: str
    next_step: str

    def as_facts(self) -> dict[str, str]:
        """By name, for scripts."""
        return {"kind": self.kind, "what": self.what, "next": self.next_step}


async def signer_gas(rpc: Rpc, signer: Address) -> SignerGas:
    """Raises ChainUnreachable."""
    gateway = Gateway(rpc)
    fees = await gateway.fees()
    return SignerGas(signer, await gateway.balance(signer), GAS_OF_AN_ANSWER * fees.max_fee)


def lack_of_gas(gas: SignerGas) -> Lack | None:
    if gas.answers >= FEW_ANSWERS:
        return None
    return Lack(
        "gas",
        f"the signer {gas.signer} holds {format_wad(gas.balance_wei)} of the chain's coin: gas for "
        f"{gas.answers} answers at today's price",
        f"send {format_wad(gas.suggested_wei)} of the coin to {gas.signer}, for "
        f"{COMFORTABLE_ANSWERS:,} answers",
    )


async def lacks(
    rpc: Rpc, deployment: Deployment, operator: Address, signer: Address, stored: Stored
) -> list[Lack]:
    """All that is missing; says so, too, where the chain does not let it be found out."""
    try:
        found = [lack_of_gas(await signer_gas(rpc, signer))]
        staking = StakingBinding(rpc, deployment.staking)
        offered = await offers_of(rpc, staking, operator, deployment.deployed_block)
        registry = RegistryBinding(
            rpc, deployment.registry, deployed_block=deployment.deployed_block
        )
        found += await _missing_models(registry, offered, stored)
    except (ChainUnreachable, ChainRefused) as error:
        return [
            Lack(
                "unchecked",
                f"gas and models could not be checked: {error.message}",
                "`oracle node status`, once the endpoint answers",
            )
        ]
    return [one for one in found if one is not None]


async def _missing_models(
    registry: RegistryBinding, offered: Collection[bytes], stored: Stored
) -> list[Lack]:
    found = []
    for model_id in sorted(offered):
        shown = f"0x{model_id.hex()}"
        try:
            model = await registry.model(model_id)
        except (NotFound, SchemaError) as error:
            what = f"there is an offer for {shown}, which cannot be served: {error.message}"
            take_back = f"take it back: oracle operator offer {shown} --capacity 0"
            found.append(Lack("model", what, f"{take_back} --price 0 --max-bond 0"))
            continue
        if not stored.has(model.terms.program_root):
            found.append(
                Lack(
                    "model",
                    f"there is an offer for {model.name} ({shown}), and the model is not here: "
                    "a request that the offer takes will go unanswered, and cost twice its fee",
                    f"oracle model fetch {shown}",
                )
            )
    return found
