"""How each operator treats the rows of a batch: the rules that `row_independence` applies.

A rule gets a node whose first operand depends on the request and returns its outputs' shapes, or
raises `Unproven`. Shapes are *row-blocked*: one axis is the batch, and every axis before it has
length 1, so that row-major memory is one row after another. It does not walk the graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import onnx
from onnx import helper

Shape: TypeAlias = tuple[int, ...]

BATCH: Final = 1_000_003
"""Stands for the batch size: a prime that no product of other axes contains."""

_ELEMENTWISE: Final = frozenset(
    {"Abs", "Add", "And", "Cast", "Ceil", "Clip", "Div", "Elu", "Equal", "Erf", "Exp"}
    | {"Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity"}
    | {"LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mul", "Neg", "Not"}
    | {"Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Softplus"}
    | {"Softsign", "Sqrt", "Sub", "Sum", "Tanh", "Where", "Xor"}
)
_REDUCTIONS: Final = frozenset(
    {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"}
    | {"ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"}
)
_ALONG_AXIS: Final = frozenset({"Softmax", "LogSoftmax", "LayerNormalization"})
_PER_IMAGE: Final = frozenset(
    {"AveragePool", "BatchNormalization", "Conv", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"}
)
_RESHAPES: Final = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
_PER_VECTOR: Final = frozenset({"ai.onnx.ml.Imputer", "ai.onnx.ml.Normalizer", "ai.onnx.ml.Scaler"})
_PREDICTORS: Final = frozenset(
    f"ai.onnx.ml.{kind}{role}"
    for kind in ("Linear", "SVM", "TreeEnsemble")
    for role in ("Classifier", "Regressor")
)


class Unproven(Exception):
    """An operator whose rows could not be shown to be independent."""


@dataclass
class Walk:
    """What is known while walking the graph: constants by name, row-blocked shapes by name."""

    constants: dict[str, np.ndarray[Any, Any] | None]
    shapes: dict[str, Shape]
    inferred: dict[str, Shape]

    def dynamic(self, node: onnx.NodeProto) -> list[str]:
        """The inputs that depend on the request."""
        return [name for name in node.input if name and name not in self.constants]

    def constant(self, name: str) -> np.ndarray[Any, Any]:
        """The value of an operand that must be stored in the file."""
        value = self.constants.get(name)
        if value is None:
            raise Unproven("an operand is not stored in the file")
        if any(axis and axis % BATCH == 0 for axis in value.shape):
            raise Unproven("a stored operand is too long")
        return value

    def first_only(self, node: onnx.NodeProto) -> Shape:
        """The shape of input 0, where it is the only one that depends on the request."""
        if self.dynamic(node) != [node.input[0]]:
            raise Unproven("more than its first input depends on the request")
        return self.shapes[node.input[0]]


def _elementwise(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    shapes = [walk.shapes[name] for name in walk.dynamic(node)]
    right = {len(shape) - batch_axis(shape) for shape in shapes}
    if len(right) != 1:
        raise Unproven("its inputs have their batch axes in different places")
    for name in node.input:
        if name and name in walk.constants:
            shape = walk.constant(name).shape
            if any(axis != 1 for axis in shape[: max(0, len(shape) - min(right) + 1)]):
                raise Unproven("a stored operand reaches across the batch axis")
            shapes.append(shape)
    return [_broadcast(shapes)]


def _matmul(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    left, right = walk.first_only(node), walk.constant(node.input[1]).shape
    if len(right) != 2 or batch_axis(left) == len(left) - 1:
        raise Unproven("sums over the batch axis, or its weights are not a matrix")
    return [(*left[:-1], right[1])]


def _gemm(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    left, right = walk.first_only(node), walk.constant(node.input[1]).shape
    if attribute(node, "transA", 0) or len(left) != 2:
        raise Unproven("sums over the batch axis")
    columns = right[0] if attribute(node, "transB", 0) else right[1]
    bias = walk.constant(node.input[2]).shape if len(node.input) > 2 and node.input[2] else ()
    return [_broadcast([(left[0], columns), bias])]


def _along_axis(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    shape = walk.first_only(node)
    # Before opset 13, Softmax flattens from axis 1 on; after it, -1 is the default.
    inner_axis(shape, attribute(node, "axis", -1))
    if len(node.output) != 1 or (batch_axis(shape) and "axis" not in _names(node)):
        raise Unproven("has a second output, or no explicit axis")
    return [shape]


def _arg(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    shape = walk.first_only(node)
    axes = {inner_axis(shape, attribute(node, "axis", 0))}
    return [_reduced(shape, axes, bool(attribute(node, "keepdims", 1)))]


def _reduce(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    shape = walk.first_only(node)
    given = _axes(walk, node)
    if not given:
        raise Unproven("reduces over all axes")
    axes = {inner_axis(shape, axis) for axis in given}
    return [_reduced(shape, axes, bool(attribute(node, "keepdims", 1)))]


def _reshape(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    """Row-major order is kept, so rows stay whole if the result is row-blocked too."""
    shape = walk.first_only(node)
    if node.op_type == "Flatten":
        axis = attribute(node, "axis", 1)
        return [(math.prod(shape[:axis]), math.prod(shape[axis:]))]
    if node.op_type == "Reshape":
        return [_resolved(shape, walk.constant(node.input[1]).tolist(), node)]
    axes = _axes(walk, node)
    if node.op_type == "Unsqueeze":
        wide = list(shape)
        for axis in sorted(axis % (len(shape) + len(axes)) for axis in axes):
            wide.insert(axis, 1)
        return [tuple(wide)]
    dropped = {axis % len(shape) for axis in axes}
    dropped = dropped or {axis for axis, length in enumerate(shape) if length == 1}
    return [tuple(length for axis, length in enumerate(shape) if axis not in dropped)]


def _resolved(shape: Shape, wanted: list[int], node: onnx.NodeProto) -> Shape:
    if attribute(node, "allowzero", 0):
        raise Unproven("takes a zero literally")
    target = [shape[axis] if length == 0 else length for axis, length in enumerate(wanted)]
    if -1 in target:
        known = -math.prod(target)
        target[target.index(-1)], rest = divmod(math.prod(shape), known)
        if rest:
            raise Unproven("cuts rows apart")
    if math.prod(target) != math.prod(shape):
        raise Unproven("fixes the batch size")
    return tuple(target)


def _transpose(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    shape = walk.first_only(node)
    order = attribute(node, "perm", list(reversed(range(len(shape)))))
    return [tuple(shape[axis] for axis in order)]


def _concat(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    if len(walk.dynamic(node)) != len(node.input):
        raise Unproven("joins stored values to the request's")
    shapes = [walk.shapes[name] for name in node.input]
    axis = inner_axis(shapes[0], attribute(node, "axis", 0))
    joined = list(shapes[0])
    joined[axis] = sum(shape[axis] for shape in shapes)
    if len({batch_axis(shape) for shape in shapes}) != 1:
        raise Unproven("its inputs have their batch axes in different places")
    return [tuple(joined)]


def _per_image(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    if walk.first_only(node)[0] != BATCH or len(node.output) != 1:
        raise Unproven("the batch does not lead, or it has a second output")
    if attribute(node, "training_mode", 0):
        raise Unproven("computes statistics over the batch")
    return [walk.inferred.get(node.output[0], ())]


def _per_vector(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    shape = walk.first_only(node)
    if len(shape) != 2 or shape[0] != BATCH:
        raise Unproven("its input is not a batch of vectors")
    return [shape]


def _predictor(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    _per_vector(walk, node)
    if node.op_type.endswith("Regressor"):
        return [(BATCH, attribute(node, "n_targets", attribute(node, "targets", 1)))]
    classes = attribute(node, "classlabels_int64s", attribute(node, "classlabels_ints", []))
    return [(BATCH,), (BATCH, max(1, len(classes)))][: len(node.output)]


def _extractor(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    """`ArrayFeatureExtractor` as a table of class labels, looked up by each row's index."""
    if walk.dynamic(node) != [node.input[1]]:
        raise Unproven("its table depends on the request")
    table = walk.constant(node.input[0]).shape
    return [(1, math.prod(walk.shapes[node.input[1]]))] if math.prod(table[:-1]) == 1 else [()]


