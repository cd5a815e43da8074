"""Offers as a node reads them again and again: an endpoint whose state lags behind its logs."""

from __future__ import annotations

from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.client.market import OwnOffers
from oracle.core.operator import Offer
from tests.support.fault_proxy import fault_proxy, frozen
from tests.support.scene import Scene


async def test_an_offer_is_read_as_of_the_block_up_to_which_its_logs_were(scene: Scene) -> None:
    owner, staking = scene.owner, scene.contracts.staking
    first, second = Offer(1, 2, 3, 4, 5, 6), Offer(2, 2, 3, 4, 5, 6)
    await owner.send(staking.address, staking.set_offer_data(scene.model_id, first))
    before = (await scene.chain.head()).number
    await owner.send(staking.address, staking.set_offer_data(scene.model_id, second))
    async with fault_proxy(scene.chain.url) as proxy, await Rpc.connect(proxy.url) as rpc:
        offers = OwnOffers(rpc, StakingBinding(rpc, staking.address), owner.address, 0)
        proxy.on("eth_call", frozen(before))  # behind, where it is asked for its latest state
        assert await offers.standing() == {scene.model_id: second}
