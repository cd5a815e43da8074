"""The chain's classes are what the services' ports ask for; mypy is the test."""

from __future__ import annotations

from oracle import ports
from oracle.chain.contracts import Contracts
from oracle.chain.gateway import Gateway
from oracle.chain.reader import Reader
from oracle.devnet.accounts import Person, signer_of
from tests.support.anvil import Chain


async def test_ports(anvil: Chain, contracts: Contracts) -> None:
    reader: ports.ChainReader = await Reader.open(anvil.rpc, contracts.oracle.address)
    oracle: ports.OracleContract = contracts.oracle
    staking: ports.StakingContract = contracts.staking
    registry: ports.RegistryContract = contracts.registry
    gateway: ports.TransactionGateway = Gateway(anvil.rpc)
    signer: ports.Signer = signer_of(Person.SIGNER)
    assert reader.domain.verifying_contract == oracle.address
    assert signer.address
    assert staking
    assert registry
    assert gateway
