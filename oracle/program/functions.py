"""The model-local ONNX functions of the ROUNDED tier: compute in float64, round once to float32.

A program file calls them by name and carries their bodies, so that any ONNX runtime can run it.
The reader accepts a body only if it is, byte for byte, the one that is made here.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

DOMAIN = "oracle.rounded"
OPSET = 18


def linear(*, with_bias: bool) -> onnx.FunctionProto:
    """`round(a · b (+ c))`, numpy's matmul and broadcasting."""
    nodes = [_widen("a"), _widen("b"), helper.make_node("MatMul", ["a64", "b64"], ["product"])]
    total = "product"
    if with_bias:
        nodes += [_widen("c"), helper.make_node("Add", ["product", "c64"], ["total"])]
        total = "total"
    inputs = ["a", "b", "c"] if with_bias else ["a", "b"]
    return _function("LinearBias" if with_bias else "Linear", inputs, [*nodes, _round(total)])


def total(operator: str) -> onnx.FunctionProto:
    """`round(ReduceSum(a, axes))` or `round(ReduceMean(a, axes))`, with attribute keepdims."""
    node = helper.make_node(operator, ["a64", "axes"], ["total"])
    keep = onnx.AttributeProto(name="keepdims", type=onnx.AttributeProto.INT)
    keep.ref_attr_name = "keepdims"
    node.attribute.append(keep)
    return _function(operator, ["a", "axes"], [_widen("a"), node, _round("total")], ["keepdims"])


def _widen(name: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [name], [f"{name}64"], to=TensorProto.DOUBLE)


def _round(name: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [name], ["y"], to=TensorProto.FLOAT)


def _function(
    name: str, inputs: list[str], nodes: list[onnx.NodeProto], attributes: list[str] | None = None
) -> onnx.FunctionProto:
    return helper.make_function(
        DOMAIN,
        name,
        inputs,
        ["y"],
        nodes,
        [helper.make_operatorsetid("", OPSET)],
        attributes=attributes or [],
    )
