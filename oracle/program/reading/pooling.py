"""Pools as reductions over windows, and Pad as a copy with guards."""

from __future__ import annotations

import struct

import onnx

from oracle.errors import ProgramError
from oracle.program.functions import DOMAIN
from oracle.program.functions_convolution import average_pool
from oracle.program.opcode import Opcode
from oracle.program.reading.convolution import read_window, window_indices
from oracle.program.reading.reader import Reading, reads
from oracle.program.reading.view import Index, loop
from oracle.program.window import Window


@reads("MaxPool")
def max_pool(reading: Reading, node: onnx.NodeProto) -> None:
    if len(node.output) > 1:
        raise ProgramError("a MaxPool of a program has no indices")
    _pool(reading, node, Opcode.REDUCE_MAX, _window(reading, node))


@reads("AveragePool", "oracle.rounded.AveragePool")
def mean_pool(reading: Reading, node: onnx.NodeProto) -> None:
    """The divisor is the number of taps that count, or of all taps."""
    window = _window(reading, node)
    attributes = reading.attributes(node)
    count_padding = bool(attributes.get("count_include_pad", 0))
    if node.domain == DOMAIN:
        rank = len(reading.shape(node.output[0]))
        reading.check_body(node, average_pool(window, rank, count_padding=count_padding))
    divisor = window.tap_count if count_padding else 0
    _pool(reading, node, Opcode.MEAN, window, divisor)


def _window(reading: Reading, node: onnx.NodeProto) -> Window:
    attributes = reading.attributes(node)
    return read_window(
        node,
        reading.view(node.input[0]).shape[2:],
        tuple(attributes.get("kernel_shape", ())),
        reading.shape(node.output[0])[2:],
        attributes,
    )


def _pool(
    reading: Reading, node: onnx.NodeProto, opcode: Opcode, window: Window, *attributes: int
) -> None:
    rank = 2 + window.rank
    taps = [rank + axis for axis in range(window.rank)]
    indices = [loop(0), loop(1), *window_indices(window, 2, taps)]
    reading.instruction(
        opcode,
        node.output[0],
        [(reading.view(node.input[0]), indices)],
        reduction=window.kernel,
        attributes=attributes,
    )


@reads("Pad")
def pad(reading: Reading, node: onnx.NodeProto) -> None:
    """Where the source has no element, the fill's bits."""
    if reading.attributes(node):
        raise ProgramError("a Pad of a program has no attributes")
    view = reading.view(node.input[0])
    begins = reading.array(node.input[1]).tolist()[: len(view.shape)]
    fill = 0
    if len(node.input) > 2:
        raw = reading.array(node.input[2]).tobytes()
        # attributes are words: what a word cannot hold must be the same bits repeated, or zero
        (fill,) = struct.unpack("<i", raw[:4].ljust(4, b"\0"))
        if any(raw[4:]):
            raise ProgramError("the fill of a Pad must fit 32 bits", hint="pad with zero")
    shape = reading.shape(node.output[0])
    indices = []
    for axis, (begin, length) in enumerate(zip(begins, view.shape, strict=True)):
        inside = begin <= 0 and shape[axis] - begin <= length
        indices.append(Index(((axis, 1),), -begin, guarded=not inside))
    reading.instruction(Opcode.COPY, node.output[0], [(view, indices)], attributes=(fill,))
