"""Requests get their own answers, whoever shares their run, and never an unusable one."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from oracle.core.schema import ModelSchema, TensorSpec
from oracle.core.tensor import decode_inputs, encode_inputs, encode_outputs
from oracle.core.types import Tier
from oracle.court.check import check_trace
from oracle.errors import (
    InferenceError,
    ModelFileError,
    RunCutShort,
    RunTimedOut,
    TensorError,
    UnusableOutput,
)
from oracle.inference.engine import EngineSettings, LocalEngine
from oracle.inference.loaded_model import LoadedModel
from oracle.inference.model_file import inspect
from oracle.inference.model_library import ModelLibrary
from oracle.ports.inference import Inference, InferenceEngine
from oracle.program.compile import compile_model
from oracle.program.source.model_schema import read_schema
from tests.inference import graphs

Build = Callable[..., LocalEngine]


@pytest.fixture
def store(tmp_path: Path) -> ModelLibrary:
    return ModelLibrary(tmp_path / "models")


@pytest.fixture
async def engine(store: ModelLibrary) -> AsyncIterator[Build]:
    built: list[LocalEngine] = []

    def build(**settings: Any) -> LocalEngine:
        built.append(LocalEngine(store, settings=EngineSettings(**settings)))
        return built[-1]

    yield build
    for each in built:
        each.close()


def put(store: ModelLibrary, content: onnx.ModelProto) -> tuple[bytes, ModelSchema]:
    return store.add(content.SerializeToString()), read_schema(content)


def rows(*values: float, columns: int = 3) -> dict[str, Any]:
    return {"x": np.array([[value] * columns for value in values], dtype=np.float32)}


def count_reads(store: ModelLibrary, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    reads: list[bytes] = []
    read = store.read

    def counted(sha256: bytes) -> bytes:
        reads.append(sha256)
        return read(sha256)

    monkeypatch.setattr(store, "read", counted)
    return reads


def same(left: Inference, right: Inference) -> bool:
    return all(left.outputs[n].tobytes() == right.outputs[n].tobytes() for n in left.outputs)


@pytest.mark.parametrize("name", graphs.SAMPLES)
async def test_stacked_and_single_runs_agree_to_the_bit(
    store: ModelLibrary, engine: Build, name: str
) -> None:
    found = inspect(graphs.MODELS / f"{name}.onnx")
    sha256 = store.add(found.path.read_bytes())
    samples = np.load(graphs.MODELS / "heldout" / f"{name}.npz")["x"]
    sizes = [1, 1, 3, 1, 40, 1, 64, 65, 1, 2, 7]
    bounds = np.cumsum([0, *sizes])
    name_in = found.schema.inputs[0].name
    rounds = np.resize(samples, (bounds[-1], samples.shape[1]))
    inputs = [{name_in: rounds[a:b]} for a, b in pairwise(bounds)]
    stacking, single = engine(), engine(batching=False)
    assert (await stacking.load(sha256, found.schema)).single_only is None
    assert (await single.load(sha256, found.schema)).single_only == "batching is switched off"
    together = await stacking.run(sha256, found.schema, inputs)
    apart = await single.run(sha256, found.schema, inputs)
    for size, left, right in zip(sizes, together, apart, strict=True):
        assert same(left, right)
        assert left.outputs["label"].shape == (size,)
        assert json.loads(left.session)["provider"] == "CPUExecutionProvider"
        assert left.seconds > 0


async def test_the_engine_is_the_port(engine: Build) -> None:
    port: InferenceEngine = engine()
    assert await port.run_each(bytes(32), read_schema(graphs.relu()), []) == []


async def test_bytes_in_bytes_out(store: ModelLibrary, engine: Build) -> None:
    found = inspect(graphs.MODELS / "digits-mlp.onnx")
    sha256 = store.add(found.path.read_bytes())
    held_out = np.load(graphs.MODELS / "heldout" / "digits-mlp.npz")
    data = encode_inputs(found.schema, [held_out["x"][:1]])
    (result,) = await engine().run(sha256, found.schema, [decode_inputs(found.schema, data)])
    assert result.outputs["label"][0] == held_out["y"][0]
    assert len(encode_outputs(found.schema, result.outputs)) == 8 + 40


@pytest.mark.parametrize("content", [graphs.centred(), graphs.poisoned()], ids=["mean", "trap"])
async def test_strangers_do_not_influence_each_other(
    store: ModelLibrary, engine: Build, content: onnx.ModelProto
) -> None:
    sha256, schema = put(store, content)
    both = await engine().run(sha256, schema, [rows(1.0, 2.0), rows(1e7)])
    alone = [
        (await engine().run(sha256, schema, [each]))[0] for each in (rows(1.0, 2.0), rows(1e7))
    ]
    assert same(both[0], alone[0])
    assert same(both[1], alone[1])


@pytest.mark.parametrize("batching", [True, False])
async def test_nan_is_refused_for_its_own_request_only(
    store: ModelLibrary, engine: Build, batching: bool
) -> None:
    sha256, schema = put(store, graphs.inverse_root())
    inputs = [rows(1.0), rows(2.0, -1.0), rows(0.0)]
    loaded = await engine(batching=batching).load(sha256, schema)
    assert (loaded.single_only is None) == batching
    good, bad, infinite = await engine(batching=batching).run_each(sha256, schema, inputs)
    assert isinstance(good, Inference)
    assert isinstance(bad, UnusableOutput)
    assert "output 'y' is NaN at [1, 0]" in str(bad)
    assert isinstance(infinite, Inference)
    assert np.isposinf(infinite.outputs["y"]).all()
    with pytest.raises(UnusableOutput, match="NaN"):
        await engine(batching=batching).run(sha256, schema, inputs)
    passed = await engine(batching=batching, allow_nan=True).run(sha256, schema, inputs)
    assert np.isnan(passed[1].outputs["y"][1]).all()


async def test_of_a_program_nan_is_a_number_like_any_other(
    store: ModelLibrary, engine: Build
) -> None:
    compiled = compile_model(graphs.inverse_root().SerializeToString(), tier=Tier.ROUNDED)
    root = store.add_program(compiled.file)
    inputs = [rows(4.0), rows(1.0, -1.0)]
    good, bad = await engine().run_each(root, compiled.schema, inputs, Tier.ROUNDED)
    assert isinstance(good, Inference)
    assert isinstance(bad, Inference)
    assert np.isnan(bad.outputs["y"]).tolist() == [[False] * 3, [True] * 3]
    assert bad.trace is not None
    assert check_trace(compiled.program, bad.trace.trace).honest


async def test_a_request_that_fails_spares_its_neighbours(
    store: ModelLibrary, engine: Build
) -> None:
    sha256, schema = put(store, graphs.lookup())
    runner = engine()
    assert (await runner.load(sha256, schema)).single_only is None
    inputs = [{"x": np.array([index])} for index in (1, 9, 3)]
    first, wrong, last = await runner.run_each(sha256, schema, inputs)
    assert isinstance(first, Inference)
    assert isinstance(wrong, UnusableOutput)
    assert "the model rejects this input" in str(wrong)
    assert isinstance(last, Inference)
    assert last.outputs["y"].tolist() == [[6, 7]]


async def test_inputs_are_checked(store: ModelLibrary, engine: Build) -> None:
    sha256, schema = put(store, graphs.relu())
    bad = [rows(np.nan), rows(1.0, columns=4), {}, {"x": np.zeros((1, 3))}, rows()]
    outcomes = await engine().run_each(sha256, schema, [*bad, rows(1.0)])
    assert all(isinstance(outcome, TensorError) for outcome in outcomes[:-1])
    assert isinstance(outcomes[-1], Inference)


async def test_an_output_of_unexpected_shape_is_refused(store: ModelLibrary, engine: Build) -> None:
    sha256, schema = put(store, graphs.data_dependent())
    with pytest.raises(UnusableOutput, match=r"'y' has shape \[1, 1\], not \[2, 1\]"):
        await engine().run(sha256, schema, [{"x": np.array([0, 1], dtype=np.float32)}])


def test_an_output_of_unexpected_type_is_refused() -> None:
    class Runtime:
        def run(self, *_: object) -> list[Any]:
            return [np.zeros((1, 3))]

    class Session:
        runtime = Runtime()

    loaded = LoadedModel(read_schema(graphs.relu()), Session(), None)  # type: ignore[arg-type]
    with pytest.raises(UnusableOutput, match="'y' is float64, not float32"):
        loaded.run(rows(1.0), 1)


async def test_models_are_kept_and_the_least_used_goes_first(
    store: ModelLibrary, engine: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [
        put(store, content) for content in (graphs.relu(), graphs.inverse_root(), graphs.centred())
    ]
    reads = count_reads(store, monkeypatch)
    runner = engine(loaded_models=2)
    first, second, third = (sha256 for sha256, _ in models)
    for index in (0, 1, 0, 2, 0, 1):
        await runner.run(*models[index], [rows(1.0)])
    assert reads == [first, second, third, second]


async def test_a_model_asked_for_twice_at_once_is_loaded_once(
    store: ModelLibrary, engine: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256, schema = put(store, graphs.relu())
    reads = count_reads(store, monkeypatch)
    runner = engine(threads=3)
    await asyncio.gather(*(runner.run(sha256, schema, [rows(1.0)]) for _ in range(8)))
    assert len(reads) == 1


async def test_another_interface_than_the_files_is_refused(
    store: ModelLibrary, engine: Build
) -> None:
    sha256, schema = put(store, graphs.relu())
    other = ModelSchema((TensorSpec("z", schema.inputs[0].element, (None, 3)),), schema.outputs)
    runner = engine()
    with pytest.raises(ModelFileError, match="has the interface") as caught:
        await runner.load(sha256, other)
    assert caught.value.hint
    await runner.load(sha256, schema)
    with pytest.raises(ModelFileError, match="has the interface"):
        await runner.load(sha256, other)


async def test_another_limit_for_the_same_file_spoils_nothing(
    store: ModelLibrary, engine: Build
) -> None:
    sha256, schema = put(store, graphs.relu())
    runner = engine()
    await runner.load(sha256, replace(schema, max_batch=7))
    assert (await runner.load(sha256, schema)).schema == schema


async def test_a_missing_model_is_an_error(engine: Build) -> None:
    with pytest.raises(ModelFileError, match="is not on this machine"):
        await engine().run(bytes(32), read_schema(graphs.relu()), [rows(1.0)])


async def test_a_run_that_takes_too_long_is_stopped(store: ModelLibrary, engine: Build) -> None:
    slow, schema = put(store, graphs.slow(10_000_000))
    fast = put(store, graphs.relu())
    runner = engine(timeout_seconds=2.0)
    await runner.load(slow, schema)
    with pytest.raises(InferenceError, match=r"longer than 2\.0 s"):
        await runner.run(slow, schema, [rows(1.0, columns=256)] * 3)
    # The only thread comes back, because the loop body gave onnxruntime the chance to stop.
    (result,) = await runner.run(*fast, [rows(-1.0)])
    assert result.outputs["y"].tolist() == [[0, 0, 0]]


async def test_what_finished_before_a_time_out_is_kept(store: ModelLibrary, engine: Build) -> None:
    sha256, schema = put(store, graphs.counted_loop())
    inputs = [rows(1.0, columns=256) | {"rounds": np.array(n)} for n in (1, 10_000_000, 1)]
    first, hung, never = await engine(timeout_seconds=2.0).run_each(sha256, schema, inputs)
    assert isinstance(first, Inference)
    assert isinstance(hung, InferenceError)
    assert not isinstance(hung, UnusableOutput)
    assert isinstance(never, InferenceError)


async def test_cancelling_stops_the_run(store: ModelLibrary, engine: Build) -> None:
    slow, schema = put(store, graphs.slow(10_000_000))
    runner = engine(timeout_seconds=20)
    await runner.load(slow, schema)
    task = asyncio.create_task(runner.run(slow, schema, [rows(1.0, columns=256)]))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (result,) = await runner.run(*put(store, graphs.relu()), [rows(1.0)])
    assert result.outputs["y"].shape == (1, 3)


async def test_hanging_threads_are_reported(
    store: ModelLibrary, engine: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()
    sha256, schema = put(store, graphs.relu())
    runner = engine(timeout_seconds=1.0)
    await runner.load(sha256, schema)
    with monkeypatch.context() as patched:
        patched.setattr(LoadedModel, "run", lambda *_, **__: held.wait(120))
        with pytest.raises(InferenceError, match="longer than"):
            await runner.run(sha256, schema, [rows(1.0)])
        with pytest.raises(InferenceError, match="every inference thread is held"):
            await runner.run(sha256, schema, [rows(1.0)])
    held.set()
    (result,) = await runner.run(sha256, schema, [rows(1.0)])
    assert isinstance(result, Inference)


async def test_the_event_loop_stays_free(store: ModelLibrary, engine: Build) -> None:
    sha256, schema = put(store, graphs.slow(20_000))
    runner = engine()
    await runner.load(sha256, schema)
    task = asyncio.create_task(runner.run(sha256, schema, [rows(1.0, columns=256)]))
    ticks = 0
    while not task.done():
        await asyncio.sleep(0.001)
        ticks += 1
    await task
    assert ticks > 3


async def test_who_shares_a_run_is_told_before_it_begins(
    store: ModelLibrary, engine: Build
) -> None:
    runner = engine()
    loaded = await runner.load(*put(store, graphs.relu()))
    begun: list[tuple[int, int]] = []
    await runner.run_loaded(
        loaded, [rows(1.0)] * 70, begins=lambda first, last: begun.append((first, last))
    )
    assert begun == [(0, 63), (64, 69)]


async def test_only_the_run_that_took_too_long_is_to_blame(
    store: ModelLibrary, engine: Build
) -> None:
    sha256, schema = put(store, graphs.slow(10_000_000))
    runner = engine(timeout_seconds=0.3, batching=False)
    found = await runner.run_each(sha256, schema, [rows(1.0, columns=256)] * 3)
    assert [type(one) for one in found] == [RunTimedOut, RunCutShort, RunCutShort]
