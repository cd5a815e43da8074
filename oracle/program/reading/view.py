"""Views: where each element of an ONNX tensor lies in the tensor that was committed.

A view is a shape, a stride per axis and an offset, counted in elements, exactly numpy's idea of
one; numpy itself moves the axes, on an array that is never dereferenced. Knows no instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from oracle.core.schema import ElementType
from oracle.program.instruction import Access, Guard, Space, TensorInfo

_ONE_BYTE = np.zeros(1, dtype=np.int8)


@dataclass(frozen=True, slots=True)
class Index:
    """An axis' index as a sum over loop axes: `offset + sum coefficient·loop[axis]`.

    Guarded, the tap counts only where the index lies within the axis.
    """

    terms: tuple[tuple[int, int], ...] = ()
    offset: int = 0
    guarded: bool = False


def loop(axis: int) -> Index:
    """The index of loop axis `axis` itself."""
    return Index(((axis, 1),))


@dataclass(frozen=True, slots=True)
class View:
    """Element i of the view lies at `offset + sum strides·i` of the tensor's committed order."""

    space: Space
    tensor: int
    element: ElementType
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    @classmethod
    def whole(cls, space: Space, number: int, info: TensorInfo) -> View:
        """All of a tensor, in its ONNX shape."""
        strides = [0] * len(info.shape)
        step = 1
        for axis in reversed(info.layout):
            strides[axis] = step
            step *= info.shape[axis]
        return cls(space, number, info.element, info.shape, tuple(strides))

    def moved(self, operation: Callable[[NDArray[Any]], NDArray[Any]]) -> View | None:
        """The view after a numpy view operation; None where numpy would have to copy.

        The operation sees an int8 array of this shape and strides, and must not read it.
        """
        base = as_strided(_ONE_BYTE, self.shape, self.strides, writeable=False)
        try:
            result = operation(base)
        except ValueError:
            return None
        first = result.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        return View(
            self.space, self.tensor, self.element, result.shape, result.strides, self.offset + first
        )

    def reshaped(self, shape: Sequence[int]) -> View | None:
        """The same elements in another shape, or None where that is no view."""
        return self.moved(lambda array: np.reshape(array, tuple(shape), copy=False))

    def transposed(self, axes: Sequence[int]) -> View:
        shape = tuple(self.shape[axis] for axis in axes)
        strides = tuple(self.strides[axis] for axis in axes)
        return View(self.space, self.tensor, self.element, shape, strides, self.offset)

    def broadcast(self, shape: Sequence[int]) -> View:
        """numpy's broadcasting. Raises ValueError where the shapes do not fit."""
        moved = self.moved(lambda array: np.broadcast_to(array, tuple(shape)))
        if moved is None:
            raise ValueError(f"{self.shape} does not broadcast to {tuple(shape)}")
        return moved

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie in row-major order without gaps, from the first one."""
        step = 1
        for length, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if length > 1 and stride != step:
                return False
            step *= length
        return self.offset == 0

    def access(self, indices: Sequence[Index], loops: int) -> Access:
        """The access at `indices` (one per axis of the view) in a nest of `loops` axes."""
        offset, coefficients, guards = self.offset, [0] * loops, []
        for index, length, stride in zip(indices, self.shape, self.strides, strict=True):
            offset += index.offset * stride
            row = [0] * loops
            for axis, coefficient in index.terms:
                row[axis] += coefficient
                coefficients[axis] += coefficient * stride
            if index.guarded:
                guards.append(Guard(index.offset, tuple(row), length))
        return Access(self.space, self.tensor, offset, tuple(coefficients), tuple(guards))
