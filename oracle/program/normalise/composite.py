"""Reductions, normalisations and softmax, written out in the operators that are judged one by one.

Sums of integers are halved into additions: runtimes add integers up in floating point, where a
sum beyond the type (or beyond 2^53) is not what wrapping addition gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from oracle.core.schema import ElementType
from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise import whole
from oracle.program.normalise.elementwise import cast, choose, inverse, scalar, widen
from oracle.program.normalise.rule import SourceNode, rewrites
from oracle.program.normalise.shape import reshaped, sliced


@rewrites("ReduceMax", "ReduceMin")
def reduce_extreme(builder: Builder, node: SourceNode) -> Value:
    x, axes, keep = _reduction(node)
    return extreme_over(builder, node.operator, x, axes, keep=keep)


@rewrites("ReduceSum", "ReduceMean")
def reduce_total(builder: Builder, node: SourceNode) -> Value:
    x, axes, keep = _reduction(node)
    return total_over(builder, node.operator, x, axes, keep=keep)


@rewrites("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum")
def reduce_norm(builder: Builder, node: SourceNode) -> Value:
    x, axes, keep = _reduction(node)
    if node.operator == "ReduceL1":
        x = builder.emit("Abs", x)
    elif node.operator != "ReduceLogSum":
        x = builder.emit("Mul", x, x)
    total = total_over(builder, "ReduceSum", x, axes, keep=keep)
    after = {"ReduceL2": "Sqrt", "ReduceLogSum": "Log"}.get(node.operator)
    if after is None:
        return total
    root = builder.emit(after, cast(builder, total, ElementType.FLOAT32))
    return cast(builder, root, x.element)


@rewrites("ReduceLogSumExp")
def reduce_log_sum_exp(builder: Builder, node: SourceNode) -> Value:
    """Taken from the largest, so that nothing overflows."""
    x, axes, keep = _reduction(node)
    largest = extreme_over(builder, "ReduceMax", x, axes, keep=True)
    powers = builder.emit("Exp", builder.emit("Sub", x, largest))
    logarithm = builder.emit("Log", total_over(builder, "ReduceSum", powers, axes, keep=True))
    result = builder.emit("Add", logarithm, largest)
    return result if keep else reshaped(builder, result, _without(x.shape, axes))


@rewrites("Softmax", "LogSoftmax")
def softmax(builder: Builder, node: SourceNode) -> Value:
    """Before opset 13, over all axes from `axis` on, which is 1 if left out."""
    x = node.input(0)
    if x.rank == 0:
        x = reshaped(builder, x, (1,))
    axis = node.get("axis", -1 if node.version >= 13 else 1)
    first = axis % x.rank
    axes = range(first, first + 1 if node.version >= 13 else x.rank)
    largest = extreme_over(builder, "ReduceMax", x, axes, keep=True)
    shifted = builder.emit("Sub", x, largest)
    powers = builder.emit("Exp", shifted)
    total = total_over(builder, "ReduceSum", powers, axes, keep=True)
    if node.operator == "Softmax":
        result = builder.emit("Div", powers, total)
    else:
        result = builder.emit("Sub", shifted, builder.emit("Log", total))
    return reshaped(builder, result, node.input(0).shape)


@rewrites("LayerNormalization")
def layer_normalization(builder: Builder, node: SourceNode) -> Sequence[Value | None]:
    """Returns the mean and the inverse deviation too, where they are asked for."""
    x = node.input(0)
    axes = range(node.get("axis", -1) % x.rank, x.rank)
    return _layer_normalized(builder, node, x, axes, node.optional(1), node.optional(2))


@rewrites("com.microsoft.SkipLayerNormalization")
def skip_layer_normalization(builder: Builder, node: SourceNode) -> Sequence[Value | None]:
    x = builder.emit("Add", node.input(0), node.input(1))
    bias = node.optional(4)
    if bias is not None:
        x = builder.emit("Add", x, bias)
    gamma, beta = node.optional(2), node.optional(3)
    return [*_layer_normalized(builder, node, x, [x.rank - 1], gamma, beta, epsilon=1e-12), x]


def _layer_normalized(
    builder: Builder,
    node: SourceNode,
    x: Value,
    axes: Sequence[int],
    scale: Value | None,
    bias: Value | None,
    *,
    epsilon: float = 1e-5,
) -> list[Value | None]:
    mean = total_over(builder, "ReduceMean", x, axes, keep=True)
    centred = builder.emit("Sub", x, mean)
    variance = total_over(
        builder, "ReduceMean", builder.emit("Mul", centred, centred), axes, keep=True
    )
    deviation = _deviation(builder, variance, node.get("epsilon", epsilon))
    result = builder.emit("Div", centred, deviation)
    if scale is not None:
        result = builder.emit("Mul", result, scale)
    if bias is not None:
        result = builder.emit("Add", result, bias)
    asked = len(node.outputs) > 2 and bool(node.outputs[2])
    return [result, mean, inverse(builder, deviation) if asked else None]


@rewrites("RMSNormalization", "SimplifiedLayerNormalization")
def root_mean_square_normalization(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    axes = range(node.get("axis", -1) % x.rank, x.rank)
    square = total_over(builder, "ReduceMean", builder.emit("Mul", x, x), axes, keep=True)
    deviation = _deviation(builder, square, node.get("epsilon", 1e-5))
    return builder.emit("Mul", builder.emit("Div", x, deviation), node.input(1))


@rewrites("MeanVarianceNormalization")
def mean_variance_normalization(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    axes = [axis % x.rank for axis in node.get("axes", (0, 2, 3))]
    mean = total_over(builder, "ReduceMean", x, axes, keep=True)
    centred = builder.emit("Sub", x, mean)
    variance = total_over(
        builder, "ReduceMean", builder.emit("Mul", centred, centred), axes, keep=True
    )
    divisor = builder.emit("Add", builder.emit("Sqrt", variance), scalar(builder, 1e-9, x))
    return builder.emit("Div", centred, divisor)


@rewrites("LpNormalization")
def lp_normalization(builder: Builder, node: SourceNode) -> Value:
    """What is zero throughout stays zero."""
    x, axis, order = node.input(0), node.get("axis", -1) % node.input(0).rank, node.get("p", 2)
    if order not in (1, 2):
        raise ProgramError(f"the norm {order} has no rule", hint="use p = 1 or p = 2")
    parts = builder.emit("Abs", x) if order == 1 else builder.emit("Mul", x, x)
    norm = total_over(builder, "ReduceSum", parts, [axis], keep=True)
    if order == 2:
        norm = builder.emit("Sqrt", norm)
    empty = builder.emit("Equal", norm, scalar(builder, 0, norm))
    return builder.emit("Div", x, choose(builder, empty, scalar(builder, 1, norm), norm))


def _deviation(builder: Builder, variance: Value, epsilon: float) -> Value:
    return builder.emit("Sqrt", builder.emit("Add", variance, scalar(builder, epsilon, variance)))


def extreme_over(
    builder: Builder, operator: str, x: Value, axes: Sequence[int], *, keep: bool
) -> Value:
    """`ReduceMax` or `ReduceMin`; truth values go through integers."""
    if not axes:
        return x
    wide = widen(builder, operator, x)
    if wide.element is ElementType.INT64:
        found = whole.extreme_along(builder, operator, wide, axes, keep=keep)
    else:
        found = builder.emit(operator, wide, _vector(builder, axes), keepdims=int(keep))
    return cast(builder, found, x.element)


def total_over(
    builder: Builder, operator: str, x: Value, axes: Sequence[int], *, keep: bool
) -> Value:
    """`ReduceSum` or `ReduceMean`; the mean of integers is cut towards zero."""
    if not axes:
        return x
    if x.element is ElementType.FLOAT64:
        raise ProgramError(f"{operator} of float64 cannot be judged", hint="export it in float32")
    if x.element is ElementType.FLOAT32:
        return builder.total(operator, x, axes, keep=keep)
    total, count = x, math.prod(x.shape[axis] for axis in axes)
    for axis in axes:
        total = _added_up(builder, total, axis)
    if operator == "ReduceMean":
        total = builder.emit("Div", total, scalar(builder, count, total))
    return total if keep else reshaped(builder, total, _without(x.shape, axes))


def _added_up(builder: Builder, x: Value, axis: int) -> Value:
    """The sum along one axis, which keeps length 1, by adding its second half to its first."""
    while (length := x.shape[axis]) > 1:
        half = length // 2
        total = builder.emit(
            "Add",
            sliced(builder, x, axis, 0, half),
            sliced(builder, x, axis, half, 2 * half),
        )
        if length % 2:
            last = sliced(builder, x, axis, length - 1, length)
            if half == 1:
                return builder.emit("Add", total, last)
            total = builder.emit("Concat", total, last, axis=axis)
        x = total
    return x


def _reduction(node: SourceNode) -> tuple[Value, tuple[int, ...], bool]:
    """Operand, axes in order, and whether they stay. Axes became an input at opset 13 or 18."""
    x, given = node.input(0), node.get("axes")
    stored = node.optional(1)
    if stored is not None:
        if stored.constant is None:
            raise ProgramError("its axes are computed", hint="store them in the model")
        given = stored.constant.reshape(-1).tolist()
    if not given:
        given = () if node.get("noop_with_empty_axes", 0) else range(x.rank)
    axes = tuple(sorted(axis % x.rank for axis in given))
    if any(x.shape[axis] == 0 for axis in axes):
        raise ProgramError("it reduces no elements", hint="give every axis a length")
    return x, axes, bool(node.get("keepdims", 1))


def _without(shape: tuple[int, ...], axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(length for axis, length in enumerate(shape) if axis not in axes)


def _vector(builder: Builder, numbers: Sequence[int]) -> Value:
    return builder.constant(np.array(numbers, dtype=np.int64))
