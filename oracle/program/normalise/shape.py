"""Shapes, casts and pure re-indexing: all shapes are static, so what asks for one is a constant.

Every reshape leaves here as Reshape with its whole shape, every slice with axes and steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from onnx import helper

from oracle.core.schema import ElementType
from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise.elementwise import cast, choose, expanded, scalar
from oracle.program.normalise.rule import SourceNode, rewrites

_BEFORE_THE_FIRST: Final = -(2**63)
"""The end of a slice that runs backwards through element 0."""


@rewrites("Shape")
def shape_of(builder: Builder, node: SourceNode) -> Value:
    shape = node.input(0).shape[slice(node.get("start"), node.get("end"))]
    return builder.constant(np.array(shape, dtype=np.int64))


@rewrites("Size")
def size_of(builder: Builder, node: SourceNode) -> Value:
    return builder.constant(np.array(math.prod(node.input(0).shape), dtype=np.int64))


@rewrites("EyeLike")
def eye_like(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    element = _element(node.get("dtype")) if node.get("dtype") else x.element
    rows, columns = x.shape
    return builder.constant(np.eye(rows, columns, node.get("k", 0)).astype(element.value))


@rewrites("Reshape")
def reshape(builder: Builder, node: SourceNode) -> Value:
    """0 takes over the input's length, -1 what is left."""
    x = node.input(0)
    wanted = node.get("shape") if node.version < 5 else stored(node, 1, "shape").tolist()
    if not node.get("allowzero", 0):
        wanted = [x.shape[axis] if n == 0 else n for axis, n in enumerate(wanted)]
    known = math.prod(n for n in wanted if n != -1)
    rest = math.prod(x.shape) // known if known else 0
    shape = tuple(rest if n == -1 else n for n in wanted)
    if math.prod(shape) != math.prod(x.shape):
        raise ProgramError(
            f"the shape {tuple(wanted)} does not hold the {math.prod(x.shape)} elements of one row",
            hint="export the model with a batch axis of any length",
        )
    return reshaped(builder, x, shape)


