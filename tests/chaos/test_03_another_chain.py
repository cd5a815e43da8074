"""The chain breaks its word: what was final is replaced, or all of it began anew under its id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from oracle.bootstrap.clock import SystemClock
from oracle.bootstrap.node import open_node
from oracle.bootstrap.reset import reset
from oracle.errors import FinalityBroken, WrongChain
from oracle.storage.storage import open_storage
from tests.support.failures import failure, thorough
from tests.support.invariants import check_invariants, settle_down
from tests.support.world import Stage, World, ended, stage, until
from tests.support.world import world as open_world

DEEP = 40
"""Blocks, far more than this chain leaves between its head and what it calls final."""


@pytest.fixture
def final_stage(tmp_path: Path) -> Iterator[Stage]:
    """A devnet of the test's own, which calls blocks final."""
    with stage(tmp_path / "stage", slots_in_an_epoch=1) as started:
        yield started


@pytest.fixture
async def final_world(final_stage: Stage, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(final_stage, tmp_path / "data", undo=False) as opened:
        yield opened


async def grow_final(world: World) -> None:
    """Lengthens the chain, until the node has on record that most of the new blocks are final."""
    before = await world.chain.head()
    await world.chain.mine(DEEP)

    async def on_record() -> bool:
        final = await world.storage.jobs.finalised()
        return final is not None and final.number > before.number

    await until(on_record)


@thorough
@failure(3, "a reorg below finality, while the node runs")
async def test_a_node_stops_where_final_blocks_are_replaced_and_says_what_to_run(
    final_world: World,
) -> None:
    world = final_world
    worker = await world.worker()
    made = await world.ask()
    await world.until_settled(made.id)
    await grow_final(world)
    await world.chain.reorg(DEEP - 1)
    assert await ended(worker) == 4
    log = worker.log_file.read_text()
    assert "which it had called final" in log
    assert "`oracle node reset`" in log

    # And what it says mends it.
    await world.storage.close()
    assert (await reset(world.settings))[0].name == "node.sqlite"
    world.storage = open_storage(world.settings.database_url, SystemClock())
    try:
        async with world.node():
            again = await world.ask()
            await world.until_settled(again.id)
            await settle_down(world)
            await check_invariants(world)
    finally:
        await world.storage.close()


@failure(3, "a reorg below finality, while the node was down")
async def test_a_node_does_not_start_on_a_chain_without_its_final_blocks(
    final_world: World,
) -> None:
    world = final_world
    async with world.node():
        made = await world.ask()
        await world.until_settled(made.id)
        await grow_final(world)
    await world.chain.reorg(DEEP - 1)
    await world.chain.mine(60)
    with pytest.raises(FinalityBroken, match="which it had called final"):
        async with open_node(world.settings, world.operator) as node:
            await node.run()


@failure(3, "a chain that began anew under its old id")
async def test_a_chain_that_began_anew_under_its_old_id_ends_the_node(final_world: World) -> None:
    world = final_world
    worker = await world.worker()
    made = await world.ask()
    await world.until_settled(made.id)
    world.chain.restart()
    try:
        assert await ended(worker) == 4
        log = worker.log_file.read_text()
        assert "began anew" in log
        assert "`oracle node reset`" in log
        with pytest.raises(WrongChain, match="began anew"):
            async with world.node():
                pass
    finally:
        world.chain.kill()
