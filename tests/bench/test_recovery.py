"""The recovery bench runs end to end, small; what is lost or signed twice is found."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from oracle.bench.recovery import CATCH_UP, FAILURES, IDLE, chosen, measure, require_nothing_lost
from oracle.bench.recovery_catch_up import LIVE, Progress
from oracle.bench.recovery_failures import TIMED_FROM, Failure
from oracle.bench.recovery_idle import summed_up
from oracle.bench.recovery_stage import Beat
from oracle.core.job import JobState
from oracle.errors import ConfigurationError, InputError, OracleError
from tests.bench.test_bench import bench
from tests.support.failures import thorough
from tests.support.invariants import Scene
from tests.support.provoked import PROVOKED
from tests.support.recovery import lost, signed_twice
from tests.support.world import World

# ---- what is chosen, and what a figure is held against


def test_every_failure_can_be_provoked_and_says_from_when_it_is_timed() -> None:
    assert set(PROVOKED) == set(TIMED_FROM) == set(Failure)


def test_only_what_is_named_is_measured() -> None:
    assert chosen([]) == ({FAILURES, IDLE, CATCH_UP}, list(Failure))
    assert chosen([FAILURES]) == ({FAILURES}, list(Failure))
    assert chosen([IDLE, "reorg"]) == ({IDLE}, [Failure.REORG])
    with pytest.raises(InputError, match="'flood' is no part") as wrong:
        chosen(["flood"])
    assert "killed-before-sending" in (wrong.value.hint or "")


def test_a_lost_request_or_a_second_signature_is_an_error_and_a_long_wait_is_none() -> None:
    require_nothing_lost({"lost": 0, "duplicates": 0, "failures": [{"recovery_seconds": 10**6}]})
    for facts in ({"lost": 1, "duplicates": 0}, {"lost": 0, "duplicates": 1}):
        with pytest.raises(OracleError, match="requests were lost"):
            require_nothing_lost(facts)


async def test_a_rig_that_is_not_here_is_named_before_anything_starts() -> None:
    with pytest.raises(ConfigurationError, match="there is no rig nowhere"):
        await measure(["reorg"], "nowhere", print, idle_seconds=1, blocks=1, requests=1)


def test_idle_calls_are_those_between_two_heartbeats() -> None:
    first = Beat(100.0, Counter(eth_call=5, eth_getLogs=1))
    last = Beat(130.0, Counter(eth_call=25, eth_getLogs=10, eth_gasPrice=1))
    row = summed_up(12, 2, first, last)
    assert row["by_method"] == {"eth_call": 40.0, "eth_getLogs": 18.0, "eth_gasPrice": 2.0}
    assert (row["calls_per_minute"], row["met"]) == (60.0, False)
    fewer = summed_up(12, 2, first, Beat(130.0, last.calls - Counter(eth_gasPrice=1)))
    assert (fewer["calls_per_minute"], fewer["met"]) == (58.0, True)


def test_memory_is_the_largest_of_each_third_of_the_blocks() -> None:
    mib = 2**20
    looks = [(0, 5 * mib), (10, 7 * mib), (150, 9 * mib), (299, 8 * mib), (400, 6 * mib)]
    assert Progress(300, looks).memory_mib() == {"start": 7.0, "middle": 9.0, "end": 8.0}
    assert Progress(300, looks[:2]).memory_mib() == {"start": 7.0, "middle": None, "end": None}


# ---- what is counted, of a real node


async def test_a_request_without_its_end_is_lost_and_a_second_result_is_found(world: World) -> None:
    await world.process()
    settled = {}
    for _ in range(2):  # one by one, so that each has a transaction of its own
        (job,) = await world.until_settled((await world.ask()).id)
        settled[job.request_id] = job
    made = list(settled)
    scene = await Scene.read(world)
    assert lost(made, settled) == 0
    assert signed_twice(scene, made) == 0
    assert lost(made, {made[0]: settled[made[0]]}) == 1
    unpaid = replace(settled[made[1]], state=JobState.ANSWERED)
    assert lost(made, {**settled, made[1]: unpaid}) == 1
    scene.jobs[made[1]] = replace(settled[made[1]], result=b"another")
    assert signed_twice(scene, made) == 1


@pytest.mark.anvil
@thorough
def test_a_node_that_is_killed_and_started_answers_what_waited(tmp_path: Path) -> None:
    facts = bench(tmp_path, "recovery", "--only", "killed-before-sending")
    (row,) = facts["failures"]
    assert row["failure"] == "killed-before-sending"
    assert (row["requests"], row["lost"], row["duplicates"]) == (2, 0, 0)
    assert row["recovery_seconds"] > 0
    assert row["rpc_calls"] > 0
    assert facts["settings"]["poll_seconds"] == 2.0
    assert facts["goals"] == {"lost": 0, "duplicates": 0, "idle_calls_per_minute": 60}
    assert "idle" not in facts
    assert "catch_up" not in facts


@thorough
@pytest.mark.anvil
def test_an_idle_node_is_counted_at_each_pace_of_the_chain(tmp_path: Path) -> None:
    facts = bench(tmp_path, "recovery", "--only", "idle", "--idle-seconds", "6")
    quiet, slow, quick, quickest = facts["idle"]
    assert quiet["blocks_mined"] == 0
    assert quickest["blocks_mined"] > quick["blocks_mined"] > slow["blocks_mined"]
    # A look each two seconds, at least one call a look, and another where it finds two blocks.
    assert 15 < quick["calls_per_minute"] < quickest["calls_per_minute"]
    # Headers tell that others' logs need not be asked for.
    assert quick["by_method"].get("eth_getLogs", 0) < quick["by_method"]["eth_getBlockByNumber"] / 2
    assert sum(quick["by_method"].values()) == pytest.approx(quick["calls_per_minute"], abs=1)
    assert quick["seconds"] >= 6


@thorough
@pytest.mark.anvil
def test_a_node_that_starts_behind_reads_decides_and_answers(tmp_path: Path) -> None:
    facts = bench(
        tmp_path, "recovery", "--only", "catch-up", "--blocks", "4000", "--requests", "20"
    )
    found = facts["catch_up"]
    assert found["blocks"] >= 4000
    assert found["jobs"]["declined"] == 20
    assert found["answered"] == LIVE
    assert (found["lost"], found["reverted"]) == (0, 0)
    assert 0 < found["ready_seconds"] <= found["read_seconds"] <= found["decided_seconds"]
    assert found["rpc_calls"] == sum(found["rpc_calls_by_method"].values()) > 10
    assert found["memory_mib"]["end"] > 0
