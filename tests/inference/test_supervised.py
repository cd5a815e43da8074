"""Whatever a model does, the node goes on: its process is ended, started again, and the blame is
put on those whose run it was."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest

from oracle.core.schema import ModelSchema
from oracle.core.types import Tier
from oracle.court.commitment import commit
from oracle.errors import (
    InferenceError,
    ModelFileError,
    ProviderUnavailable,
    RunCrashed,
    RunCutShort,
    RunTimedOut,
    TensorError,
    UnusableOutput,
)
from oracle.inference import supervised
from oracle.inference.engine import EngineSettings, LocalEngine
from oracle.inference.model_library import ModelLibrary
from oracle.inference.supervised import ProcessSettings, SupervisedEngine
from oracle.ports.inference import Inference, InferenceEngine
from oracle.program.compile import compile_model, load_program
from oracle.program.source.model_schema import read_schema
from tests.inference import graphs

Build = Callable[..., SupervisedEngine]
PATIENCE_SECONDS = 120.0


@pytest.fixture
def store(tmp_path: Path) -> ModelLibrary:
    return ModelLibrary(tmp_path / "models")


@pytest.fixture
async def engine(store: ModelLibrary) -> AsyncIterator[Build]:
    built: list[SupervisedEngine] = []

    def build(**settings: Any) -> SupervisedEngine:
        process = {name: settings.pop(name) for name in _OF_THE_PROCESS & settings.keys()}
        made = ProcessSettings(**process, engine=EngineSettings(**settings))
        built.append(SupervisedEngine(store, made))
        return built[-1]

    yield build
    for each in built:
        await each.close()


_OF_THE_PROCESS = {"provider", "memory_bytes", "load_seconds"}


def put(store: ModelLibrary, content: onnx.ModelProto) -> tuple[bytes, ModelSchema]:
    return store.add(content.SerializeToString()), read_schema(content)


def rows(*values: float, columns: int = 3) -> dict[str, Any]:
    return {"x": np.array([[value] * columns for value in values], dtype=np.float32)}


SLOW_ROW = rows(1.0, columns=256)


def counted(rounds: int) -> dict[str, Any]:
    return SLOW_ROW | {"rounds": np.array(rounds)}


def process(runner: SupervisedEngine) -> psutil.Process:
    assert runner.process_id is not None
    return psutil.Process(runner.process_id)


async def gone(ended: psutil.Process) -> None:
    """Waits until a process has ended, and leaves it to its parent to know how."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while ended.is_running() and ended.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def begun(runner: SupervisedEngine, last: int = 0) -> None:
    """Waits until the run has begun in which the request `last` of a call is."""

    def runs() -> bool:
        child = runner._child
        assert child is not None
        return any(last in child.progress.running(slot) for slot in range(supervised.SLOTS))

    async with asyncio.timeout(PATIENCE_SECONDS):
        while not runs():  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(0.01)


async def in_a_run(
    runner: SupervisedEngine,
    sha256: bytes,
    schema: ModelSchema,
    inputs: list[dict[str, Any]],
    last: int = 0,
) -> asyncio.Task[list[Any]]:
    await runner.load(sha256, schema)
    task = asyncio.create_task(runner.run_each(sha256, schema, inputs))
    await begun(runner, last)
    return task


async def test_the_engine_is_the_port(engine: Build) -> None:
    port: InferenceEngine = engine()
    assert await port.run_each(bytes(32), read_schema(graphs.relu()), []) == []


async def test_results_are_those_of_the_same_engine_in_this_process(
    store: ModelLibrary, engine: Build
) -> None:
    sha256, schema = put(store, graphs.inverse_root())
    inputs = [rows(1.0, 2.0), rows(-1.0), rows(np.nan), rows(0.0), rows(4.0, columns=2)]
    far = await engine().run_each(sha256, schema, inputs)
    here = LocalEngine(store)
    near = await here.run_each(sha256, schema, inputs)
    here.close()
    assert [type(one) for one in far] == [
        Inference, UnusableOutput, TensorError, Inference, TensorError,
    ]  # fmt: skip
    for one, other in zip(far, near, strict=True):
        assert str(one) == str(other) or isinstance(one, Inference)
        if isinstance(one, Inference):
            assert isinstance(other, Inference)
            assert one.outputs["y"].tobytes() == other.outputs["y"].tobytes()
            assert one.outputs["y"].shape == other.outputs["y"].shape
            assert one.session == other.session


