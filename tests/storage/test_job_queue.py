"""One queue, several workers: no job is two workers', and a dead worker's jobs are anybody's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from oracle.core.job import Job, JobState, Trigger
from oracle.ports.jobs import JobMove
from oracle.storage import Storage, open_storage
from oracle.storage.lease_store import SqlLeaseStore
from oracle.storage.storage import open_leases

from .building import SteppingClock, block, bring_to, computed, seen

LONG = 60.0
SHORT = 1.5  # a busy machine looks twice meanwhile


@dataclass(frozen=True)
class Worker:
    storage: Storage
    leases: SqlLeaseStore
    key: str

    async def live(self, seconds: float = LONG) -> None:
        await self.leases.hold([self.key], seconds)

    async def take(self, limit: int = 100, state: JobState = JobState.ACCEPTED) -> Sequence[Job]:
        return await self.storage.jobs.take([state], limit=limit, due_at=2_000.0)


@asynccontextmanager
async def worker(location: str, clock: SteppingClock, name: str) -> AsyncIterator[Worker]:
    storage = open_storage(location, clock, holder=name)
    leases, database = open_leases(location, name)
    yield Worker(storage, leases, f"key:31337:{name}")
    await database.close()
    await storage.close()


@pytest.fixture
async def pair(
    storage: Storage, location: str, clock: SteppingClock
) -> AsyncIterator[tuple[Worker, Worker]]:
    async with worker(location, clock, "one") as first, worker(location, clock, "two") as second:
        await first.live()
        await second.live()
        yield first, second


async def accepted(storage: Storage, count: int) -> set[bytes]:
    events = [seen(11) for _ in range(count)]
    moves = [JobMove(one.request_id, Trigger.ACCEPTED_BY_US, {"accepted": True}) for one in events]
    await storage.jobs.ingest(block(11), events, moves)
    return {one.request_id for one in events}


def ids(jobs: Sequence[Job]) -> set[bytes]:
    return {job.request_id for job in jobs}


async def test_each_takes_its_share_and_no_job_is_taken_twice(
    storage: Storage, pair: tuple[Worker, Worker]
) -> None:
    first, second = pair
    made = await accepted(storage, 40)
    mine = await first.take()
    assert len(mine) == 20
    assert {job.taken_by for job in mine} == {"one"}
    assert ids(await first.take()) == ids(mine), "what was taken comes again"
    theirs = await second.take()
    assert len(theirs) == 10, "half of what is left"
    assert ids(theirs) <= made - ids(mine)


async def test_takers_at_the_same_moment_share_nothing(
    storage: Storage, pair: tuple[Worker, Worker]
) -> None:
    first, second = pair
    made = await accepted(storage, 60)
    taken: dict[str, set[bytes]] = {"one": set(), "two": set()}
    for _ in range(12):
        found = await asyncio.gather(first.take(limit=7), second.take(limit=7))
        for name, jobs in zip(taken, found, strict=True):
            taken[name] |= ids(jobs)
            # Done at once, so that the next round takes others.
            await storage.jobs.move(
                [
                    JobMove(job.request_id, Trigger.COMPUTE_FAILED)
                    for job in jobs
                    if job.state is JobState.ACCEPTED
                ]
            )
    assert not taken["one"] & taken["two"]
    assert taken["one"] | taken["two"] == made
    assert all(taken.values())


async def test_one_worker_takes_all_by_deadline_and_up_to_the_limit(
    storage: Storage, location: str, clock: SteppingClock
) -> None:
    async with worker(location, clock, "one") as alone:
        await alone.live()
        soon = await bring_to(storage, seen(11, deadline=1_900_000_000), JobState.ACCEPTED)
        await accepted(storage, 5)
        assert [job.request_id for job in await alone.take(limit=1)] == [soon.request_id]
        assert len(await alone.take()) == 6
        assert await alone.storage.jobs.take([JobState.ACCEPTED], limit=9, due_at=-1.0) == []


async def test_the_jobs_of_a_worker_whose_life_is_over_are_taken(
    storage: Storage, pair: tuple[Worker, Worker]
) -> None:
    first, second = pair
    made = await accepted(storage, 4)
    await first.live(SHORT)
    assert len(await first.take(limit=4)) == 2
    assert len(await second.take()) == 1
    await asyncio.sleep(SHORT)
    assert ids(await second.take()) == made
    assert {job.taken_by for job in await storage.jobs.jobs_of(list(made))} == {"two"}


async def test_who_computes_posts_unless_it_is_put_off(
    storage: Storage, pair: tuple[Worker, Worker]
) -> None:
    first, second = pair
    event = seen(11)
    await bring_to(storage, event, JobState.ACCEPTED, accepted=True)
    assert len(await first.take()) == 1
    await storage.jobs.move([JobMove(event.request_id, Trigger.COMPUTED, computed(event))])
    assert await second.take(state=JobState.COMPUTED) == []
    (mine,) = await first.take(state=JobState.COMPUTED)
    assert mine.taken_by == "one"
    await storage.jobs.move([JobMove(event.request_id, Trigger.POSTPONE)])
    (theirs,) = await second.take(state=JobState.COMPUTED)
    assert theirs.taken_by == "two"
    await storage.jobs.move([JobMove(event.request_id, Trigger.ANSWER_SENT)])
    job = await storage.jobs.job(event.request_id)
    assert job is not None
    assert job.taken_by is None


async def test_what_is_put_off_before_it_is_computed_is_anybodys_at_once(
    storage: Storage, pair: tuple[Worker, Worker]
) -> None:
    first, second = pair
    made = await accepted(storage, 4)
    mine = await first.take()
    assert len(mine) == 2
    await storage.jobs.move([JobMove(job.request_id, Trigger.POSTPONE) for job in mine])
    taken: set[bytes] = set()
    while theirs := await second.take():
        taken |= ids(theirs)
        await storage.jobs.move([JobMove(one, Trigger.COMPUTE_FAILED) for one in ids(theirs)])
    assert taken == made


async def test_one_that_retires_finishes_its_own_and_takes_no_more(
    storage: Storage, pair: tuple[Worker, Worker]
) -> None:
    first, second = pair
    made = await accepted(storage, 4)
    own = ids(await first.take())
    first.storage.jobs.stop_taking()
    assert ids(await first.take()) <= own
    assert ids(await second.take()) <= made - own


async def test_on_postgresql_nobody_waits_to_take(
    location: str, storage: Storage, pair: tuple[Worker, Worker]
) -> None:
    """A row that somebody writes is passed over, and no turn among the writers is waited for."""
    if not location.startswith("postgresql"):
        pytest.skip("SQLite has one writer at a time")
    first, _ = pair
    made = await accepted(storage, 3)
    busy = sorted(made)[0]
    begun, may_end = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(connection: object) -> None:
        connection.exec_driver_sql(  # type: ignore[attr-defined]
            "UPDATE jobs SET attempts = 1 WHERE request_id = %s", (busy,)
        )
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(may_end.wait(), loop).result(120)

    writer = asyncio.create_task(storage.database.run(slow))
    await begun.wait()
    taken: set[bytes] = set()
    for _ in range(3):
        taken |= ids(await asyncio.wait_for(first.take(), 60.0))
    assert busy not in taken
    assert taken
    may_end.set()
    await writer
