"""Normalisation over channels: folded into the linear operator before it, or written out.

Folding writes the linear operator again with other constants, and the first one falls away
because nobody needs it; where it has other consumers it stays, and the result is right all the
same. Constants are combined in float64 and rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise.rule import SourceNode, rewrites


def rescaled(
    builder: Builder, x: Value, scale: NDArray[Any], shift: NDArray[Any], name: str = ""
) -> Value:
    """`x·scale + shift` along axis 1, folded into what made x where that is known."""
    rescale = builder.rescale(x)
    if rescale is not None:
        return rescale(scale, shift, name)
    column = (-1, *[1] * (x.rank - 2))
    factor = builder.constant(scale.reshape(column).astype(np.float32))
    offset = builder.constant(shift.reshape(column).astype(np.float32))
    return builder.emit("Add", builder.emit("Mul", x, factor), offset, name=name)


@rewrites("BatchNormalization")
def batch_normalisation(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    if node.get("training_mode", 0) or node.get("spatial", 1) != 1:
        raise ProgramError(
            "BatchNormalization is judged in inference mode, per channel",
            hint="export the model in evaluation mode",
        )
    parameters = [node.input(position).constant for position in range(1, 5)]
    if any(parameter is None for parameter in parameters) or x.rank < 2:
        raise ProgramError(
            "BatchNormalization needs constant parameters",
            hint="store scale, bias, mean and variance in the file",
        )
    gain, bias, mean, variance = (np.asarray(p, dtype=np.float64) for p in parameters)
    scale = gain / np.sqrt(variance + float(node.get("epsilon", 1e-5)))
    return rescaled(builder, x, scale, bias - mean * scale, node.outputs[0])


@rewrites("InstanceNormalization")
def instance_normalisation(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    unit = standardised(builder, x, range(2, x.rank), float(node.get("epsilon", 1e-5)))
    column = [x.shape[1], *[1] * (x.rank - 2)]
    return _scaled(builder, unit, node.input(1), node.input(2), column, node.outputs[0])


@rewrites("GroupNormalization")
def group_normalisation(builder: Builder, node: SourceNode) -> Value:
    x, groups = node.input(0), int(node.get("num_groups", 0))
    if groups < 1 or x.shape[1] % groups:
        raise ProgramError(f"GroupNormalization: {groups} groups do not divide {x.shape}")
    split = (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    unit = standardised(
        builder, _reshape(builder, x, split), range(2, len(split)), float(node.get("epsilon", 1e-5))
    )
    gain, bias = node.input(1), node.input(2)
    column = [groups, split[2], *[1] * (x.rank - 2)]
    return _reshape(builder, _scaled(builder, unit, gain, bias, column), x.shape, node.outputs[0])


def standardised(builder: Builder, x: Value, axes: Sequence[int], epsilon: float) -> Value:
    """`(x - mean) / sqrt(variance + epsilon)` over `axes`."""
    centred = builder.emit("Sub", x, builder.total("ReduceMean", x, axes))
    variance = builder.total("ReduceMean", builder.emit("Mul", centred, centred), axes)
    shifted = builder.emit("Add", variance, builder.constant(epsilon, dtype=np.float32))
    return builder.emit("Div", centred, builder.emit("Sqrt", shifted))


def _scaled(
    builder: Builder, x: Value, gain: Value, bias: Value, column: list[int], name: str = ""
) -> Value:
    product = builder.emit("Mul", x, _reshape(builder, gain, column))
    return builder.emit("Add", product, _reshape(builder, bias, column), name=name)


def _reshape(builder: Builder, x: Value, shape: Sequence[int], name: str = "") -> Value:
    return builder.emit("Reshape", x, builder.constant(np.array(shape, dtype=np.int64)), name=name)
