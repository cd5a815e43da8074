"""Leases: one holder at a time, by the database's clock, and what only the holder may write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from oracle.core.event import BlockRef
from oracle.errors import LeaseLost
from oracle.ports.leases import CHAIN_LEASE
from oracle.storage import Storage, open_storage
from oracle.storage.lease_store import SqlLeaseStore
from oracle.storage.storage import database_id, open_leases

from .building import SteppingClock, block, seen

KEY = "key:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
LONG = 60.0
SHORT = 0.4
LIFE = 1.5
"""Of which a part is left that a busy machine does not use up between two calls."""


@pytest.fixture
async def two(
    storage: Storage, location: str
) -> AsyncIterator[tuple[SqlLeaseStore, SqlLeaseStore]]:
    """Two workers' views of one database."""
    opened = [open_leases(location, holder) for holder in ("one", "two")]
    yield opened[0][0], opened[1][0]
    for _, database in opened:
        await database.close()


async def test_a_lease_is_one_workers_until_its_life_is_over(
    two: tuple[SqlLeaseStore, SqlLeaseStore],
) -> None:
    first, second = two
    assert await first.hold([KEY], LIFE) == {KEY: "one"}
    assert await second.hold([KEY], LONG) == {KEY: "one"}
    await asyncio.sleep(LIFE * 0.6)
    assert await first.hold([KEY], LIFE) == {KEY: "one"}, "prolonged"
    await asyncio.sleep(LIFE * 0.6)
    assert await second.hold([KEY], LONG) == {KEY: "one"}, "its first life would be over"
    await asyncio.sleep(LIFE)
    assert await first.live() == []
    assert await second.hold([KEY], LONG) == {KEY: "two"}
    assert await first.hold([KEY], LONG) == {KEY: "two"}
    (lease,) = await first.live()
    assert (lease.name, lease.holder) == (KEY, "two")
    assert LONG - 5 < lease.seconds_left <= LONG


async def test_what_follows_a_lease_that_another_holds_is_not_tried(
    two: tuple[SqlLeaseStore, SqlLeaseStore],
) -> None:
    first, second = two
    await first.hold([KEY], LONG)
    assert await second.hold([KEY, CHAIN_LEASE], LONG) == {KEY: "one"}
    assert await first.hold([KEY, CHAIN_LEASE], LONG) == {KEY: "one", CHAIN_LEASE: "one"}


async def test_what_is_let_go_is_free_at_once_and_only_ones_own_is(
    two: tuple[SqlLeaseStore, SqlLeaseStore],
) -> None:
    first, second = two
    await first.hold([KEY], LONG)
    await second.release([KEY])
    assert await second.hold([KEY], LONG) == {KEY: "one"}
    await first.release([KEY])
    assert await second.hold([KEY], LONG) == {KEY: "two"}


async def test_a_worker_takes_over_from_itself_before_it_was_killed(
    storage: Storage, location: str
) -> None:
    before, database = open_leases(location, "before")
    await before.hold([KEY], LONG)
    await database.close()
    after, database = open_leases(location, "after", former="before")
    assert await after.hold([KEY], LONG) == {KEY: "after"}
    await database.close()


async def test_many_ask_at_once_and_one_has_it(storage: Storage, location: str) -> None:
    opened = [open_leases(location, f"worker {number}") for number in range(6)]
    try:
        found = await asyncio.gather(*(leases.hold([KEY], LONG) for leases, _ in opened))
        (winner,) = {one[KEY] for one in found}
        assert winner in {leases.holder for leases, _ in opened}
    finally:
        for _, database in opened:
            await database.close()


async def test_a_lease_is_prolonged_while_another_transaction_takes_its_time(
    two: tuple[SqlLeaseStore, SqlLeaseStore], storage: Storage, location: str
) -> None:
    """On SQLite a writer that has begun to write is waited for; on PostgreSQL nobody is."""
    first, _ = two
    begun, may_end = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_connection: object) -> None:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(may_end.wait(), loop).result(120)

    writer = asyncio.create_task(storage.database.run(slow))
    await begun.wait()
    prolonged = asyncio.create_task(first.hold([KEY], LONG))
    at_once = location.startswith("postgresql")
    done, _ = await asyncio.wait([prolonged], timeout=60.0 if at_once else 1.0)
    assert bool(done) == at_once
    may_end.set()
    await writer
    assert await prolonged == {KEY: "one"}


async def test_one_that_has_ceased_to_lead_writes_nothing_of_the_chain(
    two: tuple[SqlLeaseStore, SqlLeaseStore], location: str, clock: SteppingClock
) -> None:
    first, second = two
    former = open_storage(location, clock, holder="one")
    present = open_storage(location, clock, holder="two")
    try:
        with pytest.raises(LeaseLost, match="nobody"):
            await former.jobs.ingest(block(9), [], [])
        await first.hold([CHAIN_LEASE], SHORT)
        await former.jobs.ingest(block(10), [seen(10)], [])
        await asyncio.sleep(SHORT)
        await former.jobs.ingest(block(11), [], [])  # late, but nobody else has led
        await second.hold([CHAIN_LEASE], LONG)
        for write in (
            former.jobs.ingest(block(12), [seen(12)], []),
            former.jobs.rewind(block(9)),
            former.jobs.finalise(block(9)),
        ):
            with pytest.raises(LeaseLost, match="two by now"):
                await write
        cursor: BlockRef | None = await present.jobs.cursor()
        assert cursor == block(11)
        await present.jobs.ingest(block(12), [], [])
    finally:
        await former.close()
        await present.close()


async def test_a_database_is_told_from_every_other(
    storage: Storage, location: str, clock: SteppingClock, tmp_path: object
) -> None:
    again = open_storage(location, clock)
    other = open_storage(f"{tmp_path}/other.db", clock)
    try:
        assert await database_id(again) == await database_id(storage)
        assert await database_id(other) != await database_id(storage)
    finally:
        await again.close()
        await other.close()
