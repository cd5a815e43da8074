"""Traces that cannot be kept, or are gone: what is bound is answered, what is demanded is shown."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest

from oracle.chain.court_reader import CourtReader
from oracle.client import Requested
from oracle.core.request import RequestState
from tests.support.failures import failure
from tests.support.watching import asked, demanded, revealing
from tests.support.world import World, until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def court(world: World) -> AsyncIterator[World]:
    """A world whose clock runs."""
    await world.chain.rpc.request("evm_setIntervalMining", [1])
    yield world
    await world.chain.rpc.request("evm_setIntervalMining", [0])


async def demanded_and_shown(world: World, made: Requested) -> None:
    """A demand is met by leaves of the trace, not dismissed."""
    await demanded(world, made, rows=1)

    async def over() -> bool:
        return await world.contracts.court.demands(made.id) == (1, 0)

    await until(over)
    head = (await world.chain.head()).number
    reader = CourtReader(world.chain.rpc, world.deployment.court)
    assert (await reader.proceedings(made.id, 0, head)).shown
    assert await world.state(made.id) is RequestState.ANSWERED


@failure(15, "no room for traces")
async def test_without_room_for_a_trace_what_is_bound_is_answered_and_shown(
    court: World,
) -> None:
    model = await revealing(court, reveal=30)
    await court.process(trace_budget_bytes=0)
    made = await asked(court, model)
    await demanded_and_shown(court, made)
    assert not list(court.settings.trace_store.glob("*.trace"))


@failure(15, "the disk with the traces is lost")
async def test_a_trace_that_is_lost_with_its_disk_is_made_again_and_shown(court: World) -> None:
    model = await revealing(court, reveal=30)
    node = await court.process()
    made = await asked(court, model)
    await node.kill()
    assert list(court.settings.trace_store.glob("*.trace"))
    shutil.rmtree(court.settings.trace_store)
    await court.process()
    await demanded_and_shown(court, made)
