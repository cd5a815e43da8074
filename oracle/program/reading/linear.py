"""Products and sums: MatMul, Gemm, their float64 functions, ReduceSum and ReduceMean."""

from __future__ import annotations

import onnx

from oracle.core.schema import ElementType
from oracle.errors import ProgramError
from oracle.program import functions
from oracle.program.opcode import Opcode
from oracle.program.reading.reader import Reading, reads
from oracle.program.reading.view import Index, View, loop


@reads("MatMul", "Gemm")
def native(reading: Reading, node: onnx.NodeProto) -> None:
    if node.attribute:
        raise ProgramError("a Gemm of a program has no attributes")
    _product(reading, node)


@reads("oracle.rounded.Linear", "oracle.rounded.LinearBias")
def rounded(reading: Reading, node: onnx.NodeProto) -> None:
    reading.check_body(node, functions.linear(with_bias=len(node.input) == 3))
    _product(reading, node)


def _product(reading: Reading, node: onnx.NodeProto) -> None:
    """`y[..., i, j] = sum_k a[..., i, k]·b[..., k, j] (+ c)`, numpy's broadcasting."""
    shape = reading.shape(node.output[0])
    a, b = (reading.view(name) for name in node.input[:2])
    rank, batch = len(shape), [loop(axis) for axis in range(len(shape) - 2)]
    row, column, tap = loop(rank - 2), loop(rank - 1), loop(rank)
    taps = a.shape[-1]
    operands: list[tuple[View, list[Index]]] = [
        (a.broadcast((*shape[:-2], shape[-2], taps)), [*batch, row, tap]),
        (b.broadcast((*shape[:-2], taps, shape[-1])), [*batch, tap, column]),
    ]
    if len(node.input) > 2:
        operands.append((reading.view(node.input[2]).broadcast(shape), [*batch, row, column]))
    reading.instruction(Opcode.DOT, node.output[0], operands, reduction=(taps,))


@reads("ReduceSum", "ReduceMean", "oracle.rounded.ReduceSum", "oracle.rounded.ReduceMean")
def total(reading: Reading, node: onnx.NodeProto) -> None:
    element = reading.view(node.input[0]).element
    if element is not ElementType.FLOAT32:
        # Runtimes add integers up in floating point, which does not wrap as integers do.
        raise ProgramError(f"{node.op_type} of {element.value} is not in the dialect", hint="Add")
    if node.domain == functions.DOMAIN:
        reading.check_body(node, functions.total(node.op_type))
    over_axes(reading, node, Opcode.SUM if node.op_type == "ReduceSum" else Opcode.MEAN)


@reads("ReduceMax", "ReduceMin")
def extreme(reading: Reading, node: onnx.NodeProto) -> None:
    if reading.view(node.input[0]).element is ElementType.INT64:
        # onnxruntime's kernel is wrong; see `normalise.whole`.
        raise ProgramError(f"{node.op_type} of int64 is not in the dialect", hint="ArgMax")
    largest = node.op_type == "ReduceMax"
    over_axes(reading, node, Opcode.REDUCE_MAX if largest else Opcode.REDUCE_MIN)


def over_axes(reading: Reading, node: onnx.NodeProto, opcode: Opcode) -> None:
    """A reduction whose axes are its second input, as since opset 18."""
    view = reading.view(node.input[0])
    keep = reading.attributes(node).get("keepdims", 1)
    given = reading.array(node.input[1]).tolist() if len(node.input) > 1 else ()
    axes = sorted(axis % len(view.shape) for axis in given) or list(range(len(view.shape)))
    rank = len(reading.shape(node.output[0]))
    indices, position = [], 0
    for axis in range(len(view.shape)):
        if axis in axes:
            indices.append(loop(rank + axes.index(axis)))
            position += keep
        else:
            indices.append(loop(position))
            position += 1
    attributes = (0,) if opcode is Opcode.MEAN else ()
    lengths = [view.shape[axis] for axis in axes]
    reading.instruction(
        opcode, node.output[0], [(view, indices)], reduction=lengths, attributes=attributes
    )
