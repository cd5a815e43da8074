"""Rows under products of activations, slices and 8-bit operators."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from oracle.program.source.row_independence import dependence
from tests.program.models import SAMPLES, source_model

FLOAT = TensorProto.FLOAT


def ints(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, dtype=np.int64)


def model(
    *nodes: onnx.NodeProto,
    features: tuple[int, ...] = (3,),
    output: tuple[Any, ...] = ("N", 3),
    kind: int = FLOAT,
    stored: dict[str, NDArray[Any]] | None = None,
) -> onnx.ModelProto:
    data = source_model(nodes, features=features, outputs=[("y", kind, output)], stored=stored)
    return onnx.load_from_string(data)


INDEPENDENT = {
    "attention": model(
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "t"], ["y"]),
        features=(4, 5),
        output=("N", 4, 4),
    ),
    "slice": model(
        helper.make_node("Slice", ["x", "a", "b", "c"], ["y"]),
        output=("N", 2),
        stored={"a": ints(1), "b": ints(3), "c": ints(1)},
    ),
    "split": model(
        helper.make_node("Split", ["x", "lengths"], ["l", "r"], axis=1),
        helper.make_node("Concat", ["r", "l"], ["y"], axis=1),
        stored={"lengths": ints(1, 2)},
    ),
    "quantize": model(
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
        stored={"s": np.array(0.5, dtype=np.float32), "z": np.array(3, dtype=np.uint8)},
    ),
    "integer product": model(
        helper.make_node("MatMulInteger", ["x", "w"], ["y"]),
        kind=TensorProto.INT32,
        stored={"w": np.ones((3, 3), dtype=np.int8)},
    ),
}

DEPENDENT = {
    "gram": model(
        helper.make_node("Transpose", ["x"], ["t"]),
        helper.make_node("MatMul", ["t", "x"], ["g"]),
        helper.make_node("MatMul", ["x", "g"], ["y"]),
    ),
    "rows by rows": model(
        helper.make_node("Transpose", ["x"], ["t"]),
        helper.make_node("MatMul", ["x", "t"], ["y"]),
        output=("N", "N"),
    ),
    "batch slice": model(
        helper.make_node("Slice", ["x", "a", "b", "c"], ["y"]),
        stored={"a": ints(0), "b": ints(1), "c": ints(0)},
    ),
    "batch split": model(
        helper.make_node("Split", ["x", "lengths"], ["l", "r"], axis=0),
        helper.make_node("Add", ["r", "l"], ["y"]),
        stored={"lengths": ints(1, 1)},
    ),
    "scale along the batch": model(
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"], axis=0),
        helper.make_node("DequantizeLinear", ["q", "s"], ["y"], axis=0),
        stored={"s": np.array([0.5, 1, 2], dtype=np.float32)},
    ),
}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_independent(name: str) -> None:
    assert dependence(INDEPENDENT[name]) is None


@pytest.mark.parametrize("name", DEPENDENT)
def test_dependent(name: str) -> None:
    assert dependence(DEPENDENT[name]) is not None


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.onnx")), ids=lambda path: path.stem)
def test_sample_models_keep_rows_apart(path: Any) -> None:
    assert dependence(onnx.load(path)) is None
