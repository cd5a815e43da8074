"""DOT as matrix products: which axes belong to a, to b or to both, and blocks that fit in memory.

A domain axis that only a depends on numbers the rows of a matrix, one that only b depends on its
columns, and one that both depend on numbers the products of a batch (the groups of a convolution,
the heads of an attention). Patches of a convolution are copied out (im2col) block by block.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from oracle.court.operands import Array, Lengths, Operand, held
from oracle.court.screen_nest import Nest, boxes

ROW_BLOCK: Final = 1 << 21
"""Elements of a block of a's patches."""

PRODUCT_BLOCK: Final = 1 << 17
"""Elements of a block of the product: a few arrays of them stay in a core's cache."""

COLUMN_BLOCK: Final = 1 << 22
"""Elements of a block of b."""

KEPT_BYTES: Final = 96 << 20
"""Bytes of constants kept as float64 between the rows of one check."""


@dataclass
class Memory:
    """Float64 copies of constant operands, kept while one check runs."""

    left: int = KEPT_BYTES
    kept: dict[object, Array] = field(default_factory=dict)
    norms: dict[object, Array] = field(default_factory=dict)
    sources: set[int] = field(default_factory=set)

    def matrix(self, operand: Operand, lengths: Lengths, order: Sequence[int]) -> Array:
        """`operand.ordered`, remembered if the operand is a constant and there is room."""
        if not operand.constant:
            return operand.ordered(lengths, order)
        key = (
            id(operand.flat),
            operand.offset,
            operand.coefficients,
            operand.guards,
            lengths,
            tuple(order),
        )
        found = self.kept.get(key)
        if found is None:
            found = operand.ordered(lengths, order)
            if found.nbytes <= self.left:
                self.left -= found.nbytes
                self.kept[key] = found
                self.sources.add(id(found))
        return found

    def norm(self, matrix: Array) -> Array:
        """At least the Euclidean norm over the last axis, remembered if the matrix is."""
        key = (id(matrix.base), matrix.shape)
        found = self.norms.get(key)
        if found is None:
            found = np.sqrt(np.einsum("gik,gik->gi", matrix, matrix)) * (1 + 2.0**-20)
            if id(matrix.base) in self.sources:
                self.norms[key] = found
        return np.asarray(found)


@dataclass(frozen=True)
class Factor:
    """What is multiplied at one side: an operand, and perhaps one that is subtracted from it."""

    main: Operand
    less: Operand | None = None

    @property
    def guarded(self) -> bool:
        return bool(self.main.guards)

    def depends_on(self, axis: int) -> bool:
        return self.main.depends_on(axis) or (self.less is not None and self.less.depends_on(axis))

    def matrix(
        self, memory: Memory, starts: Sequence[int], lengths: Lengths, order: Sequence[int]
    ) -> Array:
        """The factor as float64 with its axes in `order`; zero where a guard of `main` fails."""
        result = memory.matrix(self.main.moved(starts), lengths, order)
        if self.less is None or (self.less.constant and not self.less.flat.any()):
            return result
        less = self.less.moved(starts).read(lengths).transpose(order)
        difference: Array = result - less
        if self.main.guards:
            difference *= held(self.main.moved(starts).guards, lengths).transpose(order)
        return difference


@dataclass(frozen=True)
class Grouping:
    """The domain axes of a product, sorted: those of the batch, of a alone, of b alone."""

    batch: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    domain: Lengths

    @property
    def order(self) -> tuple[int, ...]:
        return self.batch + self.rows + self.columns

    def lengths(self, axes: Sequence[int]) -> Lengths:
        return tuple(self.domain[axis] for axis in axes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an array over the domain once grouped: batch, rows, columns."""
        parts = (self.batch, self.rows, self.columns)
        batch, rows, columns = (math.prod(self.lengths(part)) for part in parts)
        return batch, rows, columns

    def grouped(self, array: Array) -> Array:
        """An array over the domain as [batch, rows, columns]."""
        return array.transpose(self.order).reshape(self.shape)

    def ungrouped(self, array: Array) -> Array:
        """The inverse of `grouped`."""
        return array.reshape(self.lengths(self.order)).transpose(np.argsort(self.order))


@dataclass(frozen=True)
class Block:
    """A part of a grouped product: a is [batch, rows, K], b is [batch, columns, K]."""

    place: tuple[slice, slice, slice]
    a: Array
    b: Array

    def product(self, a: Array, b: Array) -> Array:
        """[batch, rows, columns]: float64, in the order that the library chooses."""
        if a.shape[1] == 1 and b.shape[1] == 1:
            return np.asarray(np.einsum("gak,gbk->gab", a, b))
        return np.asarray(np.matmul(a, b.transpose(0, 2, 1)))

    def value(self) -> Array:
        return self.product(self.a, self.b)


def group(nest: Nest, a: Factor, b: Factor) -> Grouping:
    """Sorts the domain axes; one that neither factor depends on counts as a row."""
    batch: list[int] = []
    rows: list[int] = []
    columns: list[int] = []
    for axis in range(len(nest.domain)):
        if b.depends_on(axis):
            (batch if a.depends_on(axis) else columns).append(axis)
        else:
            rows.append(axis)
    return Grouping(tuple(batch), tuple(rows), tuple(columns), nest.domain)


def blocks(nest: Nest, grouping: Grouping, a: Factor, b: Factor, memory: Memory) -> Iterator[Block]:
    """The product in parts, the last axis of both sides running over the taps."""
    taps = max(nest.taps, 1)
    _, rows, columns = grouping.shape
    most = min(ROW_BLOCK // (taps * max(rows, columns, 1)), PRODUCT_BLOCK // max(rows * columns, 1))
    batches = max(1, most)
    for batch in _ranges(grouping, grouping.batch, batches):
        most = max(1, COLUMN_BLOCK // (taps * batch.size))
        for column in _ranges(grouping, grouping.columns, most):
            right = _side(nest, b, memory, (batch, column))
            most = min(ROW_BLOCK // taps, PRODUCT_BLOCK // column.size) // batch.size
            for row in _ranges(grouping, grouping.rows, max(1, most)):
                left = _side(nest, a, memory, (batch, row))
                yield Block((batch.place, row.place, column.place), left, right)


@dataclass(frozen=True)
class _Range:
    """A box along some axes that is contiguous in their row-major order."""

    axes: tuple[int, ...]
    starts: Lengths
    lengths: Lengths
    place: slice

    @property
    def size(self) -> int:
        return math.prod(self.lengths)


def _ranges(grouping: Grouping, axes: tuple[int, ...], most: int) -> Iterator[_Range]:
    first = 0
    for starts, lengths in boxes(grouping.lengths(axes), most):
        size = math.prod(lengths)
        yield _Range(axes, starts, lengths, slice(first, first + size))
        first += size


def _side(nest: Nest, factor: Factor, memory: Memory, ranges: tuple[_Range, _Range]) -> Array:
    starts = [0] * len(nest.domain)
    lengths = [1] * len(nest.domain)
    for part in ranges:
        for axis, start, length in zip(part.axes, part.starts, part.lengths, strict=True):
            starts[axis], lengths[axis] = start, length
    named = [axis for part in ranges for axis in part.axes]
    rest = [axis for axis in range(len(nest.domain)) if axis not in named]
    order = (*named, *rest, *nest.reduction_axes)
    whole = factor.matrix(memory, starts, (*lengths, *nest.reduction), order)
    return whole.reshape(ranges[0].size, ranges[1].size, nest.taps)
