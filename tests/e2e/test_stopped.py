"""A node that is ended while its answers can be disputed: what it says then, and afterwards."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

from oracle.core.job import JobState
from tests.support.failures import thorough
from tests.support.world import World, ended

LIVE = ("standing", "draining", "endpoints", "last_heartbeat_seconds_ago", "process", "trouble")


@thorough
async def test_a_stop_tells_of_open_windows_and_a_stopped_node_how_to_start_it(
    world: World,
) -> None:
    worker = await world.worker()
    first, second = [await world.ask(window=600) for _ in range(2)]
    for made in (first, second):
        answered = await world.until_job(made.id, JobState.ANSWERED)
    running = await _said(world, "node", "status")
    assert running["alive"] is True
    assert set(LIVE) <= set(running)
    listed = (await _said(world, "job", "list"))["jobs"]
    assert {one["final_at"] for one in listed} >= {answered.settle_at}
    stop = await _shown(world, "node", "stop")
    assert await ended(worker) == 0
    assert "2 answers are not final until 20" in stop
    assert "40 OPG at stake: a demand until then needs this node" in " ".join(stop.split())
    assert (
        "answers are not final: a demand until then needs this node" in worker.log_file.read_text()
    )
    told = await _said(world, "node", "status", exit_code=1)
    assert told["alive"] is False
    assert told["node"].startswith("ended in order at 20")
    assert "oracle up" in told["next"]
    assert (told["answers_not_final"], told["at_stake_opg"]) == (2, "40")
    assert not set(LIVE) & set(told)


async def test_a_killed_node_is_not_said_to_have_ended_in_order(world: World) -> None:
    worker = await world.worker()
    worker.process.kill()
    await ended(worker)
    told = await _said(world, "node", "status", exit_code=1)
    assert told["node"].startswith("killed, or its machine went down")
    assert not set(LIVE) & set(told)


async def _shown(world: World, *verb: str, exit_code: int = 0) -> str:
    command = [sys.executable, "-m", "oracle", "--config", str(world.write_settings()), *verb]
    run = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False
    )
    assert run.returncode == exit_code, run.stderr
    return run.stdout


async def _said(world: World, *verb: str, exit_code: int = 0) -> dict[str, Any]:
    """What a verb gives to scripts."""
    found: dict[str, Any] = json.loads(await _shown(world, *verb, "--json", exit_code=exit_code))
    return found
