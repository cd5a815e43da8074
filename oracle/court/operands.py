"""Operands as numpy arrays: many rows and many elements of an instruction at once.

An instruction is a loop nest; here a row axis is put in front of it, so that one array operation
judges the same element of many rows. Guards become rectangles of the nest ("slabs") in which all
of them hold, so that padding costs a few strided copies and no index arrays.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.errors import TensorError
from oracle.program.instruction import Guard

Array = NDArray[Any]
Lengths = tuple[int, ...]
Slab = tuple[slice, ...]

_MOST_SLABS: Final = 4096


@dataclass(frozen=True)
class Operand:
    """An access bound to its data; one coefficient per axis of the nest, the row axis first.

    `flat` holds tensors of `size` elements, one per row (a single one for a constant). The nest
    begins at element `first_row` of it; `offset` is a position within one row's tensor.
    """

    name: str
    flat: Array
    size: int
    first_row: int
    offset: int
    coefficients: tuple[int, ...]
    guards: tuple[Guard, ...]
    constant: bool

    def moved(self, starts: Sequence[int]) -> Operand:
        """The same operand seen from a nest whose indices begin at `starts`."""
        if not any(starts):
            return self
        guards = tuple(
            replace(guard, offset=guard.offset + _dot(guard.coefficients, starts))
            for guard in self.guards
        )
        return replace(
            self,
            first_row=self.first_row + self.coefficients[0] * starts[0],
            offset=self.offset + _dot(self.coefficients[1:], starts[1:]),
            guards=guards,
        )

    def depends_on(self, axis: int) -> bool:
        """Whether the axis changes what is read, or whether it is read."""
        return self.coefficients[axis] != 0 or any(
            guard.coefficients[axis] != 0 for guard in self.guards
        )

    def view(self, lengths: Lengths) -> Array:
        """The elements over a nest in which every guard holds: no copy, not writable.

        Raises `TensorError` where the nest reaches outside the tensor.
        """
        reach = [
            coefficient * (length - 1)
            for coefficient, length in zip(self.coefficients[1:], lengths[1:], strict=True)
        ]
        lowest = self.offset + sum(part for part in reach if part < 0)
        highest = self.offset + sum(part for part in reach if part > 0)
        if lowest < 0 or highest >= self.size:
            raise TensorError(
                f"tensor {self.name!r}: an access reaches positions {lowest} to {highest} of "
                f"{self.size} elements"
            )
        width = self.flat.itemsize
        strides = [
            coefficient * width if length > 1 else 0
            for coefficient, length in zip(self.coefficients, lengths, strict=True)
        ]
        start = (self.first_row + self.offset) * width
        found: Array = np.ndarray(lengths, self.flat.dtype, self.flat, start, strides)
        found.flags.writeable = False
        return found

    def fill(self, target: Array) -> None:
        """Writes the elements whose guards hold into an array over the nest, and no others."""
        lengths = target.shape
        rectangles = slabs(self.guards, lengths)
        if rectangles is None:
            valid = np.broadcast_to(held(self.guards, lengths), lengths)
            values, known = self.take(self.positions(lengths), lengths[0])
            if not np.broadcast_to(known, lengths)[valid].all():
                raise TensorError(f"tensor {self.name!r}: an access reaches outside of it")
            np.copyto(target, values, where=valid)
            return
        for slab in rectangles:
            inner = self.moved([axis.start for axis in slab])
            target[slab] = inner.view(tuple(axis.stop - axis.start for axis in slab))

    def read(self, lengths: Lengths, padding: Any = 0) -> Array:
        """The elements over the nest, `padding` where a guard fails; do not write to it."""
        if not self.guards:
            return self.view(lengths)
        target = np.full(lengths, padding, dtype=self.flat.dtype)
        self.fill(target)
        return target

    def ordered(self, lengths: Lengths, order: Sequence[int]) -> Array:
        """The elements as float64, zero for padding, contiguous with the axes in `order`."""
        shape = [lengths[axis] for axis in order]
        whole: Array
        if self.guards:
            whole = np.zeros(shape, dtype=np.float64)
            self.fill(whole.transpose(np.argsort(order)))
        else:
            whole = np.empty(shape, dtype=np.float64)
            whole[...] = self.view(lengths).transpose(order)
        return whole

    def held(self, lengths: Lengths) -> Array:
        """Where all guards hold over the nest; of length 1 along axes that do not matter."""
        return held(self.guards, lengths)

    def once(self, axes: int) -> Operand:
        """The operand at index 0 of every axis after the first `axes`."""
        rest = (0,) * (len(self.coefficients) - axes)
        guards = tuple(
            replace(guard, coefficients=guard.coefficients[:axes] + rest) for guard in self.guards
        )
        return replace(self, coefficients=self.coefficients[:axes] + rest, guards=guards)

    def positions(self, lengths: Lengths) -> Array:
        """Positions within a row's tensor over the nest; length 1 along axes that do not matter."""
        return self.offset + affine((0, *self.coefficients[1:]), lengths)

    def take(self, positions: Array, rows: int) -> tuple[Array, Array]:
        """The elements at positions within the tensors of `rows` rows, and which of them exist.

        The first axis of `positions` is the row axis or of length 1.
        """
        known = (positions >= 0) & (positions < self.size)
        starts = self.first_row + np.arange(rows, dtype=np.int64) * self.coefficients[0]
        starts = starts.reshape(-1, *(1,) * (positions.ndim - 1))
        return self.flat[starts + np.where(known, positions, 0)], known


