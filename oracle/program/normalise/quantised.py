"""Quantised operators: their scales and zero points made explicit, their integers made safe.

Products of uint8 by int8 saturate on CPUs without VNNI (255·127·2 does not fit 16 bits), so both
operands get the type of the first one: stored weights are shifted by 128 together with their zero
point, which changes no product. Computed weights of the other type are refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import helper

from oracle.core.schema import ElementType
from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise.convolution import geometry
from oracle.program.normalise.rule import SourceNode, rewrites

_BYTES = (ElementType.UINT8, ElementType.INT8)


@rewrites("QuantizeLinear", "com.microsoft.QuantizeLinear")
def quantize(builder: Builder, node: SourceNode) -> Value:
    x, scale = node.input(0), node.input(1)
    zero = node.optional(2) or _zero(builder, _wished(node), scale.shape)
    return quantised(
        builder, x, scale, zero, axis=int(node.get("axis", 1)), node=node, name=node.outputs[0]
    )


@rewrites("DequantizeLinear", "com.microsoft.DequantizeLinear")
def dequantize(builder: Builder, node: SourceNode) -> Value:
    x, scale = node.input(0), node.input(1)
    zero = node.optional(2) or _zero(builder, x.element, scale.shape)
    return dequantised(
        builder, x, scale, zero, axis=int(node.get("axis", 1)), node=node, name=node.outputs[0]
    )


@rewrites("DynamicQuantizeLinear")
def dynamic_quantize(builder: Builder, node: SourceNode) -> Sequence[Value]:
    """ONNX's own expansion: the range, widened to hold zero, in 255 steps."""
    x = node.input(0)
    axes = builder.constant(np.arange(x.rank, dtype=np.int64))
    nothing = builder.constant(0, dtype=np.float32)
    low = builder.emit("Min", builder.emit("ReduceMin", x, axes, keepdims=0), nothing)
    high = builder.emit("Max", builder.emit("ReduceMax", x, axes, keepdims=0), nothing)
    steps = builder.constant(255, dtype=np.float32)
    width = builder.emit("Sub", high, low)
    empty = builder.emit("Equal", width, nothing)
    one = builder.constant(1, dtype=np.float32)
    scale = builder.emit("Where", empty, one, builder.emit("Div", width, steps))
    shift = builder.emit("Sub", nothing, builder.emit("Div", low, scale))
    clipped = builder.emit("Max", builder.emit("Min", shift, steps), nothing)
    zero = builder.emit("Cast", builder.emit("Round", clipped), to=_onnx(ElementType.UINT8))
    return [builder.emit("QuantizeLinear", x, scale, zero), scale, zero]


@rewrites("MatMulInteger")
def matmul_integer(builder: Builder, node: SourceNode) -> Value:
    a, b = node.input(0), node.input(1)
    if min(a.rank, b.rank) < 2:
        raise ProgramError("MatMulInteger of vectors has no rule", hint="use matrices")
    zero_a = node.optional(2) or _zero(builder, a.element)
    b, zero_b = of_one_type(builder, node, a, b, node.optional(3) or _zero(builder, b.element))
    return builder.emit(
        "MatMulInteger", a, b, _scalar(builder, node, zero_a), zero_b, name=node.outputs[0]
    )


@rewrites("ConvInteger")
def conv_integer(builder: Builder, node: SourceNode) -> Value:
    x, w = node.input(0), node.input(1)
    zero_x = _scalar(builder, node, node.optional(2) or _zero(builder, x.element))
    zero_w = node.optional(3) or _zero(builder, w.element)
    w, zero_w = of_one_type(builder, node, x, w, zero_w)
    window, channels = geometry(node, x, w)
    return builder.emit(
        "ConvInteger",
        x,
        w,
        zero_x,
        _scalar(builder, node, zero_w),
        name=node.outputs[0],
        group=channels.groups,
        **window.attributes(),
    )


@rewrites("QLinearMatMul")
def qlinear_matmul(builder: Builder, node: SourceNode) -> Value:
    a, scale_a, zero_a, b, scale_b, zero_b, scale_y, zero_y = map(node.input, range(8))
    if min(a.rank, b.rank) < 2:
        raise ProgramError("QLinearMatMul of vectors has no rule", hint="use matrices")
    b, zero_b = of_one_type(builder, node, a, b, zero_b)
    if zero_b.shape != scale_b.shape and zero_b.constant is not None:
        zero_b = builder.constant(np.broadcast_to(zero_b.constant, scale_b.shape))
    return builder.emit(
        "QLinearMatMul",
        a,
        _scalar(builder, node, scale_a),
        _scalar(builder, node, zero_a),
        b,
        scale_b,
        zero_b,
        _scalar(builder, node, scale_y),
        _scalar(builder, node, zero_y),
        name=node.outputs[0],
    )


@rewrites("QLinearConv")
def qlinear_conv(builder: Builder, node: SourceNode) -> Value:
    x, scale_x, zero_x, w, scale_w, zero_w, scale_y, zero_y = map(node.input, range(8))
    w, zero_w = of_one_type(builder, node, x, w, zero_w)
    window, channels = geometry(node, x, w)
    return builder.emit(
        "QLinearConv",
        x,
        _scalar(builder, node, scale_x),
        _scalar(builder, node, zero_x),
        w,
        scale_w,
        uniform(builder, node, zero_w),
        _scalar(builder, node, scale_y),
        _scalar(builder, node, zero_y),
        node.optional(8),
        name=node.outputs[0],
        group=channels.groups,
        **window.attributes(),
    )


