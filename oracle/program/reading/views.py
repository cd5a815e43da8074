"""Pure re-indexing: Reshape, Transpose, Slice and their kin become views.

An Identity commits what it shows, in row-major order: programs have one for each output, and one
before a reshape that would be no view.
"""

from __future__ import annotations

import onnx

from oracle.program.reading.reader import NotAView, Reading, reads
from oracle.program.reading.view import View


@reads("Identity")
def identity(reading: Reading, node: onnx.NodeProto) -> None:
    """Commits what its input shows."""
    reading.copy(node.output[0], reading.view(node.input[0]))


@reads("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(reading: Reading, node: onnx.NodeProto) -> None:
    source, target = node.input[0], node.output[0]
    moved = reading.view(source).reshaped(reading.shape(target))
    _alias(reading, node, moved)


@reads("Transpose")
def transpose(reading: Reading, node: onnx.NodeProto) -> None:
    view = reading.view(node.input[0])
    axes = reading.attributes(node).get("perm", range(len(view.shape))[::-1])
    reading.alias(node.output[0], view.transposed(list(axes)))


@reads("Expand")
def expand(reading: Reading, node: onnx.NodeProto) -> None:
    reading.alias(
        node.output[0], reading.view(node.input[0]).broadcast(reading.shape(node.output[0]))
    )


@reads("Slice")
def cut(reading: Reading, node: onnx.NodeProto) -> None:
    view = reading.view(node.input[0])
    starts, ends = (reading.array(name).tolist() for name in node.input[1:3])
    axes = reading.array(node.input[3]).tolist() if len(node.input) > 3 else range(len(starts))
    steps = reading.array(node.input[4]).tolist() if len(node.input) > 4 else [1] * len(starts)
    slices = [slice(None)] * len(view.shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        length = view.shape[axis]
        if step < 0 and end < -length:
            slices[axis] = slice(start, None, step)
        else:
            slices[axis] = slice(start, end, step)
    moved = view.moved(lambda array: array[tuple(slices)])
    _alias(reading, node, moved)


def _alias(reading: Reading, node: onnx.NodeProto, moved: View | None) -> None:
    """Raises NotAView where the elements do not lie where the new shape needs them."""
    source, target = node.input[0], node.output[0]
    if moved is None:
        raise NotAView(source, reading.info(reading.view(source)).name, target)
    reading.alias(target, moved)
