"""The rig of `oracle bench recovery`: times a failure's end, and counts what it has cost.

Each failure has nodes with the settings as they come, a proxy before their chain, and blocks of a
second. Counts the next answer by the chain's own logs, and believes nothing that a node says of
itself. `tests.support.provoked` has the failures.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from oracle.bench.recovery import Say
from oracle.bench.recovery_failures import TIMED_FROM, Failure
from oracle.core.job import Job, JobState
from tests.support.fault_proxy import fault_proxy
from tests.support.invariants import Scene, check_one_result_each
from tests.support.play import Play
from tests.support.provoked import PROVOKED
from tests.support.world import Stage, _furnish, _started, open_stage, until, world

_ANSWER_PATIENCE_SECONDS = 180.0
_SETTLE_PATIENCE_SECONDS = 90.0
_LOOK_SECONDS = 0.05


async def run(failures: Sequence[Failure], say: Say) -> Sequence[Mapping[str, Any]]:
    """Provokes each failure. See `oracle.bench.recovery.Rig`."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="oracle-recovery-") as name:
        folder = Path(name)
        async with open_stage(folder / "stage") as shared:
            for failure in failures:
                if failure is Failure.CHAIN_RESTARTED:
                    async with _kept_stage(folder / "kept") as place:
                        row = await measured(failure, place, folder / failure)
                else:
                    row = await measured(failure, shared, folder / failure)
                say(
                    f"{failure}: {row['recovery_seconds']} s, {row['rpc_calls']} calls, "
                    f"{row['lost']} of {row['requests']} lost"
                )
                rows.append(row)
    return rows


@asynccontextmanager
async def _kept_stage(folder: Path) -> AsyncIterator[Stage]:
    """A devnet whose chain can be started again as it was."""
    kept = ("--state", str(folder / "state.json"), "--state-interval", "1")
    with _started(folder, more=kept) as on:
        yield await _furnish(*on)


async def measured(failure: Failure, place: Stage, folder: Path) -> Mapping[str, Any]:
    """The row of one failure. Its requests are lost that are not settled when patience ends."""
    async with (
        world(place, folder, undo=False) as played,
        fault_proxy(played.chain.url) as proxy,
    ):
        play = Play(played, proxy, (await played.chain.head()).number)
        await play.keep_time()
        try:
            async with PROVOKED[failure](play):
                recovery, calls = await _first_answer(play)
                jobs = await _ended(play)
                scene = await Scene.read(played)
                totals = await played.storage.jobs.totals()
        finally:
            await play.end()
        if failure is not Failure.CHAIN_RESTARTED:
            await played.chain.rpc.request("evm_setIntervalMining", [0])
            await played.chain.automine(True)
    return {
        "failure": failure.value,
        "timed_from": TIMED_FROM[failure],
        "recovery_seconds": recovery,
        "requests": len(play.asked),
        "lost": lost(play.asked, jobs),
        "duplicates": signed_twice(scene, play.asked),
        "reverted": totals.reverted,
        "rpc_calls": calls,
    }


async def _first_answer(play: Play) -> tuple[float | None, int]:
    """Seconds until an answer is mined that was not before, and calls until then."""
    give_up_at = play.began + _ANSWER_PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        if (await play.answered()).keys() - play.before:
            seconds = round(time.monotonic() - play.began, 1)
            return seconds, sum(play.proxy.calls.values()) - play.calls_before
        await asyncio.sleep(_LOOK_SECONDS)
    return None, sum(play.proxy.calls.values()) - play.calls_before


async def _ended(play: Play) -> dict[bytes, Job]:
    """The jobs of all that was asked, once they are settled and nothing is open."""
    storage = play.world.storage

    async def settled() -> bool:
        jobs = await storage.jobs.jobs_of(play.asked)
        return lost(play.asked, {job.request_id: job for job in jobs}) == 0

    with contextlib.suppress(TimeoutError):
        await until(settled, _SETTLE_PATIENCE_SECONDS)
    return {job.request_id: job for job in await storage.jobs.jobs_of(play.asked)}


def lost(asked: Collection[bytes], jobs: Mapping[bytes, Job]) -> int:
    """How many requests did not come to be answered and paid for."""
    settled = [one for one in asked if one in jobs and jobs[one].state is JobState.SETTLED]
    return len(asked) - len(settled)


def signed_twice(scene: Scene, asked: Collection[bytes]) -> int:
    """Requests of which V5 does not hold; those of the same batch may be counted with one."""
    return sum(not _has_one_result(scene, request_id) for request_id in asked)


def _has_one_result(scene: Scene, request_id: bytes) -> bool:
    alone = replace(
        scene,
        happened=tuple(
            one for one in scene.happened if getattr(one, "request_id", None) == request_id
        ),
        transactions={request_id: scene.transactions.get(request_id, ())},
    )
    try:
        check_one_result_each(alone)
    except AssertionError:
        return False
    return True
