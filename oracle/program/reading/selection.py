"""ArgMax, ArgMin and TopK: positions and values along one axis."""

from __future__ import annotations

import onnx

from oracle.errors import ProgramError
from oracle.program.opcode import Opcode
from oracle.program.reading.reader import NotAView, Reading, reads
from oracle.program.reading.view import loop


@reads("ArgMax", "ArgMin")
def position(reading: Reading, node: onnx.NodeProto) -> None:
    view, attributes = reading.view(node.input[0]), reading.attributes(node)
    axis = attributes.get("axis", 0) % len(view.shape)
    keep = attributes.get("keepdims", 1)
    rank = len(reading.shape(node.output[0]))
    indices = [
        loop(rank) if own == axis else loop(own if own < axis or keep else own - 1)
        for own in range(len(view.shape))
    ]
    reading.instruction(
        Opcode.ARGMAX if node.op_type == "ArgMax" else Opcode.ARGMIN,
        node.output[0],
        [(view, indices)],
        reduction=[view.shape[axis]],
        attributes=[attributes.get("select_last_index", 0)],
    )


@reads("TopK")
def largest_few(reading: Reading, node: onnx.NodeProto) -> None:
    """Two instructions. Their last domain axis is the rank, so the output ends in it."""
    view, attributes = reading.view(node.input[0]), reading.attributes(node)
    rank = len(view.shape)
    if attributes.get("axis", -1) % rank != rank - 1 or not attributes.get("sorted", 1):
        raise ProgramError("a TopK of a program is sorted, along the last axis")
    if reading.shape(node.output[0])[-1] < 2:
        raise ProgramError("a TopK of one element is not in the dialect", hint="use ArgMax")
    indices = [*(loop(axis) for axis in range(rank - 1)), loop(rank)]
    opcodes = (Opcode.TOPK_VALUE, Opcode.TOPK_INDEX)
    for opcode, output in zip(opcodes, node.output, strict=True):
        reading.instruction(
            opcode,
            output,
            [(view, indices)],
            reduction=[view.shape[-1]],
            attributes=[attributes.get("largest", 1)],
        )
        if reading.tensors[-1].layout[-1] != rank - 1:
            # The rank is the last loop; the compiler then keeps the output row-major.
            raise NotAView(node.input[0], output, output)
