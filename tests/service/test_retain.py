"""Traces are let go by the chain's time, whatever the machine's clock says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oracle.core.job import JobState
from oracle.core.request import data_hash
from oracle.errors import StorageError, TraceStoreFull
from oracle.ports.inference import CommittedTrace
from oracle.ports.traces import LeftOut, TraceHold, TraceToKeep
from oracle.program.instruction import Trace
from oracle.service.retain import Retain, owed_until
from oracle.storage.trace_store import FileTraceStore, open_trace_store
from tests.service.fakes import NOW, Clock, Jobs, Traces, block, request

ROOT, HOLDER = b"\x09" * 32, b"\x07" * 32
DAYS = 86_400
FILE = 4_096


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FileTraceStore]:
    opened = open_trace_store(tmp_path, budget_bytes=2 * FILE, clock=Clock())
    yield opened
    await opened.close()


def kept(holder: bytes, root: bytes) -> TraceToKeep:
    trace = Trace(((np.zeros(4, np.float32),),))
    return TraceToKeep(holder, CommittedTrace(root, b"\1" * 32, trace))


async def test_what_is_over_makes_room_before_its_last_second(store: FileTraceStore) -> None:
    """Or a requester fills the disk with requests that are settled in seconds."""
    jobs = Jobs()
    retain = Retain(store, jobs)  # type: ignore[arg-type]
    settled, answered = jobs.add(JobState.SETTLED), jobs.add(JobState.ANSWERED)
    traces = {one: kept(one.request_id, data_hash(one.request_id)) for one in (settled, answered)}
    await store.save([*traces.values()])
    await store.keep_until(
        [TraceHold(one.root, one.holder, owed_until(job.request)) for job, one in traces.items()]
    )
    jobs.blocks = [replace(block(1), timestamp=int(NOW))]
    await retain.cycle()
    assert (await store.usage()).held_bytes == FILE
    assert await store.find(traces[settled].root) is not None, "until there is need of its room"
    another = kept(HOLDER, ROOT)
    await store.save([another])
    assert await store.find(traces[settled].root) is None
    assert await store.find(traces[answered].root) is not None
    await retain.cycle()
    with pytest.raises(TraceStoreFull):
        await store.save([kept(HOLDER, b"\x0a" * 32)])


async def test_an_answer_that_may_still_be_mined_keeps_its_trace(store: FileTraceStore) -> None:
    jobs = Jobs()
    given_up = jobs.add(JobState.FAILED)
    one = kept(given_up.request_id, ROOT)
    await store.save([one, kept(HOLDER, b"\x0a" * 32)])
    await store.keep_until([TraceHold(ROOT, one.holder, owed_until(given_up.request))])
    jobs.blocks = [replace(block(1), timestamp=int(NOW))]
    await Retain(store, jobs).cycle()  # type: ignore[arg-type]
    assert (await store.usage()).held_bytes == 2 * FILE


async def test_a_hold_that_was_never_given_a_time_ends_with_its_request(
    store: FileTraceStore,
) -> None:
    """The process was killed after the trace was saved."""
    jobs = Jobs()
    over, open_ = jobs.add(JobState.DEFAULTED), jobs.add(JobState.ACCEPTED)
    await store.save([kept(one.request_id, data_hash(one.request_id)) for one in (over, open_)])
    jobs.blocks = [replace(block(1), timestamp=int(NOW))]
    await Retain(store, jobs).cycle()  # type: ignore[arg-type]
    assert (await store.usage()).held_bytes == FILE
    assert [one.holder for one in await store.holds()] == [open_.request_id]


async def test_what_is_not_kept_is_owed_no_longer_than_its_request(store: FileTraceStore) -> None:
    """However little of the budget is held."""
    jobs = Jobs()
    settled, answered = jobs.add(JobState.SETTLED), jobs.add(JobState.ANSWERED)
    for job in (settled, answered):
        left = LeftOut(data_hash(job.request_id), job.request_id, 3.0, 600)
        await store.leave_out(left, owed_until(job.request))
    jobs.blocks = [replace(block(1), timestamp=int(NOW))]
    retain = Retain(store, jobs)  # type: ignore[arg-type]
    await retain.cycle()
    assert (await store.usage()).unkept == 1
    assert [one.holder for one in await store.holds()] == [answered.request_id]
    jobs.blocks.append(replace(block(2), timestamp=owed_until(answered.request) + 1))
    await retain.cycle()
    assert (await store.usage()).unkept == 0


def test_a_demand_makes_what_is_owed_last_longer_and_never_shorter() -> None:
    asked = request()
    latest = owed_until(asked)
    assert latest > asked.deadline + asked.window
    assert owed_until(asked, extended_to=asked.deadline) == latest
    assert owed_until(asked, extended_to=asked.deadline + asked.window + 7) == latest + 7


async def test_a_trace_is_owed_until_the_chain_has_passed_its_window(tmp_path: Path) -> None:
    clock, jobs = Clock(), Jobs()
    store = open_trace_store(tmp_path, budget_bytes=10**9, clock=clock)
    retain = Retain(store, jobs)  # type: ignore[arg-type]
    await store.save([kept(HOLDER, ROOT)])
    await store.keep_until([TraceHold(ROOT, HOLDER, NOW + DAYS)])

    clock.seconds = NOW + 30 * DAYS
    assert not await retain.cycle()
    assert await store.find(ROOT) is not None, "no block was read"
    jobs.blocks = [replace(block(1), timestamp=int(NOW))]
    assert not await retain.cycle()
    assert await store.find(ROOT) is not None, "the machine's clock says nothing"
    assert (await store.usage()).held_bytes > 0

    clock.seconds = NOW - DAYS
    jobs.blocks.append(replace(block(2), timestamp=int(NOW) + 2 * DAYS + 1))
    assert not await retain.cycle(), "there is nothing to do at once again"
    assert await store.find(ROOT) is None
    await store.close()


async def test_what_is_wrong_with_the_disk_is_said_each_round() -> None:
    traces, jobs = Traces(), Jobs()
    jobs.blocks = [block(7)]
    retain = Retain(traces, jobs)  # type: ignore[arg-type]
    assert not await retain.cycle()
    traces.trouble = "no room"
    with pytest.raises(StorageError, match="no room"):
        await retain.cycle()
