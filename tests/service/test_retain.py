"""Traces are let go by the chain's time, whatever the machine's clock says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oracle.errors import StorageError
from oracle.ports.inference import CommittedTrace
from oracle.ports.traces import TraceHold, TraceToKeep
from oracle.program.instruction import Trace
from oracle.service.retain import Retain
from oracle.storage.trace_store import open_trace_store
from tests.service.fakes import NOW, Clock, Jobs, Traces, block

ROOT, HOLDER = b"\x09" * 32, b"\x07" * 32
DAYS = 86_400


async def test_a_trace_is_owed_until_the_chain_has_passed_its_window(tmp_path: Path) -> None:
    clock, jobs = Clock(), Jobs()
    store = open_trace_store(tmp_path, budget_bytes=10**9, clock=clock)
    retain = Retain(store, jobs)  # type: ignore[arg-type]
    trace = Trace(((np.zeros(4, np.float32),),))
    await store.save([TraceToKeep(HOLDER, CommittedTrace(ROOT, b"\1" * 32, trace))])
    await store.keep_until([TraceHold(ROOT, HOLDER, NOW + DAYS)])

    clock.seconds = NOW + 30 * DAYS
    assert not await retain.cycle()
    assert await store.find(ROOT) is not None, "no block was read"
    jobs.blocks = [replace(block(1), timestamp=int(NOW))]
    assert not await retain.cycle()
    assert await store.find(ROOT) is not None, "the machine's clock says nothing"
    assert (await store.usage()).held_bytes > 0

    clock.seconds = NOW - DAYS
    jobs.blocks.append(replace(block(2), timestamp=int(NOW) + DAYS + 1))
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
