"""Largest, smallest and sign of int64 numbers, said in comparisons.

onnxruntime's own kernels for them are wrong on x86-64 where the upper halves of two numbers are
equal and the lower ones differ in their top bit (Max(2^31, 16) is 16), which an honest operator
would be convicted for. Its comparisons and ArgMax are right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from oracle.program.builder import Builder, Value


def extreme(builder: Builder, operator: str, a: Value, b: Value) -> Value:
    """`Max` or `Min` of two."""
    less = builder.emit("Less", a, b)
    return builder.emit("Where", less, *((b, a) if operator == "Max" else (a, b)))


def extreme_along(
    builder: Builder, operator: str, x: Value, axes: Sequence[int], *, keep: bool
) -> Value:
    """`ReduceMax` or `ReduceMin`: the element at the place of the largest, axis by axis."""
    shape = [n for axis, n in enumerate(x.shape) if axis not in axes]
    place = operator.replace("Reduce", "Arg")
    for axis in axes:
        found = builder.emit(place, x, axis=axis, keepdims=1, select_last_index=0)
        x = builder.emit("GatherElements", x, found, axis=axis)
    if keep:
        return x
    return builder.emit("Reshape", x, builder.constant(np.array(shape, dtype=np.int64)))


def sign(builder: Builder, x: Value, *, name: str = "") -> Value:
    """1, 0 or -1."""
    nought = builder.constant(np.zeros((), dtype=np.int64))
    above, below = (
        builder.emit("Cast", builder.emit("Less", *pair), to=TensorProto.INT64)
        for pair in ((nought, x), (x, nought))
    )
    return builder.emit("Sub", above, below, name=name)