def affine(coefficients: Sequence[int], lengths: Lengths) -> Array:
    """sum coefficient·index over a nest, of length 1 along axes with coefficient 0."""
    total: Array = np.zeros((1,) * len(lengths), dtype=np.int64)
    for axis, coefficient in enumerate(coefficients):
        if coefficient and lengths[axis] > 1:
            shape = [1] * len(lengths)
            shape[axis] = lengths[axis]
            total = total + (np.arange(lengths[axis], dtype=np.int64) * coefficient).reshape(shape)
    return total


def held(guards: Sequence[Guard], lengths: Lengths) -> Array:
    """Whether all guards hold, over the nest; of length 1 along axes that do not matter."""
    valid: Array = np.ones((1,) * len(lengths), dtype=np.bool_)
    for guard in guards:
        place = guard.offset + affine(guard.coefficients, lengths)
        valid = valid & (place >= 0) & (place < guard.limit)
    return valid


def slabs(guards: Sequence[Guard], lengths: Lengths) -> list[Slab] | None:
    """Disjoint rectangles that together are where all guards hold; None if they are too many.

    Axes are counted through one by one until each guard has at most one axis left, along which
    it then allows a range.
    """
    counted: set[int] = set()
    for guard in guards:
        free = [axis for axis in _live(guard, lengths) if axis not in counted]
        free.sort(key=lambda axis: lengths[axis])
        counted.update(free[:-1])
    through = sorted(counted)
    if math.prod(lengths[axis] for axis in through) > _MOST_SLABS:
        return None
    found: list[Slab] = []
    for fixed in itertools.product(*(range(lengths[axis]) for axis in through)):
        slab = _rectangle(guards, lengths, dict(zip(through, fixed, strict=True)))
        if slab is not None:
            found.append(slab)
    return found


def _rectangle(guards: Sequence[Guard], lengths: Lengths, fixed: dict[int, int]) -> Slab | None:
    low = [fixed.get(axis, 0) for axis in range(len(lengths))]
    high = [fixed[axis] + 1 if axis in fixed else length for axis, length in enumerate(lengths)]
    for guard in guards:
        base = guard.offset
        free: int | None = None
        for axis in _live(guard, lengths):
            if axis in fixed:
                base += guard.coefficients[axis] * fixed[axis]
            else:
                free = axis
        if free is None:
            if not 0 <= base < guard.limit:
                return None
            continue
        step = guard.coefficients[free]
        first, last = -base, guard.limit - 1 - base  # first <= step·index <= last
        if step < 0:
            step, first, last = -step, -last, -first
        low[free] = max(low[free], -(-first // step))
        high[free] = min(high[free], last // step + 1)
    if any(start >= stop for start, stop in zip(low, high, strict=True)):
        return None
    return tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))


def _live(guard: Guard, lengths: Lengths) -> list[int]:
    return [
        axis
        for axis, coefficient in enumerate(guard.coefficients)
        if coefficient and lengths[axis] > 1
    ]


def _dot(coefficients: Sequence[int], starts: Sequence[int]) -> int:
    return sum(c * s for c, s in zip(coefficients, starts, strict=False))
