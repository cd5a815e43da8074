"""The node's own faults: models that hang, explode or end their process, an empty purse, dear gas,
a full disk, a held lock, SIGTERM in the midst of it. Others' requests go on, and so does the node.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest

from oracle.bootstrap.devnet import standing_offer
from oracle.chain.gateway import Gateway
from oracle.client import Requested
from oracle.core.economics import Estimate, outcome
from oracle.core.job import Job, JobState
from oracle.core.model import UNCERTIFIED, ModelTerms
from oracle.core.schema import ModelSchema
from oracle.core.types import ZERO_BYTES32, Tier
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.bring_up import register_model
from oracle.inference.model_library import ModelLibrary
from oracle.program.source.model_schema import read_schema
from tests.inference import graphs
from tests.support.failures import failure, thorough
from tests.support.invariants import (
    check_invariants,
    heartbeat,
    settle_down,
    until_green,
    until_red,
)
from tests.support.world import OPG, PATIENCE_SECONDS, ForkedNode, Stage, World, digit, until
from tests.support.world import world as open_world

SIGNER = signer_of(Person.SIGNER).address
TIMEOUT_SECONDS = 3.0  # what takes milliseconds is not held up for so long by a busy machine
QUICKLY: dict[str, Any] = {
    "inference_timeout_seconds": TIMEOUT_SECONDS,
    "inference_memory_mib": 1_024,
}

WORKED_SECONDS = 0.4
"""Of the processor, within a run that takes seconds of it; loading its model takes far less."""


async def offered(world: World, name: str, content: onnx.ModelProto) -> tuple[bytes, ModelSchema]:
    """A model without a court, registered, stored, and bound by a standing offer."""
    schema = read_schema(content)
    terms = ModelTerms(
        program_root=ModelLibrary(world.settings.model_store).add(content.SerializeToString()),
        profile_hash=ZERO_BYTES32,
        schema_hash=schema.schema_hash,
        tier=Tier.UNPROVEN,
        challenge_window=1,
        reveal_window=0,
        min_bond=OPG,
        epsilon=UNCERTIFIED,
    )
    registrar = world.chain.sender(Person.RELAYER)
    model_id = await register_model(
        registrar, world.contracts, terms, name=name, schema=schema, uri=""
    )
    owner = world.chain.sender(Person.OWNER)
    staking = world.contracts.staking
    await owner.send(staking.address, staking.set_offer_data(model_id, standing_offer()))
    return model_id, schema


def rounds(count: int) -> bytes:
    return np.zeros((1, 256), np.float32).tobytes() + np.array(count, np.int64).tobytes()


async def fails(world: World, made: Requested) -> Job:
    return await world.until_job(made.id, JobState.FAILED)


def inference_process(node: ForkedNode) -> psutil.Process:
    """The node's child that runs models."""
    (found,) = [
        one
        for one in psutil.Process(node._process.pid).children()
        if "oracle.inference.child" in " ".join(one.cmdline())
    ]
    return found


def gone_from(child: psutil.Process) -> Callable[[], Awaitable[bool]]:
    async def gone() -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):  # it may go between the two looks
            return not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
        return True

    return gone


async def until_it_runs(node: ForkedNode, *, idle_seconds: float) -> psutil.Process:
    """The node's child, once it has worked on a run; it is as idle as `idle_seconds` before."""
    child = inference_process(node)

    async def worked() -> bool:
        return bool(child.cpu_times().user > idle_seconds + WORKED_SECONDS)

    await until(worked)
    return child


# ---- models


@failure(15, "a model that loops for ever")
async def test_a_model_that_hangs_costs_its_own_answer_and_nobody_elses(world: World) -> None:
    model_id, _ = await offered(world, "endless", graphs.counted_loop(1))
    poison = await world.ask_bytes(rounds(2**40), model_id=model_id)
    same_model = await world.ask_bytes(rounds(1), model_id=model_id)
    others = [await world.ask(digit(number)) for number in range(3)]
    assert poison.accepted
    await world.process(**QUICKLY)
    failed = await fails(world, poison)
    assert failed.strikes == 2
    told = f"took longer than {TIMEOUT_SECONDS} s (2 times): it is not run again"
    assert told in (failed.reason or "")
    await world.until_settled(same_model.id, *(made.id for made in others))
    after = await world.ask(digit(5))
    await world.until_settled(after.id)
    await settle_down(world)
    assert failed.signature is None


@failure(15, "an operator of a model that cannot be stopped")
async def test_a_model_that_does_not_stop_is_ended_with_its_process(world: World) -> None:
    model_id, _ = await offered(world, "hanging", graphs.hanging())
    node = await world.process(**QUICKLY)
    await world.until_settled((await world.ask()).id)
    first = inference_process(node)
    poison = await world.ask_bytes(np.ones((1, 3), np.float32).tobytes(), model_id=model_id)
    await fails(world, poison)
    await until(gone_from(first))
    await world.until_settled((await world.ask(digit(1))).id)
    assert node.running


