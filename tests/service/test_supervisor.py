"""What a supervisor hears of a node, over a real datagram socket: ready, alive, hung, ending."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oracle.bootstrap.supervisor import Supervisor, reporting
from oracle.service.node import Step
from tests.service.test_node import Bench


class Listener:
    """The supervisor's end, as systemd has it."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def heard(self) -> list[dict[str, str]]:
        """Everything since the last time."""
        found = []
        while True:
            try:
                text = self.socket.recv(65_536).decode()
            except BlockingIOError:
                return found
            found.append(dict(line.split("=", 1) for line in text.splitlines()))

    async def hears(self, wanted: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """Waits for a datagram like this; those before it are gone."""
        async with asyncio.timeout(120):
            while True:
                for one in self.heard():
                    if wanted(one):
                        return one
                await asyncio.sleep(0.01)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    opened = Listener(str(tmp_path / "notify"))
    yield opened
    opened.socket.close()


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(tmp_path / "notify"), **more}


def has(name: str) -> Callable[[dict[str, str]], bool]:
    return lambda one: name in one


async def test_ready_alive_with_its_status_and_stopping(tmp_path: Path, listener: Listener) -> None:
    async def idle() -> bool:
        return False

    bench = Bench(Step("step", idle, idle_seconds=0.01))
    supervisor = Supervisor.of_environment(environment(tmp_path, WATCHDOG_USEC="300000"))
    assert supervisor is not None
    assert supervisor.watchdog_seconds == 0.3
    async with reporting(bench.node, supervisor):
        first = await listener.hears(has("READY"))
        assert first["READY"] == "1"
        running = asyncio.create_task(bench.run())
        alive = await listener.hears(has("WATCHDOG"))
        assert alive["WATCHDOG"] == "1"
        assert alive["STATUS"].startswith("serving, the chain not read yet")
        assert alive["STATUS"].endswith("no trouble")
        bench.node.drain()
        assert (await listener.hears(has("STOPPING")))["STATUS"].startswith("draining")
        bench.node.stop()
        await running
    assert any("STOPPING" in one for one in listener.heard())


async def test_the_watchdog_hears_nothing_while_a_step_hangs(
    tmp_path: Path, listener: Listener
) -> None:
    free = asyncio.Event()

    async def hangs() -> bool:
        await free.wait()
        return False

    async def lives() -> bool:
        return False

    bench = Bench(
        Step("hangs", hangs, patience_seconds=0.2, idle_seconds=1.0),
        Step("lives", lives, idle_seconds=0.01),
    )
    supervisor = Supervisor.of_environment(environment(tmp_path, WATCHDOG_USEC="150000"))
    async with reporting(bench.node, supervisor):
        running = asyncio.create_task(bench.run())
        await listener.hears(has("WATCHDOG"))
        told = await listener.hears(lambda one: "has not come back" in one["STATUS"])
        assert "WATCHDOG" not in told
        await asyncio.sleep(0.4)
        silent = listener.heard()
        assert silent, "its status is still told"
        assert not any("WATCHDOG" in one for one in silent)
        free.set()
        await listener.hears(has("WATCHDOG"))
        bench.node.stop()
        await running


async def test_a_long_round_that_gets_on_does_not_hang() -> None:
    loop = asyncio.get_running_loop()

    async def long() -> bool:
        await asyncio.sleep(0.5)
        return False

    bench = Bench(
        Step("gets on", long, patience_seconds=0.2, progress=loop.time, idle_seconds=1.0),
    )
    running = asyncio.create_task(bench.run())
    await asyncio.sleep(0.4)
    assert bench.node.hung() == {}
    bench.node.stop()
    await running


async def test_an_abstract_address_is_one(listener: Listener) -> None:
    name = f"oracle-test-{os.getpid()}"
    abstract = Listener("\0" + name)
    supervisor = Supervisor.of_environment({"NOTIFY_SOCKET": "@" + name})
    assert supervisor is not None
    assert supervisor.watchdog_seconds is None
    supervisor.tell(STATUS="hello")
    assert (await abstract.hears(has("STATUS")))["STATUS"] == "hello"
    supervisor.close()
    abstract.socket.close()


@pytest.mark.parametrize("given", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_without_a_supervisor_there_is_nobody_to_tell(given: dict[str, str]) -> None:
    assert Supervisor.of_environment(given) is None


@pytest.mark.parametrize(
    ("more", "seconds"),
    [
        ({"WATCHDOG_USEC": "2000000"}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_for_the_process_it_names(
    tmp_path: Path, more: dict[str, str], seconds: float | None
) -> None:
    supervisor = Supervisor.of_environment(environment(tmp_path, **more))
    assert supervisor is not None
    assert supervisor.watchdog_seconds == seconds
    supervisor.close()


async def test_a_supervisor_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    supervisor = Supervisor(str(tmp_path / "nobody"))
    supervisor.tell(STATUS="is anybody there")
    supervisor.close()
