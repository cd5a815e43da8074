"""Small ONNX models, good and bad, built node by node."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

MODELS = Path(__file__).resolve().parents[2] / "models"
SAMPLES = ("digits-mlp", "breast-cancer-gbt")

FLOAT = TensorProto.FLOAT
Axes = Sequence[int | str | None]


def value(name: str, shape: Axes | None, element: int = FLOAT) -> onnx.ValueInfoProto:
    """A declared tensor; a string axis is symbolic, None is unknown."""
    return helper.make_tensor_value_info(name, element, shape)


def stored(name: str, values: Any, dtype: Any = np.float32) -> onnx.TensorProto:
    """An initializer."""
    return numpy_helper.from_array(np.asarray(values, dtype=dtype), name)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto] | None = None,
    outputs: Sequence[onnx.ValueInfoProto] | None = None,
    initializers: Sequence[onnx.TensorProto] = (),
    *,
    opset: int = 18,
) -> onnx.ModelProto:
    """A model; x [N, 3] to y [N, 3] where nothing else is said."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        list(inputs or [value("x", ["N", 3])]),
        list(outputs or [value("y", ["N", 3])]),
        list(initializers),
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def node(kind: str, inputs: str, outputs: str = "y", **attributes: Any) -> onnx.NodeProto:
    """A node; names separated by blanks, `domain.Name` for other domains."""
    domain, _, name = kind.rpartition(".")
    return helper.make_node(name, inputs.split(), outputs.split(), domain=domain, **attributes)


def relu() -> onnx.ModelProto:
    return model([node("Relu", "x")])


def inverse_root() -> onnx.ModelProto:
    """NaN for negative values, infinity for zero."""
    return model([node("Sqrt", "x", "root"), node("Reciprocal", "root")])


def centred() -> onnx.ModelProto:
    """Subtracts the mean over the batch: each row depends on all of them."""
    return model(
        [node("ReduceMean", "x axes", "mean", keepdims=1), node("Sub", "x mean")],
        initializers=[stored("axes", [0], np.int64)],
    )


def poisoned() -> onnx.ModelProto:
    """Every row changes once any value of the batch exceeds a million; random tries miss it."""
    return model(
        [
            node("ReduceMax", "x", "largest", keepdims=0),
            node("Greater", "largest limit", "trigger"),
            node("Neg", "x", "negated"),
            node("Where", "trigger negated x"),
        ],
        initializers=[stored("limit", 1e6)],
    )


def lookup() -> onnx.ModelProto:
    """Rows of a table of four; fails where an index lies outside."""
    return model(
        [node("Gather", "table x", axis=0)],
        inputs=[value("x", ["N"], TensorProto.INT64)],
        outputs=[value("y", ["N", 2])],
        initializers=[stored("table", [[0, 1], [2, 3], [4, 5], [6, 7]])],
    )


def data_dependent() -> onnx.ModelProto:
    """As many rows out as there are non-zero values in, whatever the declared axis suggests."""
    return model(
        [node("NonZero", "x", "where"), node("Transpose", "where", "y", perm=[1, 0])],
        inputs=[value("x", ["N"])],
        outputs=[value("y", ["N", 1], TensorProto.INT64)],
    )


def slow(rounds: int = 20_000) -> onnx.ModelProto:
    """A loop of matrix products that takes seconds, one operator at a time."""
    body = helper.make_graph(
        [
            node("Identity", "go", "still"),
            node("MatMul", "state weights", "product"),
            node("Tanh", "product", "next"),
        ],
        "body",
        [
            value("i", [], TensorProto.INT64),
            value("go", [], TensorProto.BOOL),
            value("state", None),
        ],
        [value("still", [], TensorProto.BOOL), value("next", None)],
    )
    return model(
        [helper.make_node("Loop", ["rounds", "", "x"], ["y"], body=body)],
        inputs=[value("x", ["N", 256])],
        outputs=[value("y", ["N", 256])],
        initializers=[
            stored("rounds", rounds, np.int64),
            stored("weights", np.eye(256)),
        ],
    )


def counted_loop(rows: int | str = "N") -> onnx.ModelProto:
    """`slow`, of as many rounds as the input `rounds` says."""
    loop = slow().graph
    return model(
        [*loop.node],
        inputs=[value("x", [rows, 256]), value("rounds", [], TensorProto.INT64)],
        outputs=[value("y", [rows, 256])],
        initializers=list(loop.initializer[1:]),
    )


def rounds_lasting(seconds: float) -> int:
    """Rounds of `counted_loop` that one thread of this machine needs so long for; fewer, if the
    machine is busy while that is measured."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(counted_loop().SerializeToString(), options)
    tried = 20_000
    began = time.perf_counter()
    session.run(None, {"x": np.zeros((1, 256), np.float32), "rounds": np.array(tried)})
    return int(tried * seconds / (time.perf_counter() - began))


def write(folder: Path, content: onnx.ModelProto | bytes, name: str = "model.onnx") -> Path:
    """The model as a file."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


def hanging(size: int = 4_096) -> onnx.ModelProto:
    """One matrix product that takes a core half a minute, and cannot be stopped half-way."""
    return model(
        [
            node("Slice", "x start stop columns", "first"),
            node("Cast", "first", "whole", to=TensorProto.INT32),
            node("Expand", "whole square", "large"),
            node("MatMul", "large large", "product"),
            node("ReduceMax", "product axes", "most", keepdims=1),
            node("Cast", "most", "number", to=FLOAT),
            node("Expand", "number shape", "y"),
        ],
        inputs=[value("x", [1, 3])],
        outputs=[value("y", [1, 3])],
        initializers=[
            stored("start", [0], np.int64),
            stored("stop", [1], np.int64),
            stored("columns", [1], np.int64),
            stored("square", [size, size], np.int64),
            stored("axes", [0, 1], np.int64),
            stored("shape", [1, 3], np.int64),
        ],
    )


def exploding() -> onnx.ModelProto:
    """Takes as many bytes of memory as the first value of its input says."""
    return model(
        [
            node("Slice", "x start stop columns", "first"),
            node("Cast", "first", "count", to=TensorProto.INT64),
            node("Reshape", "count flat", "shape"),
            node("Expand", "zero shape", "large"),
            node("ReduceMax", "large", "most", keepdims=0),
            node("Cast", "most", "number", to=FLOAT),
            node("Add", "x number"),
        ],
        inputs=[value("x", [1, 3])],
        outputs=[value("y", [1, 3])],
        initializers=[
            stored("start", [0], np.int64),
            stored("stop", [1], np.int64),
            stored("columns", [1], np.int64),
            stored("flat", [1], np.int64),
            stored("zero", [0], np.int8),
        ],
    )