@failure(15, "a model that takes all memory")
async def test_a_model_that_explodes_is_refused_its_memory_and_others_go_on(world: World) -> None:
    model_id, _ = await offered(world, "exploding", graphs.exploding())
    node = await world.process(**QUICKLY)
    huge = np.array([[64e9, 0, 0]], np.float32).tobytes()
    small = np.array([[1e3, 0, 0]], np.float32).tobytes()
    poison = await world.ask_bytes(huge, model_id=model_id)
    fine = await world.ask_bytes(small, model_id=model_id)
    image = await world.ask()
    await world.until_settled(fine.id, image.id)
    waiting = await world.until_job(poison.id, JobState.ACCEPTED)
    assert waiting.reason is not None, "it is tried until its deadline: memory may come free"
    assert waiting.strikes == 0
    assert node.running
    await world.chain.travel_past(waiting.request.deadline)
    await node.kill()


@failure(15, "the inference process is killed in the midst of a run")
async def test_a_killed_inference_process_is_started_again_and_nothing_is_signed_twice(
    world: World,
) -> None:
    model_id, _ = await offered(world, "endless", graphs.counted_loop(1))
    node = await world.process(inference_timeout_seconds=120.0)
    await world.until_settled((await world.ask()).id)
    before = inference_process(node).cpu_times().user
    made = await world.ask_bytes(rounds(graphs.rounds_lasting(5.0)), model_id=model_id)
    child = await until_it_runs(node, idle_seconds=before)
    child.send_signal(signal.SIGSEGV)
    await until(gone_from(child))
    (job,) = await world.until_settled(made.id)
    assert job.strikes == 1
    assert job.result is not None
    assert inference_process(node).pid != child.pid


@failure(15, "a model that gives NaN")
async def test_nan_of_a_model_without_a_court_is_answered_as_no_output(world: World) -> None:
    model_id, _ = await offered(world, "roots", graphs.inverse_root())
    await world.process()
    nan = await world.ask_bytes(np.array([[-1, 1, 1]], np.float32).tobytes(), model_id=model_id)
    good = await world.ask_bytes(np.ones((1, 3), np.float32).tobytes(), model_id=model_id)
    empty, full = await world.until_settled(nan.id, good.id)
    assert (empty.result, full.result) == (b"", np.ones((1, 3), np.float32).tobytes())
    assert "NaN at [0, 0]" in (empty.reason or "") or empty.reason is None


# ---- money


@thorough
@failure(15, "a balance of 1 wei")
async def test_without_coin_nothing_is_taken_on_and_what_is_bound_waits(world: World) -> None:
    before = await Gateway(world.chain.rpc).balance(SIGNER)
    await world.chain.set_balance(SIGNER, 1)
    node = await world.process()
    open_one = await world.ask(fee=OPG, open_to_all=True)
    told = await until_red(world, about="nothing new is taken on")
    assert f"{SIGNER} holds" in told
    assert "send it" in told
    assert "--capacity 0" in told
    assert (await world.until_job(open_one.id, JobState.SEEN)).reason is None
    bound = await world.ask()
    assert bound.accepted
    await world.until_job(bound.id, JobState.COMPUTED, JobState.ANSWERING)
    await world.chain.set_balance(SIGNER, before)
    await world.until_settled(bound.id, open_one.id)
    await until_green(world)
    assert node.running


@failure(15, "gas dearer than the fee")
async def test_the_sum_of_what_is_declined_and_of_what_is_earned_is_kept(world: World) -> None:
    await world.process(wei_per_opg=10**16, margin_percent=10, minimum_fee_opg="0")
    good = await world.ask(fee=OPG, open_to_all=True)
    (settled,) = await world.until_settled(good.id)
    expected = Estimate.from_json(settled.economics or "")
    assert (expected.decision, expected.income_wei) == ("admit", 10**16)
    assert expected.needed_wei <= expected.income_wei
    await settle_down(world)
    sent = await world.storage.transactions.transactions_for(good.id)
    came_to = outcome(settled, sent)
    assert {share.purpose for share in came_to.shares} == {"accept", "answer", "settle"}
    assert came_to.earned == OPG
    assert came_to.profit_wei == 10**16 - came_to.cost_wei
    assert 0 < came_to.cost_wei <= expected.cost_wei, "the estimate is at the highest price offered"
    bound = await world.ask()
    (taken,) = await world.until_settled(bound.id)
    assert Estimate.from_json(taken.economics or "").decision == "bound"
    poor = await world.ask(fee=10**9, open_to_all=True)
    declined = await world.until_job(poor.id, JobState.DECLINED)
    why = Estimate.from_json(declined.economics or "")
    assert (why.decision, why.profitable) == ("decline", False)
    assert (declined.reason or "").startswith("unprofitable")


# ---- the disk


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own for a data directory, where the system lets us have one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs may be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
async def small_world(shared_stage: Stage, tmpfs: Path) -> AsyncIterator[World]:
    async with open_world(shared_stage, tmpfs / "data") as opened:
        yield opened
        await check_invariants(opened, quiet=False)


