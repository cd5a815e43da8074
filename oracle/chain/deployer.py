"""Puts the contracts on a chain.

Responsible for the order: registry, staking, oracle and court name each other in immutable fields,
so some addresses are worked out from the deployer's nonce first. Knows nothing of its users.
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
from oracle.core.types import Address
from oracle.errors import ChainUnreachable, ConfigurationError

DEVNET_SUPPLY: Final = 10**9 * 10**18
"""OPG base units that the devnet's token mints to its deployer."""

RULES: Final = (
    "ArithmeticRules",
    "ElementaryRules",
    "SelectionRules",
    "QuantisedRules",
    "SumRules",
)
"""Contracts of the court's rules, in the order of `FraudVerifier`'s constructor."""


async def deploy_token(sender: TransactionSender, supply: int = DEVNET_SUPPLY) -> Address:
    """A token that stands in for OPG; its supply goes to the sender."""
    code = abi.load("OPGToken").creation_code(sender.address, supply)
    return await _create(sender, code)


async def deploy(
    sender: TransactionSender,
    parameters: DeploymentParameters,
    *,
    token: Address | None = None,
) -> Deployment:
    """Deploys registry, staking, oracle, the court with its verifier, answers in views and their
    credit.

    Args:
        token: OPG on this chain; without one, a new devnet token is deployed first.

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
    verifier = await deploy_verifier(sender)
    nonce = await sender.gateway.next_nonce(sender.address, pending=True)
    # In this order: registry, staking, oracle, court.
    expected_oracle, expected_court = (_address_at(sender, nonce + place) for place in (2, 3))
    registry = await _create(
        sender,
        abi.load("ModelRegistry").creation_code(
            expected_court, parameters.min_challenge_window, parameters.max_challenge_window
        ),
    )
    staking = await _create(
        sender,
        abi.load("OperatorStaking").creation_code(
            token,
            expected_oracle,
            expected_court,
            parameters.exit_delay,
            parameters.signer_delay,
        ),
    )
    oracle = await _create(
        sender,
        abi.load("InferenceOracle").creation_code(
            token,
            staking,
            registry,
            expected_court,
            parameters.max_ttl,
            parameters.max_challenge_window,
            parameters.dispute_allowance,
        ),
    )
    court = await _create(
        sender,
        abi.load("DisputeManager").creation_code(
            oracle,
            verifier,
            parameters.reveal_deposit,
            parameters.announcement_age,
            parameters.priority_period,
        ),
    )
    for name, made, expected in (
        ("oracle", oracle, expected_oracle),
        ("court", court, expected_court),
    ):
        if made != expected:
            raise ChainUnreachable(
                f"the {name} is at {made}, not at {expected} as the other contracts have it",
                hint="the deploying key sent something else in between: deploy again",
            )
    views = await _create(sender, abi.load("AnswerViews").creation_code(oracle))
    credit = await _create(
        sender, abi.load("ViewCredit").creation_code(token, parameters.credit_delay)
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
        verifier=verifier,
        parameters=parameters,
        views=views,
        credit=credit,
    )


async def deploy_verifier(sender: TransactionSender) -> Address:
    """What the court asks about proofs, and its rules. It has no state and serves any court."""
    rules = [await _create(sender, abi.load(name).creation_code()) for name in RULES]
    return await _create(sender, abi.load("FraudVerifier").creation_code(*rules))


async def deploy_example(
    sender: TransactionSender, contract_name: str, *arguments: object
) -> Binding:
    """Deploys an example dApp, such as `ChequeClearing`, by its constructor's arguments."""
    code = abi.load(contract_name).creation_code(*arguments)
    return Binding(sender.rpc, contract_name, await _create(sender, code))


def _address_at(sender: TransactionSender, nonce: int) -> Address:
    """Where the sender's transaction of that nonce creates a contract."""
    return Address(get_create_address(HexAddress(HexStr(sender.address)), Nonce(nonce)))


async def _create(sender: TransactionSender, creation_code: bytes) -> Address:
    created = (await sender.create(creation_code)).created
    assert created is not None
    return created
