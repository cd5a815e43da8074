"""Reads that spare the worker whole rows: how many are open, and several jobs at once."""

from __future__ import annotations

from oracle.core.job import JobState
from oracle.storage.storage import Storage
from tests.storage.building import ALICE, OPERATOR, bring_to, new_id, prepared, seen


async def test_open_transactions_are_counted_as_they_are_listed(storage: Storage) -> None:
    assert await storage.transactions.count_open(OPERATOR) == 0
    first = await prepared(storage, 5)
    await prepared(storage, 6)
    await prepared(storage, 5, sender=ALICE)
    assert await storage.transactions.count_open(OPERATOR) == 2
    await storage.transactions.abandon(first.id, [])
    assert await storage.transactions.count_open(OPERATOR) == 1
    assert len(await storage.transactions.open_transactions(OPERATOR)) == 1


async def test_several_jobs_are_read_at_once_and_unknown_ones_left_out(storage: Storage) -> None:
    jobs = [await bring_to(storage, seen(10), JobState.COMPUTED) for _ in range(3)]
    wanted = [job.request_id for job in jobs[1:]]
    found = await storage.jobs.jobs_of([*wanted, new_id()])
    assert {job.request_id: job for job in found} == {job.request_id: job for job in jobs[1:]}
    assert await storage.jobs.jobs_of([]) == []


async def test_who_stands_where_is_told_without_reading_jobs(storage: Storage) -> None:
    computed = await bring_to(storage, seen(10), JobState.COMPUTED)
    settled = await bring_to(storage, seen(10), JobState.SETTLED)
    asked = [computed.request_id, settled.request_id, new_id()]
    over = (JobState.SETTLED, JobState.SLASHED)
    assert await storage.jobs.standing_in(over, asked) == {settled.request_id}
    assert await storage.jobs.standing_in(over, []) == set()
    assert await storage.jobs.standing_in((JobState.LOST,), asked) == set()
