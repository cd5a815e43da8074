"""Where an operand's taps lie in a flat tensor, to read from and to add to, for a batch at once.

A place has one axis for each axis of the loop nest, of length 1 where the axis does not matter,
so that broadcasting does what a coefficient of 0 says. Batches are arrays [batch, elements].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from oracle.court.operands import affine, held
from oracle.program.instruction import Access, Guard

Reals = NDArray[np.float64]
Lengths = tuple[int, ...]


class Place(Protocol):
    """Positions in trace tensor `tensor`, over a loop nest."""

    @property
    def tensor(self) -> int: ...

    @property
    def shape(self) -> Lengths: ...

    def gather(self, batch: Reals) -> Reals:
        """[batch, elements] to [batch, *shape]; zero where a guard fails."""
        ...

    def scatter(self, values: Reals, batch: Reals) -> None:
        """Adds values [batch, *shape] to the elements [batch, elements] they belong to."""
        ...


@dataclass(frozen=True)
class Affine:
    """The place of an affine access."""

    tensor: int
    shape: Lengths
    offset: int
    coefficients: tuple[int, ...]
    guards: tuple[Guard, ...]

    @classmethod
    def of(cls, access: Access, lengths: Lengths) -> Affine:
        """The taps of an access over a nest."""
        shape = tuple(
            length if _matters(access, axis) else 1 for axis, length in enumerate(lengths)
        )
        return cls(access.tensor, shape, access.offset, access.coefficients, access.guards)

    def gather(self, batch: Reals) -> Reals:
        return read(self, np.ascontiguousarray(batch).reshape(-1), len(batch))

    def scatter(self, values: Reals, batch: Reals) -> None:
        values = np.broadcast_to(values, (len(batch), *self.shape))
        if not self.guards and self._injective:
            width = batch.itemsize
            strides = [
                coefficient * width if length > 1 else 0
                for coefficient, length in zip(self.coefficients, self.shape, strict=True)
            ]
            for row, part in zip(batch, values, strict=True):
                target = as_strided(row[self.offset :], self.shape, strides)
                target += part
            return
        positions = np.broadcast_to(
            self.offset + affine(self.coefficients, self.shape), self.shape
        ).reshape(-1)
        flat = values.reshape(len(batch), -1)
        if self.guards:
            valid = np.broadcast_to(held(self.guards, self.shape), self.shape).reshape(-1)
            chosen = np.flatnonzero(valid)
            positions, flat = positions[chosen], flat[:, chosen]
        _accumulate(positions, flat, batch)

    @property
    def _injective(self) -> bool:
        reach = 0
        pairs = zip(self.coefficients, self.shape, strict=True)
        for stride, length in sorted((abs(c), n) for c, n in pairs if n > 1):
            if stride <= reach:
                return False
            reach += stride * (length - 1)
        return True


@dataclass(frozen=True)
class Selected:
    """A place whose positions depend on the values of the run."""

    tensor: int
    positions: NDArray[np.int64]

    @property
    def shape(self) -> Lengths:
        return self.positions.shape

    def gather(self, batch: Reals) -> Reals:
        values: Reals = batch[:, self.positions.reshape(-1)].reshape(-1, *self.shape)
        return values

    def scatter(self, values: Reals, batch: Reals) -> None:
        values = np.broadcast_to(values, (len(batch), *self.shape))
        _accumulate(self.positions.reshape(-1), values.reshape(len(batch), -1), batch)


def read(place: Affine, flat: NDArray[Any], lead: int | None = None) -> NDArray[Any]:
    """Elements of a flat array, or of each of `lead` flat arrays behind each other, at a place.

    Zero where a guard fails. Without guards it is a view, not to be written to.
    """
    size = flat.size if lead is None else flat.size // lead
    before = () if lead is None else (lead,)
    if not place.guards:
        width = flat.itemsize
        strides = [
            coefficient * width if length > 1 else 0
            for coefficient, length in zip(place.coefficients, place.shape, strict=True)
        ]
        shape = (*before, *place.shape)
        outer = [size * width for _ in before]
        return as_strided(flat[place.offset :], shape, [*outer, *strides], writeable=False)
    at = np.broadcast_to(place.offset + affine(place.coefficients, place.shape), place.shape)
    valid = np.broadcast_to(held(place.guards, place.shape), place.shape)
    values = flat.reshape(*before, size)[..., np.where(valid, at, 0)]
    values[..., ~valid] = 0
    return values


def positions(access: Access, index: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Flat positions of an access at given loop indices (one array per axis)."""
    total = np.full((1,) * max((part.ndim for part in index), default=0), access.offset, np.int64)
    for coefficient, part in zip(access.coefficients, index, strict=True):
        total = total + coefficient * part
    return total


def _accumulate(positions: NDArray[np.int64], values: Reals, batch: Reals) -> None:
    size = batch.shape[1]
    for row, part in zip(batch, values, strict=True):
        row += np.bincount(positions, weights=part, minlength=size)


def _matters(access: Access, axis: int) -> bool:
    return access.coefficients[axis] != 0 or any(
        guard.coefficients[axis] != 0 for guard in access.guards
    )


def elements(shape: Lengths) -> int:
    """Elements of a shape."""
    return math.prod(shape)
