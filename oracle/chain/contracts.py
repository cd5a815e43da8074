"""All contracts of one deployment, bound to one endpoint."""

from __future__ import annotations

from dataclasses import dataclass

from oracle.chain.court_contract import CourtBinding
from oracle.chain.deployment import Deployment
from oracle.chain.oracle_contract import OracleBinding
from oracle.chain.registry_contract import RegistryBinding
from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.chain.token_contract import TokenBinding


@dataclass(frozen=True, slots=True)
class Contracts:
    """The bindings, and where they came from."""

    rpc: Rpc
    deployment: Deployment
    oracle: OracleBinding
    staking: StakingBinding
    registry: RegistryBinding
    token: TokenBinding
    court: CourtBinding

    @classmethod
    def at(cls, rpc: Rpc, deployment: Deployment) -> Contracts:
        """Binds without asking the chain; see `Deployment.verify`."""
        return cls(
            rpc=rpc,
            deployment=deployment,
            oracle=OracleBinding(rpc, deployment.oracle),
            staking=StakingBinding(rpc, deployment.staking),
            registry=RegistryBinding(
                rpc, deployment.registry, deployed_block=deployment.deployed_block
            ),
            token=TokenBinding(rpc, deployment.token),
            court=CourtBinding(rpc, deployment.court),
        )