@failure(15, "a full disk")
async def test_a_full_disk_stops_the_work_half_written_nowhere_and_goes_on_when_there_is_room(
    small_world: World, tmpfs: Path
) -> None:
    world = small_world
    worker = await world.worker()  # its log is on that disk, too
    await world.until_settled((await world.ask()).id)
    filler = tmpfs / "filler"
    _fill(filler)
    made = [await world.ask(digit(number)) for number in range(4)]
    await until_red(world, about="full")
    assert worker.process.poll() is None
    filler.unlink()
    await world.until_settled(*(one.id for one in made))
    await until_green(world)
    await _is_whole(world)


@thorough
@failure(15, "no file may grow")
async def test_files_that_may_not_grow_are_as_a_full_disk(world: World) -> None:
    worker = await world.worker()
    await world.until_settled((await world.ask()).id)
    pid = worker.process.pid
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))
    made = [await world.ask(digit(number)) for number in range(4)]
    await asyncio.sleep(4)
    assert worker.process.poll() is None
    for one in made:
        job = await world.job(one.id)
        assert job is None or job.signature is None or job.state is not JobState.ANSWERED
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
    await world.until_settled(*(one.id for one in made))
    await until_green(world)
    await _is_whole(world)


def _fill(path: Path) -> None:
    """Writes until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4_096)):
            pass


async def _is_whole(world: World) -> None:
    """The database passes its own check, and no trace is half there."""
    path = str(world.settings.database_url)
    with sqlite3.connect(path) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert opened.execute("PRAGMA foreign_key_check").fetchall() == []
    opened.close()
    strays = [one for one in world.settings.trace_store.iterdir() if "incoming" in one.name]
    assert strays == []


@failure(15, "a database that another process holds")
async def test_a_held_lock_is_named_and_outlived(world: World) -> None:
    node = await world.process()
    await world.until_settled((await world.ask()).id)
    holder = sqlite3.connect(str(world.settings.database_url), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    made = await world.ask(digit(1))
    await until_red(world, about="locked by another process")
    assert node.running
    holder.execute("ROLLBACK")
    holder.close()
    await world.until_settled(made.id)
    await until_green(world)


@thorough
@failure(15, "failures in a row")
async def test_storage_that_keeps_failing_stops_intake_until_it_works(world: World) -> None:
    node = await world.process(breaker_failures=2, breaker_pause_seconds=1.0)
    await world.until_settled((await world.ask()).id)
    holder = sqlite3.connect(str(world.settings.database_url), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    made = await world.ask(fee=OPG, open_to_all=True)

    async def stopped() -> bool:
        beat = heartbeat(world)
        return beat is not None and "failures of storage" in beat.trouble.get("intake", "")

    await until(stopped)
    holder.execute("ROLLBACK")
    holder.close()
    await world.until_settled(made.id)
    await until_green(world)
    assert node.running


# ---- SIGTERM


@failure(15, "SIGTERM in the midst of a run")
async def test_the_first_sigterm_lets_a_run_end_and_its_answer_be_mined(world: World) -> None:
    model_id, _ = await offered(world, "endless", graphs.counted_loop(1))
    node = await world.process(inference_timeout_seconds=120.0, drain_seconds=PATIENCE_SECONDS)
    await world.until_settled((await world.ask()).id)
    before = inference_process(node).cpu_times().user
    made = await world.ask_bytes(rounds(graphs.rounds_lasting(5.0)), model_id=model_id)
    child = await until_it_runs(node, idle_seconds=before)
    node.signal(signal.SIGTERM)
    assert await node.exit_code() == 0
    await until(gone_from(child))
    job = await world.job(made.id)
    assert job is not None
    assert job.state in (JobState.ANSWERED, JobState.SETTLING, JobState.SETTLED)


@failure(15, "a supervisor that listens")
async def test_a_real_process_tells_its_supervisor_how_it_does(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(PATIENCE_SECONDS)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        worker = await world.worker()
        heard = ""
        while "WATCHDOG=1" not in heard:
            heard += (await asyncio.to_thread(supervisor.recv, 65_536)).decode()
        assert heard.startswith("READY=1\nSTATUS=serving, ")
        assert await worker.stop() == 0
        while "STOPPING=1" not in heard:
            heard += (await asyncio.to_thread(supervisor.recv, 65_536)).decode()


@thorough
@failure(15, "SIGTERM while an answer waits to be mined")
async def test_the_first_sigterm_waits_for_what_is_in_the_pool(world: World) -> None:
    node = await world.process()
    await world.until_settled((await world.ask()).id)
    made = await world.ask(digit(1))
    await world.chain.automine(False)
    await world.until_job(made.id, JobState.ANSWERING)
    node.signal(signal.SIGTERM)
    await asyncio.sleep(1.0)
    assert node.running
    await world.chain.mine()
    await world.chain.automine(True)
    assert await node.exit_code() == 0
    job = await world.job(made.id)
    assert job is not None
    assert job.state in (JobState.ANSWERED, JobState.SETTLING, JobState.SETTLED)
