"""Puts the contracts on a chain.

Responsible for the order: the staking contract and the oracle name each other in immutable fields,
so the oracle's address is worked out from the deployer's nonce first. Knows nothing of its users.
"""

from __future__ import annotations

from typing import Final

from eth_typing import HexAddress, HexStr
from web3.types import Nonce
from web3.utils import get_create_address

from oracle.chain import abi
from oracle.chain.binding import Binding
from oracle.chain.deployment import Deployment, DeploymentParameters
from oracle.chain.sender import TransactionSender
from oracle.chain.token_contract import TokenBinding
from oracle.core.types import ZERO_ADDRESS, Address
from oracle.errors import ChainUnreachable, ConfigurationError

DEVNET_SUPPLY: Final = 10**9 * 10**18
"""OPG base units that the devnet's token mints to its deployer."""


async def deploy_token(sender: TransactionSender, supply: int = DEVNET_SUPPLY) -> Address:
    """A token that stands in for OPG; its supply goes to the sender."""
    code = abi.load("OPGToken").creation_code(sender.address, supply)
    return await _create(sender, code)


async def deploy(
    sender: TransactionSender,
    parameters: DeploymentParameters,
    *,
    token: Address | None = None,
    court: Address | None = None,
) -> Deployment:
    """Deploys registry, staking and oracle.

    Args:
        token: OPG on this chain; without one, a new devnet token is deployed first.
        court: where there is one; it must not change afterwards.

    Raises:
        ConfigurationError: there is no contract at `token`.
        ChainRefused: a contract's constructor or the node refused.
    """
    rpc = sender.rpc
    start = await rpc.latest()
    genesis = await rpc.block(0)
    if genesis is None:
        raise ChainUnreachable(f"{rpc.endpoint} has no block 0")
    if token is None:
        token = await deploy_token(sender)
    elif not await rpc.code(token):
        raise ConfigurationError(f"there is no token at {token} on chain {rpc.chain_id}")
    else:
        await TokenBinding(rpc, token).total_supply()
    judge = court or ZERO_ADDRESS
    registry = await _create(
        sender,
        abi.load("ModelRegistry").creation_code(
            judge, parameters.min_challenge_window, parameters.max_challenge_window
        ),
    )
    nonce = await sender.gateway.next_nonce(sender.address, pending=True)
    creator = HexAddress(HexStr(sender.address))
    expected_oracle = Address(get_create_address(creator, Nonce(nonce + 1)))
    staking = await _create(
        sender,
        abi.load("OperatorStaking").creation_code(
            token, expected_oracle, judge, parameters.exit_delay, parameters.signer_delay
        ),
    )
    oracle = await _create(
        sender,
        abi.load("InferenceOracle").creation_code(
            token,
            staking,
            registry,
            judge,
            parameters.max_ttl,
            parameters.max_challenge_window,
            parameters.dispute_allowance,
        ),
    )
    if oracle != expected_oracle:
        raise ChainUnreachable(
            f"the oracle is at {oracle}, not at {expected_oracle} as the staking contract has it",
            hint="the deploying key sent something else in between: deploy again",
        )
    return Deployment(
        chain_id=rpc.chain_id,
        genesis_hash=genesis.hash,
        deployed_block=start.number,
        token=token,
        registry=registry,
        staking=staking,
        oracle=oracle,
        court=court,
        parameters=parameters,
    )


async def deploy_example(
    sender: TransactionSender, contract_name: str, *arguments: object
) -> Binding:
    """Deploys an example dApp, such as `ChequeClearing`, by its constructor's arguments."""
    code = abi.load(contract_name).creation_code(*arguments)
    return Binding(sender.rpc, contract_name, await _create(sender, code))


async def _create(sender: TransactionSender, creation_code: bytes) -> Address:
    created = (await sender.create(creation_code)).created
    assert created is not None
    return created