async def test_a_trace_arrives_whole_and_under_its_root(store: ModelLibrary, engine: Build) -> None:
    compiled = compile_model(graphs.inverse_root().SerializeToString(), tier=Tier.ROUNDED)
    root = store.add_program(compiled.file)
    found = await engine().run_each(
        root, compiled.schema, [rows(4.0), rows(1.0, -1.0)], Tier.ROUNDED
    )
    for one in found:
        assert isinstance(one, Inference)
        assert one.trace is not None
        again = commit(load_program(compiled.file), root, one.trace.trace)
        assert again.trace_root == one.trace.root
        assert one.trace.program_root == root
    assert isinstance(found[1], Inference)
    assert np.isnan(found[1].outputs["y"]).tolist() == [[False] * 3, [True] * 3]


async def test_a_large_array_crosses_unharmed(store: ModelLibrary, engine: Build) -> None:
    generator = np.random.default_rng(3)
    columns = 3_000_000  # 12 MB: many times what the socket holds
    content = graphs.model(
        [graphs.node("Neg", "x")],
        inputs=[graphs.value("x", [1, columns])],
        outputs=[graphs.value("y", [1, columns])],
    )
    sha256, schema = put(store, content)
    values = generator.standard_normal((1, columns)).astype(np.float32)
    (found,) = await engine().run_each(sha256, schema, [{"x": values}])
    assert isinstance(found, Inference)
    assert np.array_equal(found.outputs["y"], -values)


async def test_what_is_no_number_is_the_requests_own_fault(
    store: ModelLibrary, engine: Build
) -> None:
    sha256, schema = put(store, graphs.relu())
    bad, good = await engine().run_each(
        sha256, schema, [{"x": np.array([["a", "b", "c"]])}, rows(1.0)]
    )
    assert isinstance(bad, TensorError)
    assert isinstance(good, Inference)


# ---- a run that takes too long


async def test_a_loop_without_end_is_stopped_and_its_neighbours_are_not_blamed(
    store: ModelLibrary, engine: Build
) -> None:
    sha256, schema = put(store, graphs.counted_loop())
    runner = engine(timeout_seconds=2.0)
    await runner.load(sha256, schema)
    before = runner.process_id
    first, hung, never = await runner.run_each(
        sha256, schema, [counted(1), counted(2**40), counted(1)]
    )
    assert isinstance(first, Inference)
    assert type(hung) is RunTimedOut
    assert type(never) is RunCutShort
    (again,) = await runner.run_each(sha256, schema, [counted(1)])
    assert isinstance(again, Inference)
    assert runner.process_id == before, "it stopped by itself: what was loaded stays"


async def test_an_operator_that_does_not_come_back_ends_with_its_process(
    store: ModelLibrary, engine: Build
) -> None:
    hanging, fine = put(store, graphs.hanging()), put(store, graphs.relu())
    runner = engine(timeout_seconds=1.0)
    await runner.load(*hanging)
    doomed = process(runner)
    (found,) = await runner.run_each(*hanging, [rows(1.0)])
    assert type(found) is RunTimedOut
    await gone(doomed)
    (good,) = await runner.run_each(*fine, [rows(-1.0)])
    assert isinstance(good, Inference)
    assert runner.restarts == 1


async def test_a_process_that_stands_still_is_killed(
    store: ModelLibrary, engine: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "_GRACE_SECONDS", 0.3)
    sha256, schema = put(store, graphs.counted_loop())
    runner = engine(timeout_seconds=2.0)
    task = await in_a_run(runner, sha256, schema, [counted(2**40), counted(1)])
    doomed = process(runner)
    doomed.suspend()
    hung, never = await asyncio.wait_for(task, PATIENCE_SECONDS)
    assert type(hung) is RunTimedOut
    assert type(never) is RunCutShort
    assert not doomed.is_running() or doomed.status() == psutil.STATUS_ZOMBIE
    (again,) = await runner.run_each(sha256, schema, [counted(1)])
    assert isinstance(again, Inference)


async def test_a_short_run_behind_a_long_one_is_not_taken_for_hung(
    store: ModelLibrary, engine: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "_GRACE_SECONDS", 0.2)
    sha256, schema = put(store, graphs.counted_loop())
    # Each takes a fraction of its time, and all of them longer than one may.
    runner = engine(timeout_seconds=3.0)
    await runner.load(sha256, schema)
    many = asyncio.create_task(
        runner.run_each(sha256, schema, [counted(graphs.rounds_lasting(0.25))] * 24)
    )
    await begun(runner)
    behind = await runner.run_each(sha256, schema, [counted(1)])
    assert isinstance(behind[0], Inference)
    assert all(isinstance(one, Inference) for one in await many)
    assert runner.restarts == 0


