"""Choosing and moving elements: ArgMax, TopK, Gather, OneHot, Concat, Split.

A Gather by constants in arithmetic progression is a Slice, which costs nothing; only the rest
becomes a Gather of the dialect.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise.composite import extreme_over
from oracle.program.normalise.elementwise import cast, choose, scalar, widen
from oracle.program.normalise.rule import SourceNode, rewrites
from oracle.program.normalise.shape import reshaped, sliced, stored, transposed


@rewrites("ArgMax", "ArgMin")
def position_of_extreme(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    return builder.emit(
        node.operator,
        widen(builder, node.operator, x),
        axis=node.get("axis", 0) % x.rank,
        keepdims=node.get("keepdims", 1),
        select_last_index=node.get("select_last_index", 0),
    )


@rewrites("Hardmax")
def hardmax(builder: Builder, node: SourceNode) -> Value:
    """1 at the first largest element. Before opset 13, over all axes from `axis` on."""
    x = node.input(0)
    axis = node.get("axis", -1 if node.version >= 13 else 1) % x.rank
    if node.version < 13:
        x = reshaped(builder, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))
        axis = 1
    first = builder.emit("ArgMax", x, axis=axis, keepdims=1, select_last_index=0)
    places = _along(builder, np.arange(x.shape[axis], dtype=np.int64), x.rank - 1 - axis)
    marks = cast(builder, builder.emit("Equal", first, places), node.input(0).element)
    return reshaped(builder, marks, node.input(0).shape)


@rewrites("TopK")
def largest_few(builder: Builder, node: SourceNode) -> Sequence[Value]:
    """Always sorted, along the last axis; of one element it is a maximum and its position."""
    x = node.input(0)
    axis = node.get("axis", -1) % x.rank
    count = int(stored(node, 1, "k").reshape(())) if node.version >= 10 else int(node.get("k"))
    largest = bool(node.get("largest", 1))
    wide = widen(builder, "TopK", x)
    if not 0 < count <= x.shape[axis]:
        raise ProgramError(f"TopK of {count} out of {x.shape[axis]} elements has no rule")
    if count == 1:
        name = "Max" if largest else "Min"
        values = extreme_over(builder, f"Reduce{name}", x, [axis], keep=True)
        places = builder.emit(f"Arg{name}", wide, axis=axis, keepdims=1, select_last_index=0)
        return [values, places]
    order = [*(other for other in range(x.rank) if other != axis), axis]
    few = builder.constant(np.array([count], dtype=np.int64))
    values, places = builder.emit_all(
        "TopK",
        transposed(builder, wide, order),
        few,
        names=("", ""),
        axis=-1,
        largest=int(largest),
        sorted=1,
    )
    back = np.argsort(order).tolist()
    values = cast(builder, values, x.element)
    return [transposed(builder, values, back), transposed(builder, places, back)]


@rewrites("Gather")
def gather(builder: Builder, node: SourceNode) -> Value:
    x, indices = node.input(0), node.input(1)
    axis = node.get("axis", 0) % x.rank
    length, shape = x.shape[axis], (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    if indices.constant is None:
        return builder.emit("Gather", x, indices, axis=axis)
    places = _checked(indices, length)
    steps = np.unique(np.diff(places))
    if len(steps) > 1 or 0 in steps:
        flat = builder.constant(places)
        return reshaped(builder, builder.emit("Gather", x, flat, axis=axis), shape)
    step = int(steps[0]) if len(steps) else 1
    first, last = int(places[0]), int(places[-1])
    end = last + (1 if step > 0 else -1)
    return reshaped(builder, sliced(builder, x, axis, first, end, step), shape)


@rewrites("GatherElements")
def gather_elements(builder: Builder, node: SourceNode) -> Value:
    x, indices = node.input(0), node.input(1)
    axis = node.get("axis", 0) % x.rank
    if indices.constant is not None:
        places = _checked(indices, x.shape[axis]).reshape(indices.shape)
        indices = builder.constant(places)
    return builder.emit("GatherElements", x, indices, axis=axis)


@rewrites("OneHot")
def one_hot(builder: Builder, node: SourceNode) -> Value:
    """The position is compared with every number; what lies outside of the depth is all off."""
    indices, values = node.input(0), node.input(2)
    depth = int(stored(node, 1, "depth").reshape(-1)[0])
    rank = indices.rank + 1
    axis = node.get("axis", -1) % rank
    if indices.element.value not in ("uint8", "uint16", "uint32", "uint64"):
        negative = builder.emit("Less", indices, scalar(builder, 0, indices))
        wrapped = builder.emit("Add", indices, scalar(builder, depth, indices))
        indices = choose(builder, negative, wrapped, indices)
    column = reshaped(builder, indices, (*indices.shape[:axis], 1, *indices.shape[axis:]))
    numbers = np.arange(depth).astype(indices.element.value)
    hit = builder.emit("Equal", column, _along(builder, numbers, rank - 1 - axis))
    off, on = (reshaped(builder, sliced(builder, values, 0, n, n + 1), ()) for n in (0, 1))
    return choose(builder, hit, on, off)


@rewrites("Concat")
def concat(builder: Builder, node: SourceNode) -> Value:
    """Operands without elements are left out."""
    present = [value for value in node.inputs if value is not None]
    axis = node.get("axis", 1) % present[0].rank
    parts = [value for value in present if value.shape[axis] > 0]
    if len(parts) == 1:
        return parts[0]
    return builder.emit("Concat", *parts, axis=axis)


@rewrites("Split")
def split(builder: Builder, node: SourceNode) -> Sequence[Value]:
    """Slices. Lengths are an attribute before opset 13; equal ones may leave a shorter last."""
    x = node.input(0)
    axis = node.get("axis", 0) % x.rank
    lengths = node.get("split")
    if node.optional(1) is not None:
        lengths = stored(node, 1, "split").tolist()
    if lengths is None:
        count, total = len(node.outputs), x.shape[axis]
        part = -(-total // count)
        lengths = [min(part, total - part * number) for number in range(count)]
    starts = np.cumsum([0, *lengths]).tolist()
    if min(lengths) < 0 or starts[-1] != x.shape[axis]:
        raise ProgramError(f"Split of {x.shape[axis]} elements into {lengths} has no rule")
    return [sliced(builder, x, axis, start, end) for start, end in itertools.pairwise(starts)]


def _checked(indices: Value, length: int) -> NDArray[np.int64]:
    """Constant indices counted from the front, flat."""
    places = np.asarray(indices.constant, dtype=np.int64).reshape(-1)
    if places.size == 0 or np.any(places < -length) or np.any(places >= length):
        raise ProgramError(f"indices lie outside of an axis of length {length}, or are none")
    return np.where(places < 0, places + length, places)


def _along(builder: Builder, numbers: NDArray[Any], after: int) -> Value:
    """A row of numbers along an axis with `after` axes behind it."""
    return builder.constant(numbers.reshape(-1, *[1] * after))
