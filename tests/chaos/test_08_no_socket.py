"""Without a websocket, or with one that says nothing, polling alone finds a request in time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.support.failures import failure, thorough
from tests.support.fault_proxy import FaultProxy, lose_request
from tests.support.invariants import check_invariants, settle_down
from tests.support.world import World

POLL_SECONDS = 1.0
BLOCK_SECONDS = 3.0  # beside which the work of a busy machine is little


@contextlib.asynccontextmanager
async def block_time(world: World) -> AsyncIterator[None]:
    """Blocks come by the clock, as on a public chain."""
    await world.chain.automine(False)

    async def tick() -> None:
        while True:
            await asyncio.sleep(BLOCK_SECONDS)
            await world.chain.mine()

    ticking = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
        await world.chain.automine(True)


@thorough
@failure(8, "polling alone: every look at the chain finds it, and every third is lost")
async def test_a_request_waits_no_longer_than_the_poll_interval_and_a_block(
    world: World, proxy: FaultProxy
) -> None:
    await world.process(rpc_url=proxy.url, poll_seconds=POLL_SECONDS)
    waited = []
    async with block_time(world):
        for _ in range(3):
            made = await world.ask()
            (settled,) = await world.until_settled(made.id)
            assert settled.answered_block is not None
            waited.append(settled.answered_block - settled.block_number)
            proxy.on("eth_getBlockByNumber", lose_request, times=1)
    # A poll, the block that the answer goes into, and one more where this machine is busy.
    assert min(waited) <= (POLL_SECONDS + BLOCK_SECONDS) / BLOCK_SECONDS
    assert max(waited) <= (POLL_SECONDS + BLOCK_SECONDS) / BLOCK_SECONDS + 2
    await settle_down(world)
    await check_invariants(world)


@thorough
@failure(8, "the node hangs, with its connections open")
async def test_work_goes_on_by_itself_when_a_hung_node_wakes(arena: World) -> None:
    await arena.process(rpc_timeout_seconds=0.5)
    first = await arena.ask()
    await arena.until_settled(first.id)
    await settle_down(arena)
    arena.chain.suspend()
    await asyncio.sleep(1.5)
    arena.chain.resume()
    second = await arena.ask()
    await arena.until_settled(second.id)
    await settle_down(arena)
    await check_invariants(arena)