# ---- a process that ends


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
async def test_a_crash_is_the_fault_of_the_run_in_progress_alone(
    store: ModelLibrary, engine: Build, number: signal.Signals
) -> None:
    sha256, schema = put(store, graphs.counted_loop())
    runner = engine(timeout_seconds=60)
    three = [counted(1), counted(2**40), counted(1)]
    task = await in_a_run(runner, sha256, schema, three, last=1)
    process(runner).send_signal(number)
    first, running, never = await asyncio.wait_for(task, PATIENCE_SECONDS)
    assert type(first) is RunCutShort, "its result was not sent yet: it is run again"
    assert type(running) is RunCrashed
    assert number.name in running.message
    assert type(never) is RunCutShort
    (again,) = await runner.run_each(sha256, schema, [counted(1)])
    assert isinstance(again, Inference)
    assert runner.restarts == 1


async def test_a_process_that_ends_while_idle_costs_nobody_anything(
    store: ModelLibrary, engine: Build
) -> None:
    sha256, schema = put(store, graphs.relu())
    runner = engine()
    await runner.load(sha256, schema)
    doomed = process(runner)
    doomed.kill()
    (good,) = await runner.run_each(sha256, schema, [rows(-1.0)])
    assert isinstance(good, Inference)


async def test_a_model_that_ends_the_process_when_it_is_loaded_is_refused_after_two_tries(
    store: ModelLibrary, engine: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, fine = put(store, graphs.centred()), put(store, graphs.relu())
    runner = engine()
    read = store.read
    tries = 0

    def crash_first(sha256: bytes) -> bytes:
        nonlocal tries
        if sha256 == broken[0]:
            tries += 1
            process(runner).suspend()  # so that it is in the load when it dies
            asyncio_loop.call_later(0.2, process(runner).kill)
        return read(sha256)

    asyncio_loop = asyncio.get_running_loop()
    monkeypatch.setattr(store, "read", crash_first)
    for _ in range(2):
        with pytest.raises(ModelFileError, match="ended while it loaded"):
            await runner.load(*broken)
    with pytest.raises(ModelFileError, match="2 times"):
        await runner.run_each(*broken, [rows(1.0)])
    assert tries == 2
    (good,) = await runner.run_each(*fine, [rows(1.0)])
    assert isinstance(good, Inference)


async def test_a_model_that_takes_too_long_to_load_is_given_up(
    store: ModelLibrary, engine: Build
) -> None:
    sha256, schema = put(store, graphs.relu())
    runner = engine(load_seconds=2.0)
    await runner.start()
    process(runner).suspend()
    with pytest.raises(ModelFileError, match="longer than 2 s"):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await runner.load(sha256, schema)
    await runner.load(sha256, schema)


# ---- memory


async def test_a_model_that_explodes_fails_by_itself_within_the_limit(
    store: ModelLibrary, engine: Build
) -> None:
    sha256, schema = put(store, graphs.exploding())
    runner = engine(memory_bytes=1 << 30)
    small, huge, after = (np.array([[size, 0, 0]], np.float32) for size in (1e3, 4e9, 1e3))
    found = await runner.run_each(sha256, schema, [{"x": one} for one in (small, huge, after)])
    assert isinstance(found[0], Inference)
    assert isinstance(found[1], InferenceError)
    assert isinstance(found[2], Inference)
    assert runner.restarts == 0


# ---- what it is given, and what not


async def test_no_secret_is_in_its_environment_files_or_memory(
    store: ModelLibrary, engine: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ORACLE_KEYSTORE_PASSWORD", "hunter2")
    monkeypatch.setenv("CLOUD_SECRET", "hunter3")
    key = secrets.token_bytes(32)
    with (tmp_path / "held-open").open("wb"):
        runner = engine()
        await runner.run_each(*put(store, graphs.relu()), [rows(1.0)])
        child = process(runner)
        assert not any("hunter" in value for value in child.environ().values())
        assert "held-open" not in " ".join(one.path for one in child.open_files())
    assert _memory_holds(os.getpid(), key), "else the look proves nothing"
    assert not _memory_holds(child.pid, key)


def _memory_holds(pid: int, wanted: bytes) -> bool:
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            fields = line.split()
            if not fields[1].startswith("rw"):
                continue
            start, end = (int(one, 16) for one in fields[0].split("-"))
            try:
                memory.seek(start)
                if wanted in memory.read(end - start):
                    return True
            except OSError:
                continue
    return False


async def test_it_leaves_signals_to_the_node(store: ModelLibrary, engine: Build) -> None:
    sha256, schema = put(store, graphs.relu())
    runner = engine()
    await runner.load(sha256, schema)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process(runner).send_signal(number)
    await asyncio.sleep(0.2)
    (good,) = await runner.run_each(sha256, schema, [rows(1.0)])
    assert isinstance(good, Inference)
    assert runner.restarts == 0


PARENT = """
import asyncio
from oracle.inference.model_library import ModelLibrary
from oracle.inference.supervised import SupervisedEngine

async def main():
    engine = SupervisedEngine(ModelLibrary("nowhere"))
    await engine.start()
    print(engine.process_id, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("asleep", [False, True], ids=["awake", "stopped"])
def test_it_dies_with_the_node(asleep: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        child = psutil.Process(_number(parent))
        if asleep:
            child.suspend()
        parent.kill()
        parent.wait()
    _, alive = psutil.wait_procs([child], timeout=PATIENCE_SECONDS)
    assert not alive


def _number(parent: subprocess.Popen[str]) -> int:
    """The first line that is a number: others are the log's."""
    assert parent.stdout is not None
    for line in parent.stdout:
        if line.strip().isdigit():
            return int(line)
    raise AssertionError("it told no process id")


async def test_a_demanded_provider_that_cannot_be_had_is_named(engine: Build) -> None:
    with pytest.raises(ProviderUnavailable, match="CUDA was demanded"):
        await engine(provider="cuda").start()


async def test_a_process_that_does_not_start_is_tried_again_with_pauses(
    store: ModelLibrary, engine: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256, schema = put(store, graphs.relu())
    runner = engine()
    python = sys.executable
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(InferenceError, match="did not start"):
        await runner.load(sha256, schema)
    with pytest.raises(InferenceError, match="1 times in a row"):
        await runner.run_each(sha256, schema, [rows(1.0)])
    monkeypatch.setattr(sys, "executable", python)
    await asyncio.sleep(1.1)
    (good,) = await runner.run_each(sha256, schema, [rows(1.0)])
    assert isinstance(good, Inference)


async def test_a_closed_engine_says_so_and_leaves_no_process(
    store: ModelLibrary, engine: Build
) -> None:
    sha256, schema = put(store, graphs.counted_loop())
    runner = engine(timeout_seconds=60)
    task = await in_a_run(runner, sha256, schema, [counted(2**40)])
    doomed = process(runner)
    await runner.close()
    with pytest.raises(InferenceError, match="closed"):
        await task
    assert not doomed.is_running()
    with pytest.raises(InferenceError, match="closed"):
        await runner.run_each(sha256, schema, [counted(1)])


async def test_models_that_were_put_out_are_sent_again(store: ModelLibrary, engine: Build) -> None:
    runner = engine(loaded_models=1)
    first, second = put(store, graphs.relu()), put(store, graphs.inverse_root())
    for model in (first, second, first, second):
        (good,) = await runner.run_each(*model, [rows(1.0)])
        assert isinstance(good, Inference)


async def test_one_file_under_two_limits_is_two_models(store: ModelLibrary, engine: Build) -> None:
    sha256, schema = put(store, graphs.relu())
    runner = engine()
    narrow = replace(schema, max_batch=1)
    (refused,) = await runner.run_each(sha256, narrow, [rows(1.0, 2.0)])
    (taken,) = await runner.run_each(sha256, schema, [rows(1.0, 2.0)])
    assert isinstance(refused, TensorError)
    assert isinstance(taken, Inference)


async def test_a_program_is_not_ready_as_a_plain_file(store: ModelLibrary, engine: Build) -> None:
    """Anybody may register its root as the SHA-256 of a file."""
    compiled = compile_model(graphs.inverse_root().SerializeToString(), tier=Tier.ROUNDED)
    root = store.add_program(compiled.file)
    runner = engine()
    await runner.load(root, compiled.schema, Tier.ROUNDED)
    with pytest.raises(ModelFileError, match="is not on this machine"):
        await runner.load(root, compiled.schema, Tier.UNPROVEN)
