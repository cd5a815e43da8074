"""The float64 functions of convolutions and average pools, one body per configuration.

onnxruntime has no float64 Conv or AveragePool on CPUs, so a body cuts the input into strided
slices, one per tap of the kernel or, for a wide one, axis after axis. A pool adds them; a
convolution is one product of the stacked slices with the weights. Knows how to write a body, and
nothing of who calls it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from oracle.program.functions import DOMAIN, OPSET
from oracle.program.window import Window

WINDOW_ATTRIBUTES = ["kernel_shape", "strides", "dilations", "pads"]
CONVOLUTION_ATTRIBUTES = [*WINDOW_ATTRIBUTES, "group"]
POOL_ATTRIBUTES = [*WINDOW_ATTRIBUTES, "count_include_pad"]

_WIDE = 2


@dataclass(frozen=True)
class Channels:
    """Rows, input channels, output channels and groups of a convolution."""

    rows: int
    source: int
    target: int
    groups: int

    @property
    def source_within(self) -> int:
        """Input channels that one output channel sees."""
        return self.source // self.groups

    @property
    def target_within(self) -> int:
        """Output channels of one group."""
        return self.target // self.groups


def convolution(window: Window, channels: Channels, *, with_bias: bool) -> onnx.FunctionProto:
    """`round(Conv(x, w) (+ b))`; x as in ONNX, w with its input channels last (O, kernel..., I).

    Weights in that order are a matrix as they are, and lie as the court reads them.
    """
    body = _Body()
    taps = window.tap_count * channels.source_within
    grouped = (channels.rows, channels.groups, channels.source_within)
    wide = body.add("Cast", "x", to=TensorProto.DOUBLE)
    stacked = _stacked(body, window, body.reshape(wide, (*grouped, *window.source)))
    patches = body.reshape(
        stacked, (channels.rows, channels.groups, taps, math.prod(window.target))
    )
    matrix = body.reshape("w", (channels.groups, channels.target_within, taps))
    total = body.add("MatMul", body.add("Cast", matrix, to=TensorProto.DOUBLE), patches)
    if with_bias:
        column = body.reshape("b", (channels.groups, channels.target_within, 1))
        total = body.add("Add", total, body.add("Cast", column, to=TensorProto.DOUBLE))
    body.finish(body.reshape(total, (channels.rows, channels.target, *window.target)))
    name = (
        f"Conv_{window.describe()}"
        f"_c{channels.rows}x{channels.source}x{channels.target}_g{channels.groups}"
    )
    return body.function(
        name + ("_b" if with_bias else ""),
        ["x", "w", "b"] if with_bias else ["x", "w"],
        CONVOLUTION_ATTRIBUTES,
    )


def average_pool(window: Window, rank: int, *, count_padding: bool) -> onnx.FunctionProto:
    """`round(AveragePool(x))` of a tensor of `rank` axes, the last ones spatial."""
    body = _Body()
    wide = body.add("Cast", "x", to=TensorProto.DOUBLE)
    slices = _slices(body, window, wide, leading=rank - window.rank)
    total = slices[0]
    for tap in slices[1:]:
        total = body.add("Add", total, tap)
    counts = window.counts(padding=count_padding).astype(np.float64)
    divisor = counts.reshape(-1)[:1] if np.all(counts == counts.flat[0]) else counts
    body.finish(body.add("Div", total, body.constant(divisor)))
    name = f"AveragePool_{window.describe()}_r{rank}"
    return body.function(name + ("_all" if count_padding else ""), ["x"], POOL_ATTRIBUTES)


class _Body:
    """The nodes of one function, named by number so that equal functions have equal bytes."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = self._fresh()
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, array: NDArray[Any]) -> str:
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            tensor = numpy_helper.from_array(array)
            self._constants[key] = self.add("Constant", value=tensor)
        return self._constants[key]

    def integers(self, values: tuple[int, ...]) -> str:
        return self.constant(np.array(values, dtype=np.int64))

    def reshape(self, value: str, shape: tuple[int, ...]) -> str:
        return self.add("Reshape", value, self.integers(shape))

    def finish(self, value: str) -> None:
        self._nodes.append(helper.make_node("Cast", [value], ["y"], to=TensorProto.FLOAT))

    def function(self, name: str, inputs: list[str], attributes: list[str]) -> onnx.FunctionProto:
        opsets = [helper.make_operatorsetid("", OPSET)]
        return helper.make_function(
            DOMAIN, name, inputs, ["y"], self._nodes, opsets, attributes=attributes
        )

    def _fresh(self) -> str:
        self._count += 1
        return f"t{self._count}"


def _stacked(body: _Body, window: Window, value: str) -> str:
    """What each tap sees at every position, taps outermost on the channels, which are axis 2.

    Of a wide kernel the last axis is cut first, then what came of it along the one before: 5x5
    taps take 10 slices. A narrow one has too few taps for that to pay.
    """
    if window.tap_count < _WIDE * sum(window.kernel):
        slices = _slices(body, window, value, leading=3)
        return body.add("Concat", *slices, axis=2) if len(slices) > 1 else slices[0]
    value, lengths = _padded(body, window, value, leading=3)
    for axis in reversed(range(window.rank)):
        step, target = window.strides[axis], window.target[axis]
        starts = [tap * window.dilations[axis] for tap in range(window.kernel[axis])]
        if (len(starts), step, target) == (1, 1, lengths[axis]):
            continue
        slices = [
            body.add(
                "Slice", value, body.integers((start,)),
                body.integers((start + (target - 1) * step + 1,)),
                body.integers((3 + axis,)), body.integers((step,)),
            )
            for start in starts
        ]  # fmt: skip
        value = body.add("Concat", *slices, axis=2) if len(slices) > 1 else slices[0]
    return value


def _padded(
    body: _Body, window: Window, value: str, *, leading: int
) -> tuple[str, tuple[int, ...]]:
    """The value with its zero padding, and its spatial lengths; the axes after `leading`."""
    before, behind = window.overhang()
    if any(before) or any(behind):
        zeros = (0,) * leading
        value = body.add("Pad", value, body.integers((*zeros, *before, *zeros, *behind)))
    return value, tuple(n + p + q for n, p, q in zip(window.source, before, behind, strict=True))


def _slices(body: _Body, window: Window, value: str, *, leading: int) -> list[str]:
    """What each tap sees at every position; padding is zero. Spatial axes follow `leading`."""
    value, padded = _padded(body, window, value, leading=leading)
    axes = body.integers(tuple(range(leading, leading + window.rank)))
    steps = body.integers(window.strides)
    slices = []
    for tap in window.taps():
        starts = tuple(t * d for t, d in zip(tap, window.dilations, strict=True))
        ends = tuple(
            start + (o - 1) * s + 1
            for start, o, s in zip(starts, window.target, window.strides, strict=True)
        )
        whole = all(
            (start, end, step) == (0, length, 1)
            for start, end, step, length in zip(starts, ends, window.strides, padded, strict=True)
        )
        slices.append(
            value
            if whole
            else body.add("Slice", value, body.integers(starts), body.integers(ends), axes, steps)
        )
    return slices
