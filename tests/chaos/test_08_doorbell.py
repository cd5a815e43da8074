"""A websocket that rings for new blocks: quick while it works, and no harm when it does not."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from oracle.core.job import JobState
from tests.support.failures import failure, thorough
from tests.support.invariants import check_invariants, settle_down
from tests.support.socket_relay import SocketRelay, socket_relay
from tests.support.world import World, until

POLL_SECONDS = 3.0

RARE_SECONDS = 8.0
"""Between polls, where a ring is much sooner even on a busy machine."""

NEVER_SECONDS = 3_600.0
"""Between polls, where only a ring can bring the next look."""

WORK_SECONDS = 30.0
"""What reading, running and answering may take on a busy machine."""


@pytest.fixture
def relay(world: World) -> Iterator[SocketRelay]:
    """Between the node's socket and the chain; its HTTP endpoint is the chain itself."""
    with socket_relay(world.chain.anvil.port) as running:
        yield running
        world.end_processes()


async def started(world: World, relay: SocketRelay, poll_seconds: float = POLL_SECONDS) -> None:
    """A node that listens, and has looked at the chain."""
    url = f"ws://127.0.0.1:{relay.port}/?key=k3y-of-the-socket"
    await world.process(ws_url=url, poll_seconds=poll_seconds)
    first = await world.ask()
    await world.until_settled(first.id)


async def waited(world: World) -> float:
    """Seconds from a request's block to the answer that was sent for it."""
    made = await world.ask()
    asked = time.monotonic()

    async def answered() -> bool:
        job = await world.job(made.id)
        return job is not None and job.state in (
            JobState.ANSWERING,
            JobState.ANSWERED,
            JobState.SETTLING,
            JobState.SETTLED,
        )

    await until(answered)
    return time.monotonic() - asked


async def ended_well(world: World) -> None:
    await settle_down(world)
    await check_invariants(world)
    written = (world.settings.data_dir / "forked.log").read_text()
    assert "k3y-of-the-socket" not in written


@failure(8, "the socket rings")
async def test_a_ring_brings_the_next_look_forward(world: World, relay: SocketRelay) -> None:
    await started(world, relay, NEVER_SECONDS)
    for _ in range(3):
        await waited(world)
    await ended_well(world)


@failure(8, "the socket is deaf (SIGSTOP)")
async def test_a_deaf_socket_costs_no_more_than_a_poll(world: World, relay: SocketRelay) -> None:
    await started(world, relay)
    relay.suspend()
    times = [await waited(world) for _ in range(3)]
    assert max(times) <= POLL_SECONDS + WORK_SECONDS
    relay.resume()
    await ended_well(world)


@thorough
@failure(8, "the socket is cut, and comes back")
async def test_a_cut_socket_costs_no_more_than_a_poll_and_rings_again(
    world: World, relay: SocketRelay
) -> None:
    await started(world, relay, RARE_SECONDS)
    relay.cut()
    assert await waited(world) <= RARE_SECONDS + WORK_SECONDS
    relay.restart()

    async def rings_again() -> bool:
        await world.chain.mine()
        return any("rings again" in line["what"] for line in world.logged("endpoint"))

    await until(rings_again)
    assert min([await waited(world) for _ in range(3)]) < RARE_SECONDS / 2
    await ended_well(world)
