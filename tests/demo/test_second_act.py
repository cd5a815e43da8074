"""The second act on a real chain: who lost and gained, as the chain's own books have it."""

from __future__ import annotations

from oracle.bootstrap.devnet import ReadyDevnet
from oracle.core.request import RequestState
from oracle.demo import second_act
from oracle.demo.scenario import prepare
from oracle.devnet.bring_up import Devnet
from oracle.devnet.state import DevnetState
from tests.support.failures import thorough
from tests.support.watching import revealing
from tests.support.world import DIGITS, World

CHEAT = "scripts.dishonest_operator"


@thorough
async def test_the_bond_is_shared_out_and_the_payers_money_is_not_touched(world: World) -> None:
    chain = world.chain
    await chain.rpc.request("evm_setIntervalMining", [1])
    state = DevnetState.of(chain.anvil, world.settings.data_dir / "anvil.log")
    models = {**world.models, DIGITS: await revealing(world, window=600)}
    ready = ReadyDevnet(
        Devnet(state, chain.rpc, world.contracts, fresh=False),
        models,
        world.operator,
        world.settings.data_dir / "oracle.toml",
    )
    cast = await prepare(ready)
    said: list[str] = []
    stage = await second_act.set_stage(cast, world.settings, CHEAT, said.append)
    try:
        story = await second_act.play(cast, stage, said.append)
    finally:
        await stage.pursuit.clear()
        await chain.rpc.request("evm_setIntervalMining", [0])
    assert await world.state(story["request"]) is RequestState.SLASHED
    changes = {row["who"].partition(" (")[0]: row["change_opg"] for row in story["who"]}
    assert story["slashed_opg"] == "5000"
    assert changes == {
        "the operator's stake": "-5000",
        "the payer's money in the dApp": "0",
        "the payee, for whom the dApp asked": "+1000",
        "the watcher's reward": "+1500",
        "burned, with what silence cost before": "+2500",
    }
    text = "\n".join(said)
    blocks = story["blocks_from_answer_to_conviction"]
    assert f"{blocks} blocks after it was given, announcing included" in text
    assert "20% to the requester, 30% to the watcher, 50% burned" in text
    assert story["announcement_gas"] > 0
    assert story["proof_gas"] > story["announcement_gas"]
    assert "claimed" in story["wrong"]
