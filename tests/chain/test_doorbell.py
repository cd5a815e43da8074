"""The doorbell: rings for each block, and comes back from whatever happens to its socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from oracle.chain.doorbell import Doorbell, DoorbellPolicy
from oracle.errors import ConfigurationError
from tests.support.anvil import Chain
from tests.support.socket_relay import SocketRelay, socket_relay
from tests.support.world import until

QUICK = DoorbellPolicy(
    deaf_seconds=0.5, timeout_seconds=1.0, first_pause_seconds=0.1, longest_pause_seconds=0.4
)


class House:
    """Where it rings; `seen` is what polling has seen."""

    def __init__(self) -> None:
        self.rings = 0
        self.seen: int | None = 0
        self.told: list[tuple[str, str]] = []

    def ring(self) -> None:
        self.rings += 1

    def notice(self, level: str, endpoint: str, what: str) -> None:
        self.told.append((level, f"{endpoint} {what}"))


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def relay(own_anvil: Chain) -> Iterator[SocketRelay]:
    with socket_relay(own_anvil.anvil.port) as running:
        yield running


@asynccontextmanager
async def listening(house: House, url: str, chain_id: int) -> AsyncIterator[Doorbell]:
    doorbell = Doorbell(url, chain_id, house.ring, lambda: house.seen, house.notice, QUICK)
    task = asyncio.create_task(doorbell.run())
    try:
        yield doorbell
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_open(doorbell: Doorbell, times: int) -> None:
    async def opened() -> bool:
        return doorbell.openings >= times

    await until(opened)


async def until_heard(doorbell: Doorbell, heads: int) -> None:
    async def heard() -> bool:
        return doorbell.heads >= heads

    await until(heard)


async def test_it_rings_for_each_block(own_anvil: Chain, house: House) -> None:
    url = own_anvil.url.replace("http", "ws")
    async with listening(house, url, own_anvil.chain_id) as doorbell:
        await until_open(doorbell, 1)
        assert house.rings == 1  # for what came before it listened
        await own_anvil.mine(3)
        await until_heard(doorbell, 3)
        assert house.rings == 4
        assert house.told == []


async def test_a_quiet_chain_is_not_a_deaf_socket(own_anvil: Chain, house: House) -> None:
    url = own_anvil.url.replace("http", "ws")
    async with listening(house, url, own_anvil.chain_id) as doorbell:
        await until_open(doorbell, 1)
        await asyncio.sleep(1.3)
        assert doorbell.openings == 1


async def test_a_deaf_socket_is_opened_anew(
    own_anvil: Chain, house: House, relay: SocketRelay
) -> None:
    url = f"ws://127.0.0.1:{relay.port}"
    async with listening(house, url, own_anvil.chain_id) as doorbell:
        await until_open(doorbell, 1)
        relay.suspend()
        await own_anvil.mine(2)
        house.seen = 2

        async def noticed() -> bool:
            return any("deaf: silent while block 2 came" in what for _, what in house.told)

        await until(noticed)
        relay.resume()
        await until_open(doorbell, 2)
        await own_anvil.mine()
        await until_heard(doorbell, 1)
        assert house.told[-1][1].endswith("rings again")


async def test_a_dropped_socket_is_opened_and_subscribed_again(
    own_anvil: Chain, house: House, relay: SocketRelay
) -> None:
    url = f"ws://127.0.0.1:{relay.port}"
    async with listening(house, url, own_anvil.chain_id) as doorbell:
        await until_open(doorbell, 1)
        relay.cut()
        await asyncio.sleep(0.6)
        relay.restart()
        await until_open(doorbell, 2)
        rings = house.rings
        await own_anvil.mine()
        await until_heard(doorbell, 1)
        assert house.rings == rings + 1
        # Said once, however often it was tried in vain.
        assert len([level for level, _ in house.told if level == "warning"]) <= 2


async def test_a_socket_of_another_chain_does_not_ring(own_anvil: Chain, house: House) -> None:
    url = own_anvil.url.replace("http", "ws")
    async with listening(house, url, 1) as doorbell:
        await own_anvil.mine(2)

        async def refused() -> bool:
            return any("not chain 1" in what for _, what in house.told)

        await until(refused)
        await asyncio.sleep(0.5)
        assert doorbell.openings == house.rings == 0


async def test_its_secrets_stay_secret(
    own_anvil: Chain, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = unused.getsockname()[1]
        ports = (own_anvil.anvil.port, closed)
        with caplog.at_level(logging.DEBUG):
            for port in ports:
                url = f"ws://someone:swordfish@127.0.0.1:{port}/v3/k3y?token=t0ken"
                async with listening(house, url, 1):
                    await asyncio.sleep(0.3)
    with pytest.raises(ConfigurationError) as refused:
        Doorbell("http://someone:swordfish@host/k3y", 1, house.ring, lambda: 0, house.notice)
    for text in (caplog.text, str(house.told), str(refused.value)):
        assert not any(one in text for one in ("someone", "swordfish", "k3y", "t0ken")), text
