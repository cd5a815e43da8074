"""From nothing to a chain with contracts, money, models and operators, step by step.

A step that is done already does nothing, so a bring-up that was cut short can be repeated. Knows
nothing of model files, nodes or where keys are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from oracle.chain.contracts import Contracts
from oracle.chain.deployer import deploy
from oracle.chain.deployment import Deployment, DeploymentParameters
from oracle.chain.rpc import Rpc
from oracle.chain.sender import TransactionSender
from oracle.core.model import ModelTerms
from oracle.core.operator import Offer
from oracle.core.schema import ModelSchema
from oracle.core.types import Address
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.anvil import Anvil, AnvilOptions
from oracle.devnet.state import DevnetState
from oracle.errors import ConfigurationError, NotFound, WrongChain

LOG_FILE = "anvil.log"


@dataclass(frozen=True, slots=True)
class Devnet:
    """A running devnet. `fresh` where this call deployed it. `rpc` must be closed."""

    state: DevnetState
    rpc: Rpc
    contracts: Contracts
    fresh: bool

    def sender(self, person: int) -> TransactionSender:
        """A sender with the key of one of the devnet's people."""
        return TransactionSender(self.rpc, signer_of(person))


async def bring_up(
    folder: Path,
    deployment_file: Path,
    options: AnvilOptions | None = None,
    parameters: DeploymentParameters | None = None,
) -> Devnet:
    """A running chain with the contracts on it: the one that runs already, or a new one.

    Args:
        folder: for the devnet's state and anvil's log.
        deployment_file: read if it is this chain's, written otherwise.
        options: for a new chain; by default it outlives this process.

    Raises:
        ConfigurationError: anvil is missing or does not start.
    """
    state = DevnetState.load(folder)
    if state is None or not state.running:
        log_file = folder / LOG_FILE
        anvil = Anvil.start(options or AnvilOptions(outlive_parent=True), log_file)
        state = DevnetState.of(anvil, log_file)
        state.save(folder)
    rpc = await Rpc.connect(state.url, chain_id=state.chain_id)
    try:
        found = await _present(rpc, deployment_file)
        deployment = found or await deploy(
            TransactionSender(rpc, signer_of(Person.DEPLOYER)),
            parameters or DeploymentParameters.devnet(),
        )
        if found is None:
            deployment.save(deployment_file)
    except BaseException:
        await rpc.close()
        raise
    return Devnet(state, rpc, Contracts.at(rpc, deployment), fresh=found is None)


async def fund(
    treasurer: TransactionSender,
    contracts: Contracts,
    account: Address,
    *,
    opg: int = 0,
    wei: int = 0,
) -> None:
    """Tops an account up, so that it has at least so many base units of OPG and so much wei.

    What it has bonded or deposited elsewhere does not count.
    """
    opg_missing = opg - await contracts.token.balance_of(account) if opg else 0
    if opg_missing > 0:
        await treasurer.send(
            contracts.token.address, contracts.token.transfer_data(account, opg_missing)
        )
    wei_missing = wei - await treasurer.gateway.balance(account) if wei else 0
    if wei_missing > 0:
        await treasurer.send(account, value=wei_missing)


async def deposit(requester: TransactionSender, contracts: Contracts, amount: int) -> None:
    """Tops the sender's account at the oracle up to `amount` base units."""
    missing = amount - (await contracts.oracle.account(requester.address)).balance
    if missing > 0:
        await _approve(requester, contracts, contracts.oracle.address, missing)
        await requester.send(
            contracts.oracle.address, contracts.oracle.deposit_data(requester.address, missing)
        )


async def register_model(
    registrar: TransactionSender,
    contracts: Contracts,
    terms: ModelTerms,
    *,
    name: str,
    schema: ModelSchema,
    uri: str,
) -> bytes:
    """The id of the sender's model with these terms; registers it where it is not."""
    model_id = terms.model_id(registrar.address)
    try:
        await contracts.registry.model(model_id)
    except NotFound:
        await registrar.send(
            contracts.registry.address,
            contracts.registry.register_data(terms, name, schema, uri),
        )
    return model_id


async def register_operator(
    owner: TransactionSender,
    contracts: Contracts,
    *,
    signer: Address,
    payout: Address,
    bond: int,
    offers: Mapping[bytes, Offer] | None = None,
) -> None:
    """Makes the sender an operator with at least `bond` base units of free stake and these offers.

    Raises:
        ConfigurationError: it is one already, with another signer or payout address.
    """
    staking = contracts.staking
    try:
        status = await staking.status(owner.address)
    except NotFound:
        await owner.send(staking.address, staking.register_data(signer, payout))
        status = await staking.status(owner.address)
    if (status.signer, status.payout) != (signer, payout):
        raise ConfigurationError(
            f"operator {owner.address} has signer {status.signer} and payout {status.payout}",
            hint="change them with `oracle operator`, or register another owner",
        )
    if status.free < bond:
        await _approve(owner, contracts, staking.address, bond - status.free)
        await owner.send(staking.address, staking.bond_data(owner.address, bond - status.free))
    for model_id, offer in (offers or {}).items():
        if await staking.offer(owner.address, model_id) != offer:
            await owner.send(staking.address, staking.set_offer_data(model_id, offer))


async def _approve(
    owner: TransactionSender, contracts: Contracts, spender: Address, amount: int
) -> None:
    if await contracts.token.allowance(owner.address, spender) < amount:
        await owner.send(contracts.token.address, contracts.token.approve_data(spender, amount))


async def _present(rpc: Rpc, deployment_file: Path) -> Deployment | None:
    """The deployment of the file, if it is on this chain."""
    deployment = Deployment.load_if_there(deployment_file)
    if deployment is None:
        return None
    try:
        await deployment.verify(rpc)
    except WrongChain:
        if deployment.chain_id != rpc.chain_id:
            raise  # of another chain altogether: never overwritten
        return None
    return deployment
