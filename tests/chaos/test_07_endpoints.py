"""Two endpoints, of which one fails: the other takes over, nothing is lost, nothing done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from oracle.devnet.anvil import AnvilOptions
from oracle.ports.health import EndpointReport
from tests.support import fault_proxy as faults
from tests.support.anvil import own_chain
from tests.support.failures import failure, thorough
from tests.support.fault_proxy import EVERY, Fault, FaultProxy, fault_proxy
from tests.support.invariants import (
    check_invariants,
    heartbeat,
    settle_down,
    until_green,
    until_red,
)
from tests.support.world import NODE_LOG, World, until

WATCHFUL: dict[str, Any] = {
    "rpc_check_seconds": 0.3,
    "rpc_timeout_seconds": 1.0,
    "rpc_max_lag_blocks": 2,
}
PATIENT = {"rpc_timeout_seconds": 30.0}
"""Where a fault shows at once, so that an endpoint is not left because the machine is busy."""

LOOKS = {"eth_chainId", "eth_getBlockByNumber", "eth_blockNumber"}

SECRET = "k3y-of-the-endpoint"


@pytest.fixture
async def second(world: World, proxy: FaultProxy) -> AsyncIterator[FaultProxy]:
    """Another way to the shared chain."""
    async with fault_proxy(world.chain.url) as started:
        yield started
        world.end_processes()


async def two_endpoints(world: World, *proxies: FaultProxy, **changes: Any) -> None:
    urls = " ".join(f"{one.url}/{SECRET}" for one in proxies)
    await world.process(rpc_url=urls, **{**WATCHFUL, **changes})


def reports(world: World) -> list[EndpointReport]:
    beat = heartbeat(world)
    return [] if beat is None else list(beat.endpoints)


async def until_states(world: World, *states: str) -> None:
    async def reached() -> bool:
        return [one["state"] for one in reports(world)] == list(states)

    try:
        await until(reached)
    except TimeoutError:
        raise AssertionError(f"the endpoints are {reports(world)}") from None


async def all_is_well(world: World) -> None:
    await settle_down(world)
    await until_green(world)
    await check_invariants(world)
    written = (world.settings.data_dir / NODE_LOG).read_text()
    written += (world.settings.data_dir / "node.json").read_text()
    assert SECRET not in written


@failure(7, "the endpoint dies in mid-work, and comes back")
async def test_another_takes_over_and_the_first_is_taken_back(
    world: World, proxy: FaultProxy, second: FaultProxy
) -> None:
    await two_endpoints(world, proxy, second, **PATIENT)
    await until_states(world, "in use", "ready")
    made = [await world.ask() for _ in range(4)]
    await world.job(made[0].id)
    proxy.on(EVERY, faults.lose_request)
    made += [await world.ask() for _ in range(4)]
    await world.until_settled(*(one.id for one in made))
    await until_states(world, "away", "in use")
    proxy.heal()
    await until_states(world, "in use", "ready")
    await world.until_settled((await world.ask()).id)  # by then no round goes on at the second
    before = second.calls.copy()
    last = await world.ask()
    await world.until_settled(last.id)
    assert second.calls["eth_sendRawTransaction"] > 0
    assert set(second.calls - before) <= LOOKS, "no more than its head"
    await all_is_well(world)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(faults.delay(30), marks=failure(7, "slow")),
        pytest.param(
            faults.http_status(429, retry_after=2), marks=failure(7, "429 with Retry-After")
        ),
        pytest.param(faults.http_status(503), marks=[failure(7, "503 for everything"), thorough]),
        pytest.param(faults.answer({"not": "it"}), marks=[failure(7, "garbage"), thorough]),
    ],
    ids=["slow", "429", "503", "garbage"],
)
async def test_an_endpoint_of_no_use_is_left_for_the_other(
    world: World, proxy: FaultProxy, second: FaultProxy, fault: Fault
) -> None:
    await two_endpoints(world, proxy, second)
    proxy.on(EVERY, fault)
    made = [await world.ask() for _ in range(3)]
    await world.until_settled(*(one.id for one in made))
    assert second.calls["eth_sendRawTransaction"] > 0
    await all_is_well(world)


@failure(7, "a frozen head")
async def test_an_endpoint_that_stands_still_is_left_for_the_other(
    world: World, proxy: FaultProxy, second: FaultProxy
) -> None:
    await two_endpoints(world, proxy, second)
    await until_states(world, "in use", "ready")
    proxy.on(EVERY, faults.frozen((await world.chain.head()).number))
    await world.chain.mine(3)
    made = [await world.ask() for _ in range(3)]
    await world.until_settled(*(one.id for one in made))
    await until_states(world, "lagging", "in use")
    assert reports(world)[0]["lag"] > 2
    await all_is_well(world)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(0, marks=failure(7, "the first is of another chain")),
        pytest.param(1, marks=[failure(7, "the second is of another chain"), thorough]),
    ],
)
async def test_an_endpoint_of_another_chain_is_never_used_and_red(
    world: World, proxy: FaultProxy, tmp_path: Path, place: int
) -> None:
    await asyncio.sleep(1.1)  # the same id, but a first block of another second
    options = AnvilOptions(chain_id=world.chain.chain_id)
    async with own_chain(tmp_path / "other", options) as other, fault_proxy(other.url) as wrong:
        pair = [proxy, proxy]
        pair[place] = wrong
        await two_endpoints(world, *pair, **PATIENT)
        made = await world.ask()
        await world.until_settled(made.id)
        assert "never used" in await until_red(world, about="never used")
        assert reports(world)[place]["state"] == "wrong chain"
        assert len(world.logged("endpoint")) == 1
        assert set(wrong.calls) <= {"eth_chainId", "eth_getBlockByNumber"}
        world.end_processes()
    await check_invariants(world)


@failure(7, "both flap in turn")
async def test_endpoints_that_come_and_go_lose_nothing(
    world: World, proxy: FaultProxy, second: FaultProxy
) -> None:
    await two_endpoints(world, proxy, second)
    made = []
    for turn in range(6):
        down, up = (proxy, second) if turn % 2 else (second, proxy)
        up.heal()
        down.on(EVERY, faults.lose_reply)
        made.append(await world.ask())
        await asyncio.sleep(0.4)
    second.heal()
    proxy.heal()
    await world.until_settled(*(one.id for one in made))
    await all_is_well(world)


@thorough
@failure(7, "a budget of calls a minute")
async def test_a_budget_slows_reading_down_and_loses_nothing(
    world: World, proxy: FaultProxy
) -> None:
    await two_endpoints(world, proxy, rpc_calls_per_minute=400, rpc_timeout_seconds=10.0)
    made = [await world.ask() for _ in range(3)]
    await world.until_settled(*(one.id for one in made))
    (report,) = reports(world)
    sends = report["calls"]["eth_sendRawTransaction"]
    assert report["calls_last_minute"] - sends <= 400
    assert report["calls"] == pytest.approx(dict(proxy.calls), abs=60)
    await all_is_well(world)