def _gather(walk: Walk, node: onnx.NodeProto) -> list[Shape]:
    axis = attribute(node, "axis", 0)
    if walk.dynamic(node) == [node.input[1]] and axis == 0:
        return [(*walk.shapes[node.input[1]], *walk.constant(node.input[0]).shape[1:])]
    shape = walk.first_only(node)
    axis = inner_axis(shape, axis)
    return [(*shape[:axis], *walk.constant(node.input[1]).shape, *shape[axis + 1 :])]


_Rule: TypeAlias = Callable[[Walk, onnx.NodeProto], list[Shape]]

RULES: Final[dict[str, _Rule]] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(_REDUCTIONS, _reduce),
    **dict.fromkeys(_ALONG_AXIS, _along_axis),
    **dict.fromkeys(_PER_IMAGE, _per_image),
    **dict.fromkeys(_RESHAPES, _reshape),
    **dict.fromkeys(_PER_VECTOR, _per_vector),
    **dict.fromkeys(_PREDICTORS, _predictor),
    "ArgMax": _arg,
    "ArgMin": _arg,
    "Concat": _concat,
    "Gather": _gather,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Transpose": _transpose,
    "ai.onnx.ml.ArrayFeatureExtractor": _extractor,
    "ai.onnx.ml.Binarizer": _elementwise,
}


def row_blocked(shape: Iterable[int]) -> Shape:
    """The shape, if all its memory before the batch axis is of length 1: rows lie one by one."""
    shape = tuple(shape)
    holders = [axis for axis, length in enumerate(shape) if length % BATCH == 0]
    if len(holders) != 1 or shape[holders[0]] != BATCH or math.prod(shape[: holders[0]]) != 1:
        raise Unproven("its rows do not stay in one piece")
    return shape


def batch_axis(shape: Shape) -> int:
    """Which axis of a row-blocked shape is the batch."""
    return shape.index(BATCH)


def inner_axis(shape: Shape, axis: int) -> int:
    """The axis as a non-negative number, if it lies within a row."""
    axis %= len(shape)
    if axis <= batch_axis(shape):
        raise Unproven("works across the batch axis")
    return axis


def _reduced(shape: Shape, axes: set[int], keep: bool) -> Shape:
    if keep:
        return tuple(1 if axis in axes else length for axis, length in enumerate(shape))
    return tuple(length for axis, length in enumerate(shape) if axis not in axes)


def _broadcast(shapes: list[Shape]) -> Shape:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise Unproven("its operands do not broadcast") from error


def _axes(walk: Walk, node: onnx.NodeProto) -> list[int]:
    if len(node.input) > 1 and node.input[1]:
        return [int(axis) for axis in walk.constant(node.input[1]).ravel()]
    return list(attribute(node, "axes", []))


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """An attribute's value, or the default."""
    for entry in node.attribute:
        if entry.name == name:
            return helper.get_attribute_value(entry)
    return default


def _names(node: onnx.NodeProto) -> set[str]:
    return {attribute.name for attribute in node.attribute}
