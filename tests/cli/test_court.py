"""The court off the chain: a trace file is judged, and a machine judges itself before it bonds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle.bootstrap.models import prepare_model
from oracle.bootstrap.sample_rows import read_rows
from oracle.devnet.samples import sample
from oracle.inference.model_library import ModelLibrary
from oracle.inference.program_session import LoadedProgram, open_program
from oracle.inference.provider import CPU
from oracle.inference.run import Run
from oracle.inference.session import SessionSettings
from oracle.program.instruction import Trace
from oracle.program.manifest import ProgramManifest
from oracle.verify.trace_file import write_trace
from tests.cli.conftest import Oracle


@pytest.fixture
def honest(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A program file, the trace of an honest run of two rows, and rows of input."""
    digits = sample("digits-mlp")
    prepared = prepare_model(digits.file)
    assert prepared.compiled is not None
    loaded = open_program(
        "digits",
        prepared.compiled.file,
        prepared.root,
        prepared.schema,
        provider=CPU,
        settings=SessionSettings(),
    )
    rows = read_rows(digits.held_out, prepared.schema, most=2)
    traces = [run.trace for row in rows if (run := loaded.run(row, 1))]
    program, trace = tmp_path / "digits.program.onnx", tmp_path / "digits.trace"
    program.write_bytes(prepared.compiled.file)
    trace.write_bytes(b"".join(write_trace(one) for one in traces if one))
    return program, trace, digits.held_out


def test_a_trace_file_is_judged(node: Oracle, honest: tuple[Path, Path, Path]) -> None:
    program, trace, _ = honest
    facts = node.json("court", "check", "--program", str(program), "--trace", str(trace))
    assert facts["honest"] is True
    assert facts["rows"] == 2
    assert facts["within_bounds"] == facts["elements"]
    data = np.frombuffer(trace.read_bytes(), np.float32).copy()
    data[200] += 1.0
    trace.write_bytes(data.tobytes())
    printed = node.run("court", "check", "--program", str(program), "--trace", str(trace))
    assert printed.exit_code == 11
    assert "claimed" in printed.err
    trace.write_bytes(data.tobytes()[:-8])
    said = node.fails(3, "court", "check", "--program", str(program), "--trace", str(trace))
    assert "cut short" in said


def test_a_model_is_compiled_and_certified(
    node: Oracle, honest: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    program, _, rows = honest
    model = str(sample("digits-mlp").file)
    out = tmp_path / "again.onnx"
    facts = node.json("model", "compile", model, "-o", str(out))
    assert out.read_bytes() == program.read_bytes()
    assert facts["instructions"] > 0
    assert facts["compared_on"] == "8 generated rows"
    assert facts["largest_difference"] < 1e-5
    assert facts["error_bar_is"] == "none"
    manifest = ProgramManifest.from_json(Path(facts["manifest"]).read_bytes())
    assert manifest.difference is not None
    assert manifest.difference.largest == facts["largest_difference"]
    assert manifest.certificate is None
    certify = ("model", "certify", model, "--inputs", str(rows), "--rows", "4")
    certified = node.json(*certify)
    assert 0 < certified["epsilon"] < 1e-3
    assert (certified["kind"], certified["rows"]) == ("proved", 4)
    card = tmp_path / "card.json"
    node.ok(*certify, "-o", str(card))
    assert json.loads(card.read_text())["certificate"] == certified
    facts = node.json("model", "compile", model, "-o", str(out), *certify[3:])
    assert facts["compared_on"] == "450 given rows"
    assert (tmp_path / "again.manifest.json").read_text() == card.read_text()
    assert "not an .npz" in node.fails(3, "model", "certify", model, "--inputs", model)


def test_a_machine_that_breaks_the_bounds_does_not_bond(
    node: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = node.json("selfcheck")["selfcheck"]
    assert {one["verdict"] for one in checked} == {"honest"}
    assert len(checked) >= len(ModelLibrary(node.data_dir / "models").programs())

    run = LoadedProgram.run

    def drifting(self: LoadedProgram, *given: Any, **options: Any) -> Run:
        honest = run(self, *given, **options)
        assert honest.trace is not None
        rows = tuple((*row[:-1], row[-1] + row[-1] + 1) for row in honest.trace.rows)
        return replace(honest, trace=Trace(rows))

    monkeypatch.setattr(LoadedProgram, "run", drifting)
    printed = node.run("operator", "bond", "1")
    assert printed.exit_code == 11
    assert "does not keep the court's bounds" in printed.err
