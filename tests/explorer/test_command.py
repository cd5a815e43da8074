"""`oracle explorer` as a process: says where it is, bears a kill, and ends when it is told to."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import Process
from pathlib import Path

import aiohttp
import pytest

from tests.support.failures import thorough
from tests.support.world import PATIENCE_SECONDS, World, until

pytestmark = pytest.mark.anvil


async def started(settings: Path) -> tuple[Process, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "oracle", "--config", str(settings), "explorer", "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    said = (await asyncio.wait_for(process.stdout.readuntil(b"}"), PATIENCE_SECONDS)).decode()
    return process, json.loads(said)["address"]


async def total(address: str) -> int:
    async with (
        aiohttp.ClientSession(address) as session,
        session.get("/api/status") as response,
    ):
        status = await response.json()
        assert status["trouble"] is None
        found: int = status["requests"]["total"]
        return found


@thorough
async def test_it_is_killed_and_goes_on(world: World) -> None:
    settings = world.write_settings()
    await world.ask()
    process, address = await started(settings)

    async def one() -> bool:
        return await total(address) == 1

    await until(one)
    process.kill()
    await process.wait()
    await world.ask()
    process, address = await started(settings)

    async def both() -> bool:
        return await total(address) == 2

    await until(both)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), PATIENCE_SECONDS) == 0
