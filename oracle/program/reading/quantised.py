"""Quantised operators as instructions; padding does not count, since it holds the zero point."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from oracle.core.schema import ElementType
from oracle.errors import ProgramError
from oracle.program.opcode import Opcode
from oracle.program.reading.convolution import Operand, nest
from oracle.program.reading.reader import Reading, reads
from oracle.program.reading.view import Index, View, loop


@reads("QuantizeLinear", "DequantizeLinear")
def linear(reading: Reading, node: onnx.NodeProto) -> None:
    """Scale and zero point are scalars, or lie along one axis."""
    shape = reading.shape(node.output[0])
    attributes = reading.attributes(node)
    if set(attributes) - {"axis"} or len(node.input) != 3:
        raise ProgramError(f"a {node.op_type} of a program has an axis and a zero point")
    axis = attributes.get("axis", 1)
    indices = [loop(position) for position in range(len(shape))]
    operands: list[Operand] = [(reading.view(node.input[0]), indices)]
    for name in node.input[1:]:
        operands.append(_along(reading.view(name), shape, axis))
    quantising = node.op_type == "QuantizeLinear"
    opcode = Opcode.QUANTIZE if quantising else Opcode.DEQUANTIZE
    reading.instruction(opcode, node.output[0], operands)


@reads("MatMulInteger")
def matmul_integer(reading: Reading, node: onnx.NodeProto) -> None:
    a, b, zero_a, zero_b = _operands(reading, node, 4)
    _require_one_type(reading, node.input[0], node.input[1])
    factors, taps = _matrices(reading, node, a, b)
    rank = len(reading.shape(node.output[0]))
    zeros = [_scalar(zero_a), _column(zero_b, rank)]
    reading.instruction(Opcode.INTEGER_DOT, node.output[0], [*factors, *zeros], reduction=(taps,))


@reads("QLinearMatMul")
def qlinear_matmul(reading: Reading, node: onnx.NodeProto) -> None:
    a, scale_a, zero_a, b, scale_b, zero_b, scale_y, zero_y = _operands(reading, node, 8)
    _require_one_type(reading, node.input[0], node.input[3])
    factors, taps = _matrices(reading, node, a, b)
    rank = len(reading.shape(node.output[0]))
    operands = [
        *factors,
        _scalar(zero_a),
        _column(zero_b, rank),
        _scalar(scale_a),
        _column(scale_b, rank),
        _scalar(scale_y),
        _scalar(zero_y),
    ]
    reading.instruction(Opcode.QUANTIZED_DOT, node.output[0], operands, reduction=(taps,))


@reads("ConvInteger")
def conv_integer(reading: Reading, node: onnx.NodeProto) -> None:
    x, w = node.input[:2]
    _require_one_type(reading, x, w)
    loops = nest(reading, node, x, w, channels_last=False)
    _, _, zero_x, zero_w = _operands(reading, node, 4)
    reading.instruction(
        Opcode.INTEGER_DOT,
        node.output[0],
        [*loops.factors, _scalar(zero_x), loops.channel(zero_w)],
        reduction=loops.reduction,
        domain=loops.domain,
    )


@reads("QLinearConv")
def qlinear_conv(reading: Reading, node: onnx.NodeProto) -> None:
    x, w = node.input[0], node.input[3]
    _require_one_type(reading, x, w)
    loops = nest(reading, node, x, w, channels_last=False)
    _, scale_x, zero_x, _, scale_w, zero_w, scale_y, zero_y, *bias = (
        reading.view(name) for name in node.input
    )
    operands = [
        *loops.factors,
        _scalar(zero_x),
        loops.channel(zero_w),
        _scalar(scale_x),
        loops.channel(scale_w),
        _scalar(scale_y),
        _scalar(zero_y),
        *map(loops.channel, bias),
    ]
    reading.instruction(
        Opcode.QUANTIZED_DOT,
        node.output[0],
        operands,
        reduction=loops.reduction,
        domain=loops.domain,
    )


def _operands(reading: Reading, node: onnx.NodeProto, count: int) -> list[View]:
    if len(node.input) != count:
        raise ProgramError(f"a {node.op_type} of a program has {count} inputs")
    return [reading.view(name) for name in node.input]


def _matrices(
    reading: Reading, node: onnx.NodeProto, a: View, b: View
) -> tuple[list[Operand], int]:
    shape = reading.shape(node.output[0])
    rank, taps = len(shape), a.shape[-1]
    batch = [loop(axis) for axis in range(rank - 2)]
    return [
        (a.broadcast((*shape[:-1], taps)), [*batch, loop(rank - 2), loop(rank)]),
        (b.broadcast((*shape[:-2], taps, shape[-1])), [*batch, loop(rank), loop(rank - 1)]),
    ], taps


def _scalar(view: View) -> Operand:
    if view.shape != ():
        raise ProgramError("a parameter per tensor must be a scalar")
    return view, []


def _column(view: View, rank: int) -> Operand:
    """A scalar, or one value per column of a product of `rank` axes."""
    return _along(view, (0,) * rank, rank - 1)


def _along(view: View, shape: Sequence[int], axis: int) -> Operand:
    if view.shape == ():
        return view, []
    if len(view.shape) != 1 or not 0 <= axis < len(shape):
        raise ProgramError("a parameter must be a scalar, or one value per index of an axis")
    return view, [Index(() if view.shape == (1,) else ((axis, 1),))]


def _require_one_type(reading: Reading, a: str, b: str) -> None:
    """Mixed signs saturate on some CPUs; see `normalise.quantised`."""
    elements = {reading.view(a).element, reading.view(b).element}
    if len(elements) != 1 or not elements < {ElementType.UINT8, ElementType.INT8}:
        raise ProgramError(f"a product of {a!r} and {b!r} mixes signed and unsigned bytes")
