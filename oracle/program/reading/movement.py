"""Gather and Concat: elements that move to where data or position says."""

from __future__ import annotations

import onnx

from oracle.errors import ProgramError
from oracle.program.opcode import Opcode
from oracle.program.reading.reader import Reading, reads
from oracle.program.reading.view import Index, View, loop


@reads("Gather")
def gather(reading: Reading, node: onnx.NodeProto) -> None:
    """The output has the axes of the indices in place of the gathered one."""
    data, places = reading.view(node.input[0]), reading.view(node.input[1])
    axis = _axis(reading, node, data)
    first, width = axis, len(places.shape)
    own = [
        Index() if place == axis else loop(place if place < axis else place - 1 + width)
        for place in range(len(data.shape))
    ]
    _gathered(reading, node, (data, own), (places, [loop(first + n) for n in range(width)]), axis)


@reads("GatherElements")
def gather_elements(reading: Reading, node: onnx.NodeProto) -> None:
    data, places = reading.view(node.input[0]), reading.view(node.input[1])
    axis = _axis(reading, node, data)
    loops = [loop(place) for place in range(len(data.shape))]
    own = [Index() if place == axis else loops[place] for place in range(len(data.shape))]
    _gathered(reading, node, (data, own), (places, loops), axis)


def _gathered(
    reading: Reading,
    node: onnx.NodeProto,
    data: tuple[View, list[Index]],
    places: tuple[View, list[Index]],
    axis: int,
) -> None:
    view = data[0]
    attributes = (view.strides[axis], view.shape[axis])
    reading.instruction(Opcode.GATHER, node.output[0], [data, places], attributes=attributes)


@reads("Concat")
def concat(reading: Reading, node: onnx.NodeProto) -> None:
    """A copy of the operand in whose stretch of the axis the element lies."""
    target, start = node.output[0], 0
    views = [reading.view(name) for name in node.input]
    axis = _axis(reading, node, views[0])
    operands = []
    for view in views:
        indices = [loop(place) for place in range(len(view.shape))]
        indices[axis] = Index(((axis, 1),), -start, guarded=True)
        operands.append((view, indices))
        start += view.shape[axis]
    reading.instruction(Opcode.COPY, target, operands, attributes=(0,))


def _axis(reading: Reading, node: onnx.NodeProto, view: View) -> int:
    axis = reading.attributes(node).get("axis", 0)
    if not -len(view.shape) <= axis < len(view.shape):
        raise ProgramError(f"{node.op_type} along the axis {axis} of {view.shape}")
    return int(axis) % len(view.shape)
