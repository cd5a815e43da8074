"""More rules of how operators treat rows: products of two activations, slices, 8-bit operators.

The same contract as `row_rules`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
import onnx

from oracle.program.source.row_rules import (
    RULES,
    Shape,
    Unproven,
    Walk,
    attribute,
    batch_axis,
    inner_axis,
)

_Rule: TypeAlias = Callable[[Walk, onnx.NodeProto], list[Shape]]


def _matmul(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    """Two activations: the batch must be one of the axes that both are stacked along."""
    if walk.dynamic(node) == [node.input[0]]:
        return RULES["MatMul"](walk, node)
    left, right = (_shape(walk, name) for name in node.input)
    dynamic = [walk.shapes[name] for name in node.input if name in walk.shapes]
    if min(len(left), len(right)) < 2:
        raise Unproven("multiplies a vector")
    stacked = [len(shape) - batch_axis(shape) for shape in dynamic]
    if min(stacked) < 3 or len(set(stacked)) != 1:
        raise Unproven("sums over the batch axis, or the batch is stacked in different places")
    for name, shape in zip(node.input, (left, right), strict=True):
        if name in walk.constants and any(axis != 1 for axis in shape[: -stacked[0] + 1 or None]):
            raise Unproven("a stored operand reaches across the batch axis")
    return [(*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])]


def _quantised_matmul(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    left = walk.first_only(node)
    right = walk.constant(node.input[3 if node.op_type == "QLinearMatMul" else 1]).shape
    if len(right) != 2 or batch_axis(left) == len(left) - 1:
        raise Unproven("sums over the batch axis, or its weights are not a matrix")
    return [(*left[:-1], right[1])]


def _rescaled(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    """Quantising: one scale for all, or one per place along an axis within the row."""
    shape = walk.first_only(node)
    if math.prod(walk.constant(node.input[1]).shape) != 1:
        inner_axis(shape, attribute(node, "axis", 1))
    return [shape]


def _slice(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    shape = list(walk.first_only(node))
    if len(node.input) < 3:
        raise Unproven("has its bounds as attributes")
    starts, ends = (walk.constant(name).tolist() for name in node.input[1:3])
    given = [walk.constant(name).tolist() if name else None for name in node.input[3:]]
    axes = given[0] if given and given[0] is not None else range(len(starts))
    steps = given[1] if len(given) > 1 and given[1] is not None else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            raise Unproven("runs backwards")
        place = inner_axis(tuple(shape), axis)
        shape[place] = len(range(*slice(start, end, step).indices(shape[place])))
    return [tuple(shape)]


def _split(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    shape = walk.first_only(node)
    axis, count = inner_axis(shape, attribute(node, "axis", 0)), len(node.output)
    if len(node.input) > 1 and node.input[1]:
        lengths = walk.constant(node.input[1]).tolist()
    else:
        whole, rest = divmod(shape[axis], count)
        lengths = attribute(node, "split", None) or [whole] * count
        if rest:
            raise Unproven("splits unevenly")
    return [(*shape[:axis], length, *shape[axis + 1 :]) for length in lengths]


def _dropout(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    if len(node.input) > 2 or len(node.output) != 1:
        raise Unproven("may be in training mode")
    return [walk.first_only(node)]


def _shape(walk: Walk, name: str) -> Shape:
    return walk.shapes[name] if name in walk.shapes else walk.constant(name).shape


PRODUCTS: Final[dict[str, _Rule]] = {
    **dict.fromkeys(("QLinearMatMul", "MatMulInteger"), _quantised_matmul),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _rescaled),
    **dict.fromkeys(("QLinearConv", "ConvInteger"), RULES["Conv"]),
    "Dropout": _dropout,
    "MatMul": _matmul,
    "Slice": _slice,
    "Split": _split,
}
