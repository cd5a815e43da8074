"""A loaded program's trace is every committed tensor in committed order, hashed as defined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oracle.core.types import Tier
from oracle.court.check import check_trace
from oracle.court.commitment import commit
from oracle.errors import ModelFileError
from oracle.inference.probe_rows import probe_rows
from oracle.inference.program_session import LoadedProgram, exposed, open_program
from oracle.inference.provider import CPU, Provider
from oracle.inference.session import SessionSettings, open_session
from oracle.program.compile import compile_model
from oracle.program.encoding import program_root

MODELS = Path(__file__).parents[2] / "models"


def loaded(name: str, tier: Tier | None = None) -> LoadedProgram:
    compiled = compile_model((MODELS / f"{name}.onnx").read_bytes(), tier=tier)
    return open_program(
        name,
        compiled.file,
        program_root(compiled.program),
        compiled.schema,
        provider=CPU,
        settings=SessionSettings(),
    )


@pytest.mark.parametrize("name", ["digits-residual", "digits-encoder", "wine-xgboost"])
def test_the_trace_is_what_the_program_computed(name: str) -> None:
    oracle = loaded(name)
    program = oracle.program
    compiled = compile_model((MODELS / f"{name}.onnx").read_bytes())
    session = open_session(exposed(compiled.file, program), CPU, SessionSettings())
    rows = [row for row, _ in zip(probe_rows(oracle.schema), range(3), strict=False)]
    feed = {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}
    run = oracle.run(feed, 3)
    assert run.trace is not None
    names = [info.name for info in program.tensors[len(program.inputs) :]]
    for row, flat in zip(rows, run.trace.rows, strict=True):
        given = [row[info.name] for info in program.tensors[: len(program.inputs)]]
        values = [*given, *session.runtime.run(names, row)]
        for info, value, found in zip(program.tensors, values, flat, strict=True):
            wanted = info.flatten(np.asarray(value))
            assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
            assert found.tobytes() == wanted.tobytes(), info.name
    committed = oracle.committed(run)
    assert committed is not None
    assert committed.root == commit(program, oracle.root, run.trace).trace_root


def test_some_layouts_are_permuted() -> None:
    tensors = loaded("digits-residual").program.tensors
    assert any(info.layout != tuple(range(len(info.shape))) for info in tensors)


@pytest.mark.parametrize("name", ["digits-lenet", "digits-residual"])
def test_the_native_tier_is_optimised_and_honest(name: str) -> None:
    oracle = loaded(name, Tier.NATIVE)
    assert oracle.session.facts.optimisation == "all"
    assert loaded(name).session.facts.optimisation == "basic"
    for row, _ in zip(probe_rows(oracle.schema), range(10), strict=False):
        trace = oracle.run(row, 1).trace
        assert trace is not None
        assert check_trace(oracle.program, trace).honest


def test_off_the_cpu_nothing_is_optimised_further(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[SessionSettings] = []

    def spy(model: bytes, provider: Provider, settings: SessionSettings) -> None:
        seen.append(settings)

    monkeypatch.setattr("oracle.inference.program_session.open_session", spy)
    compiled = compile_model((MODELS / "digits-lenet.onnx").read_bytes(), tier=Tier.NATIVE)
    root = program_root(compiled.program)
    for provider in (CPU, Provider("CUDAExecutionProvider")):
        open_program(
            "lenet", compiled.file, root, compiled.schema,
            provider=provider, settings=SessionSettings(),
        )  # fmt: skip
    assert [settings.optimisation for settings in seen] == ["all", "basic"]


def test_a_schema_that_counts_rows_otherwise_than_the_program_is_refused() -> None:
    """Anybody may register one: an honest answer by it would be convicted by the program."""
    compiled = compile_model((MODELS / "digits-mlp.onnx").read_bytes())
    schema = compiled.schema
    one_row = tuple(replace(spec, shape=(1, *spec.row_shape)) for spec in schema.outputs)
    for forged in (
        replace(schema, outputs=one_row),
        replace(schema, max_batch=schema.max_batch + 1),
        replace(schema, max_batch=1),
    ):
        with pytest.raises(ModelFileError, match="by the registered schema"):
            open_program(
                "forged", compiled.file, program_root(compiled.program), forged,
                provider=CPU, settings=SessionSettings(),
            )  # fmt: skip


def test_an_index_outside_its_table_gives_a_run_that_nobody_can_convict() -> None:
    encoder = loaded("digits-encoder")
    row = next(iter(probe_rows(encoder.schema)))
    (spec,) = encoder.schema.inputs
    for value in (-(2**31), 2**31 - 1):
        outside = row[spec.name].copy()
        outside.reshape(-1)[0] = value
        run = encoder.run({spec.name: outside}, 1)
        assert run.trace is not None
        assert run.trace.rows[0][0].reshape(-1)[0] == value, "committed as it came"
        assert check_trace(encoder.program, run.trace).honest
