"""A devnet from nothing, again, and after it began anew."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from oracle.chain.deployment import Deployment
from oracle.core.operator import Offer
from oracle.devnet.accounts import Person
from oracle.devnet.anvil import AnvilOptions
from oracle.devnet.bring_up import (
    Devnet,
    bring_up,
    deposit,
    fund,
    register_model,
    register_operator,
)
from oracle.errors import WrongChain
from tests.support.anvil import random_chain_id
from tests.support.scene import OPG, SCHEMA, terms

pytestmark = pytest.mark.anvil


async def populate(devnet: Devnet) -> bytes:
    """A model, an operator with an offer, and a requester: what the demo needs."""
    contracts, treasurer = devnet.contracts, devnet.sender(Person.DEPLOYER)
    owner, requester = devnet.sender(Person.OWNER), devnet.sender(Person.REQUESTER)
    model_id = await register_model(
        owner, contracts, terms(), name="m", schema=SCHEMA, uri="file:///m.onnx"
    )
    await fund(treasurer, contracts, owner.address, opg=100 * OPG)
    await fund(treasurer, contracts, requester.address, opg=50 * OPG)
    await register_operator(
        owner,
        contracts,
        signer=devnet.sender(Person.SIGNER).address,
        payout=devnet.sender(Person.PAYOUT).address,
        bond=100 * OPG,
        offers={model_id: Offer(OPG, 20 * OPG, 4, 30, 60, 0)},
    )
    await deposit(requester, contracts, 20 * OPG)
    return model_id


async def test_up_again_and_anew(tmp_path: Path) -> None:
    file = tmp_path / "deployment.json"
    options = AnvilOptions(chain_id=random_chain_id())
    first = await bring_up(tmp_path, file, options)
    async with first.rpc:
        assert first.fresh
        assert Deployment.load(file) == first.contracts.deployment
        model_id = await populate(first)
        head = await first.rpc.latest()
        assert await populate(first) == model_id
        status = await first.contracts.staking.status(first.sender(Person.OWNER).address)
        assert (status.free, status.stake) == (100 * OPG, 100 * OPG)
        # Both had spent their tokens, so they were funded again; everything else was there.
        assert (await first.rpc.latest()).number == head.number + 2

    again = await bring_up(tmp_path, file, options)
    async with again.rpc:
        assert not again.fresh
        assert again.state == first.state
        assert again.contracts.deployment == first.contracts.deployment
    assert again.state.stop(tmp_path)

    await asyncio.sleep(1.1)  # a genesis block differs by its second
    anew = await bring_up(tmp_path, file, options)
    async with anew.rpc:
        assert anew.fresh
        assert anew.contracts.deployment.genesis_hash != first.contracts.deployment.genesis_hash
    assert anew.state.stop(tmp_path)


async def test_another_chains_deployment_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "deployment.json"
    first = await bring_up(tmp_path / "one", file, AnvilOptions(chain_id=random_chain_id()))
    await first.rpc.close()
    assert first.state.stop(tmp_path / "one")
    before = file.read_bytes()
    with pytest.raises(WrongChain):
        await bring_up(tmp_path / "two", file, AnvilOptions(chain_id=random_chain_id()))
    assert file.read_bytes() == before
