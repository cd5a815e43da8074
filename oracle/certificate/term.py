"""One term of an instruction's derivative, and how it carries tangents on and adjoints back.

A term says: d output(d) / d operand(d, k) = coefficient(d, k), wherever the operand's tap counts.
All instructions differentiate into such terms, so that forward, absolute and reverse propagation
are each written once, as one contraction over the axes of the loop nest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oracle.certificate.place import Lengths, Place, Reals


@dataclass(frozen=True)
class Term:
    """`coefficient` has one axis per axis of `lengths`, of length 1 where it does not matter."""

    place: Place
    coefficient: Reals
    lengths: Lengths
    """Domain and reduction; the reduction is all 1 for an operand that does not depend on taps."""

    domain_rank: int

    def forward(self, tangents: Reals) -> Reals:
        """Tangents of the operand's tensor [batch, elements] to the output's [batch, size]."""
        return self._forward(tangents, self.coefficient)

    def magnify(self, distances: Reals) -> Reals:
        """How far the output moves at most if the operand's elements move by `distances`."""
        moved: Reals = self._forward(distances[None], np.abs(self.coefficient))[0]
        return moved

    def backward(self, adjoints: Reals, into: Reals) -> None:
        """Adds to the operand's adjoints what the output's [batch, size] contribute."""
        shape = self.place.shape
        outer = (*self.lengths[: self.domain_rank], *(1,) * (len(shape) - self.domain_rank))
        kept = [length > 1 for length in shape]
        parts = contract(adjoints.reshape(-1, *outer), self.coefficient, self.lengths, kept)
        self.place.scatter(parts, into)

    @property
    def width(self) -> int:
        """Numbers held for each member of a batch."""
        return math.prod(self.place.shape)

    def _forward(self, tangents: Reals, coefficient: Reals) -> Reals:
        kept = [axis < self.domain_rank for axis in range(len(self.lengths))]
        moved = contract(self.place.gather(tangents), coefficient, self.lengths, kept)
        rest = len(self.lengths) - self.domain_rank
        shape = (len(tangents), *self.lengths[: self.domain_rank], *(1,) * rest)
        return np.broadcast_to(moved, shape).reshape(len(tangents), -1)


def contract(left: Reals, right: Reals, lengths: Lengths, kept: Sequence[bool]) -> Reals:
    """Sum of left·right over the axes that are not kept; `left` has a batch axis in front.

    The result has the batch axis and one axis per axis of the nest, of length 1 where it is
    summed over or where neither factor depends on it.
    """
    count = len(lengths)
    factor = 1
    summed: list[int] = []
    for axis in range(count):
        if kept[axis] or lengths[axis] == 1:
            continue
        has_left, has_right = left.shape[axis + 1] > 1, right.shape[axis] > 1
        if has_left and has_right:
            summed.append(axis)
        elif has_left:
            left = left.sum(axis=axis + 1, keepdims=True)
        elif has_right:
            right = right.sum(axis=axis, keepdims=True)
        else:
            factor *= lengths[axis]
    if not summed:
        product: Reals = left * right
        return product * factor if factor != 1 else product
    return _multiply(left, right, summed) * factor


def _multiply(left: Reals, right: Reals, summed: Sequence[int]) -> Reals:
    axes = [axis for axis in range(right.ndim) if axis not in summed]
    lefts = {axis for axis in axes if left.shape[axis + 1] > 1}
    rights = {axis for axis in axes if right.shape[axis] > 1}
    both = [axis for axis in axes if axis in lefts and axis in rights]
    rows = [axis for axis in axes if axis in lefts and axis not in rights]
    columns = [axis for axis in axes if axis in rights and axis not in lefts]
    unused = [axis for axis in axes if axis not in lefts and axis not in rights]

    tail = [*rows, *summed, *columns, *unused]  # columns and unused are of length 1 here
    moved = left.transpose([a + 1 for a in both] + [0] + [a + 1 for a in tail])
    other = right.transpose([*both, *summed, *columns, *rows, *unused])
    shared = [right.shape[axis] for axis in both]
    row_lengths = [left.shape[axis + 1] for axis in rows]
    column_lengths = [right.shape[axis] for axis in columns]
    inner = math.prod(right.shape[axis] for axis in summed)
    batch = len(left)
    product = np.matmul(
        moved.reshape(*shared, batch * math.prod(row_lengths), inner),
        other.reshape(*shared, inner, math.prod(column_lengths)),
    ).reshape(*shared, batch, *row_lengths, *column_lengths)
    # axes are now: both, batch, rows, columns; put them back in the order of the nest
    order = [*both, *rows, *columns]
    place = {axis: n if n < len(both) else n + 1 for n, axis in enumerate(order)}
    product = product.transpose([len(both), *(place[axis] for axis in sorted(order))])
    used = set(order)
    shape = [
        (left.shape[axis + 1] if axis in lefts else right.shape[axis]) if axis in used else 1
        for axis in range(right.ndim)
    ]
    whole: Reals = product.reshape(batch, *shape)
    return whole