def quantised(
    builder: Builder,
    x: Value,
    scale: Value,
    zero: Value,
    *,
    node: SourceNode,
    axis: int = 1,
    name: str = "",
) -> Value:
    """QuantizeLinear of float32 to bytes."""
    if x.element is not ElementType.FLOAT32 or zero.element not in _BYTES:
        raise ProgramError(
            f"{node.operator} from {x.element.value} to {zero.element.value} is not judged",
            hint="quantise float32 to int8 or uint8",
        )
    axis = _check_axis(node, x, scale, axis)
    if x.constant is not None and scale.constant is not None and zero.constant is not None:
        # ONNX's reference would do; this one divides in float32 as every runtime does
        column = [-1 if each == axis else 1 for each in range(x.rank)] if scale.rank else []
        steps = np.rint(x.constant / scale.constant.reshape(column))
        limits = np.iinfo(zero.element.value)
        moved = steps.astype(np.float64) + zero.constant.reshape(column)
        return builder.constant(np.clip(moved, limits.min, limits.max).astype(zero.constant.dtype))
    return builder.emit("QuantizeLinear", x, scale, zero, axis=axis, name=name)


def dequantised(
    builder: Builder,
    x: Value,
    scale: Value,
    zero: Value,
    *,
    node: SourceNode,
    axis: int = 1,
    name: str = "",
) -> Value:
    """DequantizeLinear of bytes; of int32 as a cast and a product, which is the same arithmetic."""
    if scale.element is not ElementType.FLOAT32:
        raise ProgramError(
            f"{node.operator} to {scale.element.value} is not judged", hint="use float32 scales"
        )
    axis = _check_axis(node, x, scale, axis)
    column = [-1 if each == axis else 1 for each in range(x.rank)] if scale.rank else []
    if x.constant is not None and scale.constant is not None and zero.constant is not None:
        steps = x.constant.astype(np.int64) - zero.constant.astype(np.int64).reshape(column)
        product = steps.astype(np.float32) * scale.constant.reshape(column)
        return builder.constant(product.astype(np.float32))
    if x.element is ElementType.INT32:
        if zero.constant is None or np.any(zero.constant) or scale.constant is None:
            raise ProgramError(
                f"{node.operator} of int32 needs a zero point of 0 and a constant scale"
            )
        wide = builder.emit("Cast", x, to=_onnx(ElementType.FLOAT32))
        return builder.emit(
            "Mul", wide, builder.constant(scale.constant.reshape(column)), name=name
        )
    if x.element not in _BYTES:
        raise ProgramError(
            f"{node.operator} of {x.element.value} is not judged", hint="use int8 or uint8"
        )
    return builder.emit("DequantizeLinear", x, scale, zero, axis=axis, name=name)


def of_one_type(
    builder: Builder, node: SourceNode, a: Value, b: Value, zero_b: Value
) -> tuple[Value, Value]:
    """The second factor and its zero point in the type of the first."""
    if a.element not in _BYTES or b.element not in _BYTES:
        raise ProgramError(
            f"{node.operator} of {a.element.value} is not judged", hint="use int8 or uint8"
        )
    if a.element is b.element:
        return b, zero_b
    if b.constant is None or zero_b.constant is None:
        raise ProgramError(
            f"{node.operator} of {a.element.value} by computed {b.element.value} saturates on some "
            f"CPUs",
            hint="quantise both operands to the same type",
        )
    shift = 128 if a.element is ElementType.UINT8 else -128
    moved = [
        builder.constant((value.astype(np.int16) + shift).astype(a.element.value))
        for value in (b.constant, zero_b.constant)
    ]
    return moved[0], moved[1]


def _check_axis(node: SourceNode, x: Value, scale: Value, axis: int) -> int:
    """The axis as it counts from the front. Raises ProgramError for scales per block."""
    if node.get("block_size", 0) or scale.rank > 1:
        raise ProgramError(
            f"{node.operator} with scales per block is not judged", hint="use one scale per channel"
        )
    if scale.rank == 0 or (scale.shape == (1,) and x.rank == 0):
        return 0
    if scale.shape == (1,) and x.shape[axis] != 1:
        raise ProgramError(f"{node.operator}: one scale for {x.shape[axis]} channels is a scalar")
    return axis % x.rank


def _scalar(builder: Builder, node: SourceNode, value: Value) -> Value:
    """A parameter per tensor, of shape ()."""
    if value.shape == ():
        return value
    if value.shape != (1,):
        raise ProgramError(
            f"{node.operator} with one parameter per row is not judged",
            hint="quantise activations per tensor",
        )
    return builder.emit("Reshape", value, builder.constant(np.array([], dtype=np.int64)))


def uniform(builder: Builder, node: SourceNode, zero: Value) -> Value:
    """A zero point of weights: runtimes want the same one for every channel."""
    if zero.constant is None or zero.constant.size == 0 or np.ptp(zero.constant):
        raise ProgramError(
            f"{node.operator} needs one constant zero point for all weights",
            hint="quantise weights symmetrically",
        )
    return zero if zero.shape == () else builder.constant(zero.constant.reshape(-1)[0])


def _wished(node: SourceNode) -> ElementType:
    """What a QuantizeLinear without a zero point makes: uint8, or its `output_dtype`."""
    wished = int(node.get("output_dtype", 0)) or _onnx(ElementType.UINT8)
    for element in _BYTES:
        if _onnx(element) == wished:
            return element
    raise ProgramError(f"{node.operator} to type {wished} is not judged", hint="use int8 or uint8")


def _zero(builder: Builder, element: ElementType, shape: tuple[int, ...] = ()) -> Value:
    return builder.constant(np.zeros(shape, dtype=element.value))


def _onnx(element: ElementType) -> int:
    """The TensorProto number of an element type."""
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(element.value)))
