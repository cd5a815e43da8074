"""Convolutions as loop nests: output positions outside, taps of the kernel inside.

Channels are split into groups and channels within a group, so that every index is affine. The
same geometry serves the float32, float64 and quantised operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from oracle.errors import ProgramError
from oracle.program.functions import DOMAIN
from oracle.program.functions_convolution import Channels, convolution
from oracle.program.opcode import Opcode
from oracle.program.reading.reader import Reading, reads
from oracle.program.reading.view import Index, View, loop
from oracle.program.window import Window

Operand = tuple[View, Sequence[Index]]


@dataclass(frozen=True)
class Nest:
    """The loops of one convolution and its two factors; per-channel operands by `channel`."""

    window: Window
    channels: Channels
    domain: tuple[tuple[int, ...], ...]
    reduction: tuple[int, ...]
    factors: tuple[Operand, Operand]

    def channel(self, view: View) -> Operand:
        """A scalar, or one value per output channel."""
        split = (self.channels.groups, self.channels.target_within)
        if view.shape in ((), (1,)):
            moved, indices = view.reshaped(()), []
        else:
            moved, indices = view.reshaped(split), [loop(1), loop(2)]
        if moved is None:
            raise ProgramError(f"an operand of shape {view.shape} is not one value a channel")
        return moved, indices


def nest(reading: Reading, node: onnx.NodeProto, x: str, w: str, *, channels_last: bool) -> Nest:
    """The loops: row, group, channel within the group, position; taps ordered by where they lie."""
    attributes = reading.attributes(node)
    source, weights = reading.view(x), reading.view(w)
    if channels_last:
        weights = weights.transposed([0, len(weights.shape) - 1, *range(1, len(weights.shape) - 1)])
    shape = reading.shape(node.output[0])
    groups = attributes.get("group", 1)
    channels = Channels(source.shape[0], source.shape[1], weights.shape[0], groups)
    if weights.shape[1] * groups != source.shape[1] or weights.shape[0] % groups:
        raise ProgramError(f"the channels of {node.output[0]!r} do not fit its groups")
    window = read_window(node, source.shape[2:], weights.shape[2:], shape[2:], attributes)
    if shape[:2] != (channels.rows, channels.target):
        raise ProgramError(f"{node.output[0]!r} has a foreign shape {shape}")
    rank = window.rank
    split_x = source.reshaped((channels.rows, groups, channels.source_within, *window.source))
    split_w = weights.reshaped(
        (groups, channels.target_within, channels.source_within, *window.kernel)
    )
    assert split_x is not None
    assert split_w is not None
    first_tap = 3 + rank
    # taps in the order in which the input lies: channels last, then they are the innermost loop
    reach = [split_x.strides[2]]
    reach += [split_x.strides[3 + axis] * window.dilations[axis] for axis in range(rank)]
    order = sorted(range(1 + rank), key=lambda axis: -abs(reach[axis]))
    place = {axis: first_tap + position for position, axis in enumerate(order)}
    lengths = (channels.source_within, *window.kernel)
    tap_indices = [loop(place[axis]) for axis in range(1 + rank)]
    return Nest(
        window,
        channels,
        domain=(
            (channels.rows,),
            (groups, channels.target_within),
            *((length,) for length in window.target),
        ),
        reduction=tuple(lengths[axis] for axis in order),
        factors=(
            (
                split_x,
                [
                    loop(0),
                    loop(1),
                    tap_indices[0],
                    *window_indices(window, 3, [place[1 + axis] for axis in range(rank)]),
                ],
            ),
            (split_w, [loop(1), loop(2), *tap_indices]),
        ),
    )


def window_indices(window: Window, first_position: int, tap_axes: Sequence[int]) -> list[Index]:
    """Where a window looks along each spatial axis; guarded where that may be padding."""
    return [
        Index(
            (
                (first_position + axis, window.strides[axis]),
                (tap_axes[axis], window.dilations[axis]),
            ),
            -window.begin[axis],
            guarded=window.padded(axis),
        )
        for axis in range(window.rank)
    ]


def read_window(
    node: onnx.NodeProto,
    source: tuple[int, ...],
    kernel: tuple[int, ...],
    target: tuple[int, ...],
    attributes: dict[str, Any],
) -> Window:
    """The window of a program's node. Raises ProgramError unless it is written as programs are."""
    attributes = {"dilations": [1] * len(source), **attributes}
    window = Window.of(node.op_type, source, kernel, attributes)
    written = {name: attributes.get(name) for name in window.attributes()}
    if window.target != target or written != window.tight().attributes():
        raise ProgramError(f"the window of {node.output[0]!r} is not written as programs are")
    return window


@reads("Conv", "oracle.rounded.Conv")
def conv(reading: Reading, node: onnx.NodeProto) -> None:
    rounded = node.domain == DOMAIN
    loops = nest(reading, node, node.input[0], node.input[1], channels_last=rounded)
    with_bias = len(node.input) == 3
    if rounded:
        body = convolution(loops.window, loops.channels, with_bias=with_bias)
        reading.check_body(node, body)
    operands: list[Operand] = [*loops.factors]
    if with_bias:
        operands.append(loops.channel(reading.view(node.input[2])))
    reading.instruction(
        Opcode.DOT,
        node.output[0],
        operands,
        reduction=loops.reduction,
        domain=loops.domain,
    )
