"""Small source models for the compiler's tests, and a run of a program beside its source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from oracle.core.types import Tier
from oracle.court.check import check_trace
from oracle.program.compile import CompiledProgram, compile_model
from oracle.program.instruction import Trace

SAMPLES = Path(__file__).parents[2] / "models"
TABULAR = (
    "breast-cancer-gbt",
    "diabetes-xgboost",
    "digits-logistic",
    "digits-mlp",
    "wine-forest",
    "wine-xgboost",
)


def source_model(
    nodes: Sequence[onnx.NodeProto],
    *,
    features: Sequence[int] = (3,),
    outputs: Sequence[tuple[str, int, Sequence[Any]]],
    stored: dict[str, NDArray[Any]] | None = None,
    element: int = TensorProto.FLOAT,
    opset: int = 18,
    ml_opset: int = 3,
    functions: Sequence[onnx.FunctionProto] = (),
) -> bytes:
    """A model with one input `x`, [N, features...]."""
    graph = helper.make_graph(
        list(nodes),
        "source",
        [helper.make_tensor_value_info("x", element, ["N", *features])],
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in outputs],
        [numpy_helper.from_array(array, name) for name, array in (stored or {}).items()],
    )
    opsets = [
        helper.make_operatorsetid("", opset),
        helper.make_operatorsetid("ai.onnx.ml", ml_opset),
    ]
    opsets += [helper.make_operatorsetid(body.domain, 1) for body in functions]
    model = helper.make_model(graph, ir_version=8, opset_imports=opsets, functions=list(functions))
    return bytes(model.SerializeToString())


def run(file: bytes, x: NDArray[Any], names: Sequence[str] | None = None) -> list[NDArray[Any]]:
    """onnxruntime's answer, unoptimised."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return list(session.run(names, {session.get_inputs()[0].name: x}))


def run_rows(file: bytes, x: NDArray[Any]) -> list[NDArray[Any]]:
    """A program's answer, row by row."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    rows = [session.run(None, {name: x[row : row + 1]}) for row in range(len(x))]
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


def trace_of(compiled: CompiledProgram, x: NDArray[Any]) -> Trace:
    """Every committed tensor of a run, row by row: each one is a tensor of the graph."""
    model = onnx.load_from_string(compiled.file)
    shown = {entry.name for entry in model.graph.output}
    names = [info.name for info in compiled.program.tensors]
    for name in names:
        if name not in shown:
            model.graph.output.add().name = name
    file = model.SerializeToString()
    rows = []
    for row in range(len(x)):
        found = run(file, x[row : row + 1], names)
        pairs = zip(compiled.program.tensors, found, strict=True)
        rows.append(tuple(info.flatten(array) for info, array in pairs))
    return Trace(tuple(rows))


def check_same(
    data: bytes, x: NDArray[Any], *, tier: Tier | None = None, relative: float = 1e-5
) -> tuple[CompiledProgram, float]:
    """Compiles, runs both, and compares: integers are equal, floats within `relative`.

    The court must find every element of a few rows within its bounds. Returns the program and the
    largest difference.
    """
    compiled = compile_model(data, tier=tier)
    report = check_trace(compiled.program, trace_of(compiled, x[:5]))
    assert not report.violations
    assert not report.open
    worst = 0.0
    for mine, theirs in zip(run_rows(compiled.file, x), run(data, x), strict=True):
        assert mine.dtype == theirs.dtype
        assert mine.shape == theirs.shape
        if mine.dtype.kind == "f":
            np.testing.assert_allclose(mine, theirs, rtol=relative, atol=relative)
            worst = max(worst, float(np.nanmax(np.abs(mine - theirs), initial=0.0)))
        else:
            np.testing.assert_array_equal(mine, theirs)
    return compiled, worst