@rewrites("Flatten")
def flatten(builder: Builder, node: SourceNode) -> Value:
    x, axis = node.input(0), node.get("axis", 1)
    axis += x.rank if axis < 0 else 0
    return reshaped(builder, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@rewrites("Squeeze")
def squeeze(builder: Builder, node: SourceNode) -> Value:
    x, given = node.input(0), node.get("axes")
    if node.optional(1) is not None:
        given = stored(node, 1, "axes").reshape(-1).tolist()
    if given is None:
        given = [axis for axis, length in enumerate(x.shape) if length == 1]
    axes = {axis % x.rank for axis in given}
    if any(x.shape[axis] != 1 for axis in axes):
        raise ProgramError(f"{sorted(axes)} of {x.shape} are not all of length 1")
    return reshaped(builder, x, tuple(n for axis, n in enumerate(x.shape) if axis not in axes))


@rewrites("Unsqueeze")
def unsqueeze(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    given = node.get("axes")
    if given is None:
        given = stored(node, 1, "axes").reshape(-1).tolist()
    rank = x.rank + len(given)
    axes, lengths = {axis % rank for axis in given}, iter(x.shape)
    shape = tuple(1 if axis in axes else next(lengths) for axis in range(rank))
    return reshaped(builder, x, shape)


@rewrites("Transpose")
def transpose(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    return transposed(builder, x, node.get("perm", range(x.rank)[::-1]))


@rewrites("Expand")
def expand(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    wanted = tuple(stored(node, 1, "shape").tolist())
    return expanded(builder, x, np.broadcast_shapes(x.shape, wanted))


@rewrites("Tile")
def tile(builder: Builder, node: SourceNode) -> Value:
    """Each repeated axis gets a new one in front of it, along which it is broadcast."""
    x = node.input(0)
    if node.version < 6:
        raise ProgramError("Tile before opset 6 has no rule", hint="convert the model")
    repeats = stored(node, 1, "repeats").tolist()
    if all(times == 1 or length == 1 for times, length in zip(repeats, x.shape, strict=True)):
        pairs = zip(repeats, x.shape, strict=True)
        return expanded(builder, x, tuple(times * length for times, length in pairs))
    single = [part for length in x.shape for part in (1, length)]
    repeated = [part for pair in zip(repeats, x.shape, strict=True) for part in pair]
    spread = expanded(builder, reshaped(builder, x, tuple(single)), tuple(repeated))
    shape = tuple(times * length for times, length in zip(repeats, x.shape, strict=True))
    return reshaped(builder, spread, shape)


@rewrites("Slice")
def cut(builder: Builder, node: SourceNode) -> Value:
    """Starts and ends are inputs since opset 10."""
    x = node.input(0)
    if node.version < 10:
        starts, ends, given, steps = node.get("starts"), node.get("ends"), node.get("axes"), None
    else:
        starts, ends = (stored(node, place, "range").tolist() for place in (1, 2))
        given = stored(node, 3, "axes").tolist() if node.optional(3) else None
        steps = stored(node, 4, "steps").tolist() if node.optional(4) else None
    axes = range(len(starts)) if given is None else given
    steps = steps or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        x = _sliced(builder, x, axis % x.rank, slice(start, end, step))
    return x


@rewrites("Cast")
def cast_to(builder: Builder, node: SourceNode) -> Value:
    return cast(builder, node.input(0), _element(node.get("to")))


@rewrites("CastLike")
def cast_like(builder: Builder, node: SourceNode) -> Value:
    return cast(builder, node.input(0), node.input(1).element)


@rewrites("Trilu")
def triangle(builder: Builder, node: SourceNode) -> Value:
    x, upper = node.input(0), node.get("upper", 1)
    shift = int(stored(node, 1, "diagonal")) if node.optional(1) else 0
    whole = np.ones(x.shape[-2:], dtype=np.bool_)
    kept = np.triu(whole, shift) if upper else np.tril(whole, shift)
    return choose(builder, builder.constant(kept), x, scalar(builder, 0, x))


def stored(node: SourceNode, position: int, what: str) -> Any:
    """The value of an operand that must be in the file. Raises ProgramError."""
    value = node.input(position)
    if value.constant is None:
        raise ProgramError(
            f"its {what} is computed from the data", hint=f"export with a constant {what}"
        )
    return value.constant


def reshaped(builder: Builder, x: Value, shape: tuple[int, ...]) -> Value:
    """The same elements in another shape; itself where it has it already."""
    if x.shape == shape:
        return x
    return builder.emit("Reshape", x, builder.constant(np.array(shape, dtype=np.int64)))


def transposed(builder: Builder, x: Value, axes: Sequence[int]) -> Value:
    if list(axes) == list(range(x.rank)):
        return x
    return builder.emit("Transpose", x, perm=list(axes))


def sliced(builder: Builder, x: Value, axis: int, start: int, end: int, step: int = 1) -> Value:
    """`start:end:step` along one axis; an end of -1 with a negative step means through 0."""
    if (start, end, step) == (0, x.shape[axis], 1):
        return x
    if step < 0 and end < 0:
        end = _BEFORE_THE_FIRST
    numbers = [builder.constant(np.array([n], dtype=np.int64)) for n in (start, end, axis, step)]
    return builder.emit("Slice", x, *numbers)


def _sliced(builder: Builder, x: Value, axis: int, wanted: slice) -> Value:
    """ONNX counts and clamps as Python does, but for an end before all when running backwards."""
    length = x.shape[axis]
    if wanted.step < 0 and wanted.stop < -length:
        wanted = slice(wanted.start, None, wanted.step)
    return sliced(builder, x, axis, *wanted.indices(length))


def _element(number: int) -> ElementType:
    name = helper.tensor_dtype_to_np_dtype(number).name
    try:
        return ElementType(name)
    except ValueError as error:
        raise ProgramError(
            f"{name} tensors cannot be judged", hint="export the model in float32"
        ) from error
