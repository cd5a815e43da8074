"""Convolutions: plain Conv in the NATIVE tier, patches times weights in float64 in the ROUNDED one.

Padding is made explicit, and no longer than the windows reach. Weights of the ROUNDED form carry
their input channels last, which is the order in which the court sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.functions_convolution import Channels, convolution
from oracle.program.normalise.rule import SourceNode, rewrites
from oracle.program.window import Window


@rewrites("Conv")
def conv(builder: Builder, node: SourceNode) -> Value:
    x, w, b = node.input(0), node.input(1), node.optional(2)
    geometry(node, x, w)
    return convolve(builder, node, x, w, b)


def convolve(
    builder: Builder, node: SourceNode, x: Value, w: Value, b: Value | None, *, name: str = ""
) -> Value:
    """A float32 convolution by the tier's form; weights in ONNX order."""
    window, channels = geometry(node, x, w)
    if x.element is not ElementType.FLOAT32 or w.element is not ElementType.FLOAT32:
        raise ProgramError(
            f"{node.operator} of {x.element.value} is not judged", hint="export it in float32"
        )
    wish = name or node.outputs[0] if node.outputs else name
    if builder.tier is Tier.ROUNDED:
        rank = window.rank
        last = builder.emit("Transpose", w, perm=[0, *range(2, 2 + rank), 1])
        result = builder.call(
            convolution(window, channels, with_bias=b is not None),
            *((x, last) if b is None else (x, last, b)),
            element=ElementType.FLOAT32,
            shape=(channels.rows, channels.target, *window.target),
            name=wish,
            **window.attributes(),
            group=channels.groups,
        )
    else:
        result = builder.emit(
            "Conv", x, w, b, name=wish, group=channels.groups, **window.attributes()
        )
    if w.constant is not None and (b is None or b.constant is not None):
        weights = w.constant.astype(np.float64)
        bias = np.zeros(channels.target) if b is None or b.constant is None else b.constant

        def rescale(scale: NDArray[Any], shift: NDArray[Any], name: str) -> Value:
            folded = weights * scale.reshape(-1, *[1] * (window.rank + 1))
            return convolve(
                builder, node, x,
                builder.constant(folded.astype(np.float32)),
                builder.constant((bias * scale + shift).astype(np.float32)),
                name=name,
            )  # fmt: skip

        builder.remember(result, rescale)
    return result


def geometry(node: SourceNode, x: Value, w: Value) -> tuple[Window, Channels]:
    """Of a convolution's node. Raises ProgramError where its operands do not fit."""
    groups = int(node.get("group", 1))
    if x.rank < 3 or w.rank != x.rank:
        raise ProgramError(
            f"{node.operator} of shapes {x.shape} and {w.shape} has no rule",
            hint="convolutions take (rows, channels, spatial axes...)",
        )
    channels = Channels(x.shape[0], x.shape[1], w.shape[0], groups)
    if x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise ProgramError(
            f"{node.operator}: {groups} groups do not divide {x.shape} and {w.shape}"
        )
    kernel = node.get("kernel_shape") or w.shape[2:]
    if tuple(kernel) != w.shape[2:]:
        raise ProgramError(f"{node.operator}: kernel_shape is not that of its weights")
    return Window.of(node.operator, x.shape[2:], kernel, node.attributes).tight(), channels


@rewrites("ConvTranspose", "DeformConv")
def refused(builder: Builder, node: SourceNode) -> Value:
    raise ProgramError(
        f"{node.operator} is not judged", hint="use Resize (nearest, whole factors) and then Conv"
    )
