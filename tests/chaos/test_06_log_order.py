"""Logs come twice, in the wrong order, or again after they were read."""

from __future__ import annotations

from typing import Any

import pytest

from oracle.core.transaction import Purpose
from tests.chaos.acts import sent_for
from tests.support.failures import failure, thorough
from tests.support.fault_proxy import FaultProxy, change
from tests.support.invariants import check_invariants, settle_down
from tests.support.world import OPG, World, digit


def _twice(logs: list[Any]) -> list[Any]:
    return [one for one in logs for _ in range(2)]


def _backwards(logs: list[Any]) -> list[Any]:
    return logs[::-1]


def _twice_backwards(logs: list[Any]) -> list[Any]:
    return [*logs[::-1], *logs]


@failure(6, "twice, reversed, both")
@pytest.mark.parametrize(
    "disorder",
    [
        pytest.param(_twice, marks=thorough),
        pytest.param(_backwards, marks=thorough),
        _twice_backwards,
    ],
)
async def test_disorder_makes_one_job_and_one_answer_of_each_request(
    world: World, proxy: FaultProxy, disorder: Any
) -> None:
    proxy.on("eth_getLogs", change(disorder))
    before = [await world.ask(digit(number)) for number in range(3)]
    await world.process(rpc_url=proxy.url)
    after = [
        await world.ask(digit(number), fee=OPG, open_to_all=number == 1) for number in range(3)
    ]
    await world.until_settled(*(made.id for made in (*before, *after)))
    await settle_down(world)
    for made in (*before, *after):
        sent = [one.purpose for one in await sent_for(world, made.id)]
        assert sent.count(Purpose.ANSWER) == sent.count(Purpose.SETTLE) == 1
    await check_invariants(world)


@thorough
@failure(6, "everything is read once more, from the first block")
async def test_logs_that_are_read_again_change_nothing(world: World) -> None:
    async with world.node():
        made = await world.ask()
        await world.until_settled(made.id)
        await settle_down(world)
    before = await world.job(made.id)
    # As where a backup of the cursor is put back: the job table knows more than the cursor says.
    first = await world.chain.rpc.block(world.deployment.deployed_block)
    assert first is not None
    await world.storage.jobs.ingest(first, [], [])
    cursor = await world.storage.jobs.cursor()
    assert cursor is not None
    async with world.node():
        other = await world.ask()
        await world.until_settled(other.id)
        await settle_down(world)
    assert await world.job(made.id) == before
    await check_invariants(world)
