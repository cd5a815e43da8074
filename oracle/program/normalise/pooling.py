"""Pools over windows and over whole spatial axes.

`ceil_mode` and automatic padding become explicit padding, as long as the windows reach. Indices of
a MaxPool are not judged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.functions_convolution import average_pool
from oracle.program.normalise.rule import SourceNode, rewrites
from oracle.program.window import Window


@rewrites("MaxPool")
def max_pool(builder: Builder, node: SourceNode) -> Sequence[Value | None]:
    x = node.input(0)
    if any(node.outputs[1:]):
        raise ProgramError(
            "MaxPool's indices are not judged", hint="use Resize instead of MaxUnpool"
        )
    window = _window(node, x).tight()
    if any(
        pad >= k for pad, k in zip((*window.begin, *window.end), window.kernel * 2, strict=True)
    ):
        raise ProgramError(
            "MaxPool with windows that reach a whole kernel beyond its input is not judged",
            hint="use less padding, ceil_mode=0 or no dilation",
        )
    pooled = builder.emit("MaxPool", x, name=node.outputs[0], **window.attributes())
    return [pooled, *[None] * (len(node.outputs) - 1)]


@rewrites("AveragePool")
def mean_pool(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    _require_float(node, x)
    window = _window(node, x)
    count_padding = bool(node.get("count_include_pad", 0)) and any((*window.begin, *window.end))
    if count_padding and not np.all(window.counts(padding=True) == window.tap_count):
        # windows that reach beyond the padding divide by fewer taps, but not by those that count
        raise ProgramError(
            "AveragePool that counts padding, with windows beyond it, is not judged",
            hint="use ceil_mode=0 or count_include_pad=0",
        )
    window = window.tight()
    attributes = {**window.attributes(), "count_include_pad": int(count_padding)}
    plain = set(window.dilations) == {1}
    if builder.tier is Tier.ROUNDED or not plain:
        # the operator set of programs has no dilated AveragePool
        return builder.call(
            average_pool(window, x.rank, count_padding=count_padding),
            x,
            element=x.element,
            shape=(*x.shape[:2], *window.target),
            name=node.outputs[0],
            **attributes,
        )
    del attributes["dilations"]
    return builder.emit("AveragePool", x, name=node.outputs[0], **attributes)


@rewrites("GlobalAveragePool")
def global_mean(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    _require_float(node, x)
    return builder.total("ReduceMean", x, range(2, x.rank), name=node.outputs[0])


@rewrites("GlobalMaxPool")
def global_max(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    axes = builder.constant(np.arange(2, x.rank, dtype=np.int64))
    return builder.emit("ReduceMax", x, axes, keepdims=1, name=node.outputs[0])


@rewrites("LpPool", "GlobalLpPool", "MaxUnpool", "MaxRoiPool", "RoiAlign", "LRN")
def refused(builder: Builder, node: SourceNode) -> Value:
    raise ProgramError(
        f"{node.operator} is not judged", hint="use MaxPool, AveragePool or a strided Conv"
    )


def _window(node: SourceNode, x: Value) -> Window:
    if x.rank < 3:
        raise ProgramError(f"{node.operator} of the shape {x.shape} has no rule")
    window = Window.of(node.operator, x.shape[2:], node.get("kernel_shape", ()), node.attributes)
    if node.get("auto_pad", "NOTSET").startswith("SAME") and any(
        (o - 1) * s + (k - 1) * d + 1 < n
        for n, o, k, s, d in zip(
            window.source, window.target, window.kernel, window.strides, window.dilations,
            strict=True,
        )
    ):  # fmt: skip
        # runtimes disagree on where the windows lie, as the padding would be negative
        raise ProgramError(
            f"{node.operator} with auto_pad and windows apart is not judged",
            hint="give explicit pads",
        )
    if not np.all(window.counts()):
        raise ProgramError(f"{node.operator} has windows of padding alone", hint="use less padding")
    return window


def _require_float(node: SourceNode, x: Value) -> None:
    if x.element is not ElementType.FLOAT32:
        raise ProgramError(
            f"{node.operator} of {x.element.value} is not judged", hint="export it in float32"
        )
