"""The index follows a chain that forks, lags and is replaced; on a real anvil where it can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.chain.protocol_reader import Chapter, ProtocolReader
from oracle.core.chronicle import Standing
from oracle.core.event import BlockRef
from oracle.core.types import Address, Tier
from oracle.errors import WrongChain
from oracle.explorer.completeness import Completeness
from oracle.explorer.follow import Follow, FollowPolicy
from tests.explorer.indexing import Index, open_index
from tests.support.world import DIGITS, OPG, World


def policy(world: World) -> FollowPolicy:
    return FollowPolicy(start_block=world.deployment.deployed_block)


async def follow_of(world: World, index: Index) -> Follow:
    reader = await ProtocolReader.open(world.chain.rpc, world.deployment)
    return Follow(reader, index.store, counted(world, index), policy(world))


def counted(world: World, index: Index) -> Completeness:
    deployed = world.deployment.deployed_block
    return Completeness(world.contracts.staking, index.store, deployed)


@pytest.mark.anvil
async def test_a_fork_takes_back_what_it_replaced(
    own_world: World, index: Index, tmp_path: Path
) -> None:
    chain, follow = own_world.chain, await follow_of(own_world, index)
    assert await follow.cycle()
    assert not await follow.cycle(), "nothing new"
    made = await own_world.ask()
    await follow.cycle()
    record = await index.lookup.request(made.id)
    assert record is not None
    assert record.state is Standing.ACCEPTED
    assert record.operator == own_world.operator
    assert record.input_bytes == 256
    tally = (await index.lookup.totals()).tally
    assert (tally.requests, tally.locked) == (1, made.request.bond)

    raw = await chain.raw_transaction(made.sent.hash)
    await chain.reorg(1)
    await chain.mine()
    await follow.cycle()
    assert await index.lookup.request(made.id) is None
    assert await index.lookup.entries(made.id) == []
    assert (await index.lookup.totals()).tally.requests == 0

    await chain.mine(2)
    await follow.cycle()
    await chain.reorg(2, [(raw, 1)])
    await chain.mine()
    await follow.cycle()
    again = await index.lookup.request(made.id)
    assert again is not None
    assert again.created_block > record.created_block
    async with open_index(tmp_path / "fresh.sqlite") as fresh:
        await (await follow_of(own_world, fresh)).cycle()
        without = ("explorer_identity", "blocks")
        assert await index.everything(but=without) == await fresh.everything(but=without)


@pytest.mark.anvil
async def test_everything_of_a_deployment_is_found(world: World, index: Index) -> None:
    await (await follow_of(world, index)).cycle()
    model = await index.lookup.model_named(DIGITS)
    known = await world.contracts.registry.model(world.models[DIGITS])
    assert model is not None
    assert model.model_id == known.id
    assert (model.registrar, model.schema) == (known.registrar, known.schema.to_json())
    assert (Tier(model.tier), model.epsilon) == (known.terms.tier, known.terms.epsilon)
    (operator,) = await index.lookup.operators()
    status = await world.contracts.staking.status(world.operator)
    assert operator.operator == world.operator
    assert (operator.stake, operator.signer) == (status.stake, status.signer)
    (offer,) = await index.lookup.offers(model_id=model.model_id)
    assert (offer.operator, offer.price) == (world.operator, OPG)


class Blocks:
    """A made-up chain whose blocks a test replaces."""

    genesis_hash = b"g" * 32

    def __init__(self) -> None:
        self.blocks = {0: BlockRef(0, self.genesis_hash, 0)}
        self.grow(8)

    def grow(self, to: int, fork: str = "a") -> None:
        for number in range(1, to + 1):
            if number not in self.blocks:
                self.blocks[number] = BlockRef(number, f"{fork}{number}".encode().ljust(32), number)

    async def accepted(self, operator: Address, block: int) -> int:
        return 0

    async def head(self) -> BlockRef:
        return self.blocks[max(self.blocks)]

    async def block(self, number: int) -> BlockRef | None:
        return self.blocks.get(number)

    async def chapter(self, first_block: int, last_block: int) -> Chapter:
        return Chapter(first_block, self.blocks[last_block], (), {})


@pytest.fixture
async def made_up(index: Index) -> tuple[Blocks, Follow]:
    blocks = Blocks()
    completeness = Completeness(blocks, index.store, 1)
    follow = Follow(blocks, index.store, completeness, FollowPolicy(start_block=1))  # type: ignore[arg-type]
    await follow.cycle()
    return blocks, follow


async def test_a_head_behind_what_was_read_changes_nothing(
    made_up: tuple[Blocks, Follow], index: Index
) -> None:
    blocks, follow = made_up
    for number in (6, 7, 8):
        del blocks.blocks[number]
    assert not await follow.cycle()
    (cursor, *_) = await index.store.recent_blocks()
    assert cursor.number == 8


async def test_a_fork_below_everything_that_was_stood_on_is_read_from_the_start(
    made_up: tuple[Blocks, Follow], index: Index
) -> None:
    blocks, follow = made_up
    blocks.blocks = {0: blocks.blocks[0]}
    blocks.grow(9, "b")
    assert await follow.cycle()
    assert await index.store.recent_blocks() == [blocks.blocks[9]]


async def test_another_chain_is_not_followed(made_up: tuple[Blocks, Follow]) -> None:
    blocks, follow = made_up
    blocks.blocks = {0: BlockRef(0, b"h" * 32, 0)}
    blocks.grow(9, "c")
    with pytest.raises(WrongChain, match="replaced by another"):
        await follow.cycle()
