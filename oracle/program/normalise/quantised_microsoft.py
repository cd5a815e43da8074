"""onnxruntime's own quantised operators, as DequantizeLinear, the float operator, QuantizeLinear.

That is how its kernels define them; the program's values may differ from theirs by one step where
a value lies next to a tie. Operators that compute otherwise are refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise.quantised import dequantised, of_one_type, quantised, uniform
from oracle.program.normalise.rule import SourceNode, rewrites


@rewrites("com.microsoft.QLinearAdd", "com.microsoft.QLinearMul")
def binary(builder: Builder, node: SourceNode) -> Value:
    a, b = (_input(builder, node, first) for first in (0, 3))
    operator = node.operator.removeprefix("com.microsoft.").removeprefix("QLinear")
    return _output(builder, node, builder.emit(operator, a, b), 6)


@rewrites("com.microsoft.QLinearSigmoid")
def sigmoid(builder: Builder, node: SourceNode) -> Value:
    return _output(builder, node, builder.emit("Sigmoid", _input(builder, node, 0)), 3)


@rewrites("com.microsoft.QLinearGlobalAveragePool")
def global_mean(builder: Builder, node: SourceNode) -> Value:
    if node.get("channels_last", 0):
        raise ProgramError(f"{node.operator} with channels last is not judged")
    x = _input(builder, node, 0)
    return _output(builder, node, builder.total("ReduceMean", x, range(2, x.rank)), 3)


@rewrites("com.microsoft.DynamicQuantizeMatMul", "com.microsoft.MatMulIntegerToFloat")
def refused_dynamic(builder: Builder, node: SourceNode) -> Value:
    raise ProgramError(
        f"{node.operator} is a fusion of onnxruntime's",
        hint="quantise with optimisation off: DynamicQuantizeLinear, MatMulInteger, Cast, Mul",
    )


@rewrites("com.microsoft.QGemm")
def gemm(builder: Builder, node: SourceNode) -> Value:
    """As a QLinearConv of one position: the one quantised product that takes an int32 bias."""
    if any(node.optional(position) is None for position in (7, 8)):
        raise ProgramError(f"{node.operator} with a float32 result is not judged")
    a, scale_a, zero_a, b, scale_b, zero_b = map(node.input, range(6))
    if node.get("transA", 0) or float(node.get("alpha", 1.0)) != 1 or a.rank != 2:
        raise ProgramError(f"{node.operator} with transA or alpha is not judged")
    b, zero_b = of_one_type(builder, node, a, b, zero_b)
    if not node.get("transB", 0):
        b = builder.emit("Transpose", b, perm=[1, 0])
    bias = node.optional(6)
    product = builder.emit(
        "QLinearConv",
        _reshape(builder, a, (*a.shape, 1)),
        scale_a,
        zero_a,
        _reshape(builder, b, (*b.shape, 1)),
        scale_b,
        uniform(builder, node, zero_b),
        node.input(7),
        node.input(8),
        None if bias is None else _reshape(builder, bias, (b.shape[0],)),
        kernel_shape=[1],
        strides=[1],
        dilations=[1],
        pads=[0, 0],
        group=1,
    )
    return _reshape(builder, product, (a.shape[0], b.shape[0]), node.outputs[0])


def _input(builder: Builder, node: SourceNode, first: int) -> Value:
    """Inputs `first`, scale and zero point, dequantised."""
    x, scale, zero = (node.input(first + offset) for offset in range(3))
    return dequantised(builder, x, scale, zero, node=node)


def _output(builder: Builder, node: SourceNode, x: Value, first: int) -> Value:
    """Quantised with the scale and zero point at `first`."""
    scale, zero = node.input(first), node.input(first + 1)
    return quantised(builder, x, scale, zero, node=node, name=node.outputs[0])


def _reshape(builder: Builder, x: Value, shape: Sequence[int], name: str = "") -> Value:
    return builder.emit("Reshape", x, builder.constant(np.array(shape, dtype=np.int64)), name=name)
