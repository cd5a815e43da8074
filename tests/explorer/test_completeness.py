"""What an endpoint left out is noticed by the contract's counts, read again, and said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from oracle.chain.protocol_reader import Chapter, ProtocolReader
from oracle.core.event import BlockRef, LoggedEvent
from oracle.core.types import ZERO_ADDRESS, Address
from oracle.errors import ChainUnreachable
from oracle.explorer.completeness import EVERY_SECONDS, Completeness
from oracle.explorer.follow import Follow, FollowPolicy
from tests.explorer.indexing import Index
from tests.support.world import World

OPERATOR, OTHER = Address("0x" + "11" * 20), Address("0x" + "22" * 20)
CURSOR = BlockRef(90, b"c" * 32, 1_000)


class Forgetful(ProtocolReader):
    """Leaves out all logs of one request, as long as it is told to."""

    left_out: bytes | None = None

    async def chapter(self, first_block: int, last_block: int) -> Chapter:
        found = await super().chapter(first_block, last_block)
        return replace(found, events=tuple(self._kept(found.events)))

    def _kept(self, events: Sequence[LoggedEvent]) -> list[LoggedEvent]:
        return [
            one
            for one in events
            if self.left_out is None or getattr(one, "request_id", None) != self.left_out
        ]


class Clock:
    def __init__(self) -> None:
        self.now = 5_000.0

    def __call__(self) -> float:
        return self.now


class Counted:
    """An index and a contract that count as a test says."""

    def __init__(self) -> None:
        self.index: dict[Address, int] = {OPERATOR: 3, OTHER: 0}
        self.chain: dict[Address, int] = {OPERATOR: 3, OTHER: 0}
        self.asked_of: list[int] = []
        self.unreachable = False

    async def bound(self) -> Mapping[Address, int]:
        return self.index

    async def accepted(self, operator: Address, block: int) -> int:
        if self.unreachable:
            raise ChainUnreachable("no state of that block")
        self.asked_of.append(block)
        return self.chain[operator]


class Chain:
    """Empty blocks up to a height; `read` are the ranges that were asked for."""

    genesis_hash = b"g" * 32

    def __init__(self, height: int) -> None:
        self.height = height
        self.pruned = False
        self.read: list[tuple[int, int]] = []

    async def head(self) -> BlockRef:
        return await self.block(self.height)

    async def block(self, number: int) -> BlockRef:
        return BlockRef(number, number.to_bytes(32), number)

    async def chapter(self, first_block: int, last_block: int) -> Chapter:
        if first_block == 1 and self.pruned:
            raise ChainUnreachable("history has been pruned")
        self.read.append((first_block, last_block))
        return Chapter(first_block, await self.block(last_block), (), {})


async def incomplete(
    chain: Chain, clock: Clock, counted: Counted, index: Index
) -> tuple[Completeness, Follow]:
    """An index that has read the chain, and is due to find that it lacks something."""
    completeness = Completeness(counted, counted, 1, clock=clock)
    policy = FollowPolicy(start_block=1, range_blocks=2)
    follow = Follow(chain, index.store, completeness, policy)  # type: ignore[arg-type]
    await follow.cycle()
    completeness.rewound(-1)
    counted.chain[OPERATOR] += 1
    clock.now += EVERY_SECONDS
    return completeness, follow


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def completeness(counted: Counted, clock: Clock) -> Completeness:
    return Completeness(counted, counted, 10, clock=clock)


async def test_what_is_complete_is_counted_seldom(
    completeness: Completeness, counted: Counted, clock: Clock
) -> None:
    assert await completeness.check(CURSOR) is None
    assert counted.asked_of == [90, 90]
    clock.now += EVERY_SECONDS - 1
    assert await completeness.check(CURSOR) is None
    assert len(counted.asked_of) == 2, "not due"
    clock.now += 1
    assert await completeness.check(CURSOR) is None
    assert len(counted.asked_of) == 4
    assert completeness.trouble is None


async def test_what_is_missing_is_read_again_ever_more_seldom(
    completeness: Completeness, counted: Counted, clock: Clock
) -> None:
    counted.chain[OPERATOR] = 5
    looked = []
    for _ in range(3 * 3_600):
        if await completeness.check(CURSOR) is not None:
            looked.append(clock.now)
        clock.now += 1
    pauses = [later - earlier for earlier, later in pairwise(looked)]
    assert pauses == [15, 30, 60, 120, 240, 480, 960, 1_920, 3_600]
    assert "lack 2 of the requests that bound" in (completeness.trouble or "")
    assert OPERATOR in (completeness.trouble or "")
    assert OTHER not in (completeness.trouble or "")

    counted.index[OPERATOR] = 5
    assert await completeness.complete(CURSOR)
    assert completeness.trouble is None


async def test_it_is_read_again_from_where_it_was_complete(
    completeness: Completeness, counted: Counted, clock: Clock
) -> None:
    assert await completeness.check(CURSOR) is None
    counted.chain[OTHER] = 1
    clock.now += EVERY_SECONDS
    assert await completeness.check(replace(CURSOR, number=120)) == 91
    completeness.rewound(40)
    clock.now += EVERY_SECONDS
    assert await completeness.check(replace(CURSOR, number=120)) == 41


async def test_an_index_that_has_more_is_none_of_its_business(
    completeness: Completeness, counted: Counted
) -> None:
    counted.index[OPERATOR] = 7
    assert await completeness.check(CURSOR) is None
    assert completeness.trouble is None


async def test_a_count_that_cannot_be_read_is_said(
    completeness: Completeness, counted: Counted
) -> None:
    counted.unreachable = True
    assert await completeness.check(CURSOR) is None, "nothing says that anything is missing"
    assert "cannot be read: no state of that block" in (completeness.trouble or "")


@pytest.mark.anvil
async def test_requests_that_an_endpoint_left_out_are_found(own_world: World, index: Index) -> None:
    """The first look is complete; a later one lacks a request, until the endpoint has it again."""
    clock = Clock()
    reader = await Forgetful.open(own_world.chain.rpc, own_world.deployment)
    assert isinstance(reader, Forgetful)
    deployed = own_world.deployment.deployed_block
    completeness = Completeness(own_world.contracts.staking, index.store, deployed, clock=clock)
    follow = Follow(reader, index.store, completeness, FollowPolicy(start_block=deployed))
    told = await own_world.ask()
    await follow.cycle()
    assert await index.lookup.request(told.id) is not None
    assert completeness.trouble is None

    made = await own_world.ask()
    reader.left_out = made.id
    clock.now += EVERY_SECONDS
    await follow.cycle()
    assert await index.lookup.request(made.id) is None
    assert f"lack 1 of the requests that bound {own_world.operator}" in (completeness.trouble or "")

    reader.left_out = None
    clock.now += EVERY_SECONDS
    await own_world.chain.mine()
    await follow.cycle()
    record = await index.lookup.request(made.id)
    assert record is not None
    assert record.operator == own_world.operator
    assert (await index.lookup.totals()).tally.requests == 2
    assert completeness.trouble is None
    assert (await index.lookup.cursor()) == follow.head


async def test_what_is_new_does_not_wait_for_what_is_read_again(index: Index) -> None:
    """A thousand blocks are read again, sixteen a cycle, and new ones meanwhile."""
    chain, clock, counted = Chain(1_000), Clock(), Counted()
    completeness, follow = await incomplete(chain, clock, counted, index)
    assert len(chain.read) == 500
    for cycle in range(3):
        chain.read.clear()
        chain.height += 1
        await follow.cycle()
        new, *again = chain.read
        assert new == (chain.height, chain.height)
        assert [first for first, _ in again] == [16 * cycle + 1 + 2 * one for one in range(8)]
    while follow._again is not None:
        await follow.cycle()
    assert chain.read[-1] == (1_001, 1_001)
    assert "lack 1 of" in (completeness.trouble or "")
    assert not await follow.cycle(), "nothing is due"


async def test_a_range_that_cannot_be_read_again_costs_a_look_a_pause(index: Index) -> None:
    """Of pruned logs, say: what is new is read as ever."""
    chain, clock, counted = Chain(100), Clock(), Counted()
    completeness, follow = await incomplete(chain, clock, counted, index)
    chain.pruned = True
    failed = 0
    for _ in range(100):
        chain.height += 1
        clock.now += 2
        try:
            await follow.cycle()
        except ChainUnreachable:
            failed += 1
        cursor = await index.lookup.cursor()
        assert cursor is not None
        assert cursor.number == chain.height
    assert 0 < failed < 8
    assert "lack 1 of" in (completeness.trouble or "")


@pytest.mark.anvil
async def test_requests_that_bound_nobody_are_not_counted(own_world: World, index: Index) -> None:
    """Cancelled ones and those that nobody took: the contract does not count them either."""
    reader = await ProtocolReader.open(own_world.chain.rpc, own_world.deployment)
    deployed = own_world.deployment.deployed_block
    completeness = Completeness(own_world.contracts.staking, index.store, deployed)
    follow = Follow(reader, index.store, completeness, FollowPolicy(start_block=deployed))
    await own_world.ask()
    open_to_all = await own_world.ask_bytes(b"anybody", operator=ZERO_ADDRESS)
    await follow.cycle()
    assert await index.store.bound() == {own_world.operator: 1}
    assert await index.lookup.request(open_to_all.id) is not None
    assert completeness.trouble is None
