"""Rows are called independent only where they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from oracle.core.schema import ModelSchema
from oracle.inference.batch_probe import stacking_difference
from oracle.inference.provider import CPU
from oracle.inference.session import OpenSession, open_session
from oracle.program.source.model_schema import read_schema
from oracle.program.source.row_independence import dependence
from tests.inference import graphs
from tests.inference.graphs import model, node, stored, value

W33 = stored("w", np.arange(9).reshape(3, 3))
SHAPE_31 = stored("shape", [-1, 3, 1], np.int64)


def opened(content: onnx.ModelProto) -> tuple[OpenSession, ModelSchema]:
    return open_session(content.SerializeToString(), CPU), read_schema(content)


INDEPENDENT = {
    "relu": graphs.relu(),
    "inverse root": graphs.inverse_root(),
    "lookup": graphs.lookup(),
    "gemm": model([node("Gemm", "x w b", transB=1)], initializers=[W33, stored("b", [1, 2, 3])]),
    "matmul": model([node("MatMul", "x w")], initializers=[W33]),
    "softmax": model([node("Softmax", "x", axis=1)]),
    "old softmax": model([node("Softmax", "x")], opset=11),
    "row mean": model(
        [node("ReduceMean", "x axes", "m", keepdims=1), node("Sub", "x m")],
        initializers=[stored("axes", [-1], np.int64)],
    ),
    "argmax": model(
        [node("ArgMax", "x", axis=1, keepdims=0)],
        outputs=[value("y", ["N"], TensorProto.INT64)],
    ),
    "there and back": model(
        [node("Reshape", "x shape", "r"), node("Squeeze", "r axes")],
        initializers=[SHAPE_31, stored("axes", [2], np.int64)],
    ),
    "transposed rows": model(
        [
            node("Reshape", "x shape", "r"),
            node("Transpose", "r", "t", perm=[0, 2, 1]),
            node("Flatten", "t"),
        ],
        initializers=[SHAPE_31],
    ),
    "joined": model([node("Concat", "x x", axis=1)], outputs=[value("y", ["N", 6])]),
    "convolution": model(
        [node("Conv", "x w", "c"), node("GlobalAveragePool", "c")],
        inputs=[value("x", ["N", 2, 5, 5])],
        outputs=[value("y", ["N", 4, 1, 1])],
        initializers=[stored("w", np.ones((4, 2, 3, 3)))],
    ),
    "scaler": model([node("ai.onnx.ml.Scaler", "x", offset=[0.5] * 3, scale=[2.0] * 3)]),
}

DEPENDENT = {
    "centred": graphs.centred(),
    "poisoned": graphs.poisoned(),
    "loop": graphs.slow(2),
    "rows as data": graphs.data_dependent(),
    "softmax over the batch": model([node("Softmax", "x", axis=0)]),
    "softmax of a vector": model([node("Softmax", "x")], [value("x", ["N"])], [value("y", ["N"])]),
    "gram matrix": model(
        [node("Gemm", "x x", "g", transA=1), node("MatMul", "x g")],
    ),
    "reversed": model(
        [
            node("Reshape", "x shape", "t"),
            node("Transpose", "t", perm=[1, 0]),
        ],
        initializers=[stored("shape", [3, -1], np.int64)],
    ),
    "flattened": model(
        [node("Reshape", "x all", "f"), node("Softmax", "f", "s"), node("Reshape", "s back")],
        initializers=[stored("all", [1, -1], np.int64), stored("back", [-1, 3], np.int64)],
    ),
    "outer sum": model(
        [node("Reshape", "x row", "r"), node("Add", "x r")],
        inputs=[value("x", ["N", 1])],
        outputs=[value("y", ["N", "N"])],
        initializers=[stored("row", [1, -1], np.int64)],
    ),
    "cumulative sum": model([node("CumSum", "x axis")], initializers=[stored("axis", 0, np.int64)]),
    "batch norm in training": model(
        [
            node("BatchNormalization", "x s b m v", "y rm rv", training_mode=1),
        ],
        initializers=[stored(name, np.ones(3)) for name in "sbmv"],
    ),
    "stored values reach across": model(
        [node("Add", "x w")], initializers=[stored("w", np.arange(6).reshape(2, 3))]
    ),
    "scale from the whole batch": model(
        [
            node("DynamicQuantizeLinear", "x", "q s z"),
            node("DequantizeLinear", "q s z"),
        ]
    ),
}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_independent_rows_are_recognised(name: str) -> None:
    content = INDEPENDENT[name]
    onnx.checker.check_model(content)
    assert dependence(content) is None
    assert stacking_difference(*opened(content), largest=8) is None


@pytest.mark.parametrize("name", DEPENDENT)
def test_dependent_rows_are_never_called_independent(name: str) -> None:
    assert dependence(DEPENDENT[name])


@pytest.mark.parametrize("name", graphs.SAMPLES)
def test_sample_models_stack_without_changing_a_bit(name: str) -> None:
    content = onnx.load(graphs.MODELS / f"{name}.onnx")
    assert dependence(content) is None
    assert stacking_difference(*opened(content), budget_seconds=60) is None


def test_the_probe_sees_a_batch_mean() -> None:
    assert "differs" in (stacking_difference(*opened(graphs.centred())) or "")


def test_the_probe_sees_rounding_by_position() -> None:
    """As where the tail of a vector loop rounds otherwise; real kernels do so on some machines."""
    session, schema = opened(graphs.relu())

    class Runtime:
        def run(self, names: list[str], feed: dict[str, Any]) -> list[Any]:
            (result,) = session.runtime.run(names, feed)
            if len(result) == 7:
                result[5] = np.nextafter(result[5], np.float32(np.inf))
            return [result]

    class Rounding:
        runtime = Runtime()

    assert "7 stacked rows" in (stacking_difference(Rounding(), schema) or "")  # type: ignore[arg-type]


def test_the_probe_alone_would_miss_a_trap() -> None:
    assert stacking_difference(*opened(graphs.poisoned())) is None
    assert "ReduceMax" in (dependence(graphs.poisoned()) or "")


def test_the_probe_gives_up_in_time() -> None:
    reason = stacking_difference(*opened(graphs.slow(300)), budget_seconds=0.01)
    assert "longer than" in (reason or "")


def test_the_probe_survives_a_model_that_fails() -> None:
    narrow = model(
        [node("Gather", "table x", axis=0)],
        inputs=[value("x", ["N"], TensorProto.INT64)],
        outputs=[value("y", ["N"])],
        initializers=[stored("table", [1.0])],
    )
    assert "made the model fail" in (stacking_difference(*opened(narrow)) or "")
