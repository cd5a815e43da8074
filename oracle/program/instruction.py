"""The program as the court reads it: tensors are flat, instructions are affine loop nests.

Every instruction computes each element of one output tensor from elements of its operands. Where
those lie is an affine function of the loop indices, so reshapes, transposes, slices, broadcasts
and convolution windows cost nothing: they are coefficients. Knows nothing of ONNX nodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.program.opcode import Opcode


class Space(IntEnum):
    """Where a tensor lives: committed anew by every run, or fixed in the program."""

    TRACE = 0
    CONSTANT = 1


@dataclass(frozen=True, slots=True)
class Guard:
    """A tap counts only if 0 <= offset + sum coefficient·index < limit (padding lies outside).

    One coefficient per domain axis, then one per reduction axis.
    """

    offset: int
    coefficients: tuple[int, ...]
    limit: int


@dataclass(frozen=True, slots=True)
class Access:
    """An operand: flat position offset + sum coefficient·index in a tensor's committed order.

    One coefficient per domain axis, then one per reduction axis; 0 broadcasts. A tap that counts
    (all guards hold) always lies within the tensor.
    """

    space: Space
    tensor: int
    offset: int
    coefficients: tuple[int, ...]
    guards: tuple[Guard, ...] = ()


@dataclass(frozen=True, slots=True)
class Instruction:
    """One step: `output` is the number of the trace tensor it fills, in row-major `domain` order.

    `domain` and `reduction` are the lengths of the loop axes, outermost first; both may be empty.
    The committed order of the output is the row-major order of `domain`. `name` is for people and
    is not part of the program root.
    """

    opcode: Opcode
    output: int
    domain: tuple[int, ...]
    reduction: tuple[int, ...]
    operands: tuple[Access, ...]
    attributes: tuple[int, ...] = ()
    name: str = ""

    @property
    def size(self) -> int:
        """Elements of the output."""
        return math.prod(self.domain)

    @property
    def taps(self) -> int:
        """Length of the reduction; 1 where there is none."""
        return math.prod(self.reduction)


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A committed tensor of one row, or a constant.

    `shape` is its ONNX shape (axes of length 1 included); `layout` the order of its axes in which
    its elements are committed (a permutation; the identity is row-major). `name` is its name in
    the ONNX graph.
    """

    name: str
    element: ElementType
    shape: tuple[int, ...]
    layout: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def byte_count(self) -> int:
        return self.size * self.element.item_size

    def flatten(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array of `shape` as its elements in committed order, little-endian, contiguous."""
        moved = array.reshape(self.shape).transpose(self.layout)
        return np.ascontiguousarray(moved, dtype=self.element.dtype).reshape(-1)

    def unflatten(self, flat: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `flatten`: a view of `shape`."""
        moved = flat.reshape([self.shape[axis] for axis in self.layout])
        return moved.transpose(np.argsort(self.layout)) if self.layout else moved


@dataclass(frozen=True)
class Program:
    """A model as the court judges it: one row in, one row out. A batch is many runs.

    `tensors` are the committed tensors in commitment order: the inputs first, then one per
    instruction. `inputs` and `outputs` are numbers of tensors, in the schema's order; outputs are
    committed in row-major order. `constants` and `constant_values` go together; the values are
    flat, in committed order, little-endian and not writable. `max_rows` is the schema's: an input
    of more rows is malformed.
    """

    tier: Tier
    leaf_bytes: int
    source_sha256: bytes
    tensors: tuple[TensorInfo, ...]
    constants: tuple[TensorInfo, ...]
    constant_values: tuple[NDArray[Any], ...]
    instructions: tuple[Instruction, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    max_rows: int = 1

    @cached_property
    def producer(self) -> Mapping[int, int]:
        """Instruction number by the tensor it fills."""
        return {step.output: number for number, step in enumerate(self.instructions)}

    @cached_property
    def first_leaves(self) -> tuple[int, ...]:
        """Of each committed tensor, the number of its first leaf within a row's trace."""
        return _first_leaves(self.tensors, self.leaf_bytes)[:-1]

    @cached_property
    def row_leaf_count(self) -> int:
        """Leaves of one row's trace."""
        return _first_leaves(self.tensors, self.leaf_bytes)[-1]

    @cached_property
    def constant_first_leaves(self) -> tuple[int, ...]:
        return _first_leaves(self.constants, self.leaf_bytes)[:-1]

    @cached_property
    def constant_leaf_count(self) -> int:
        return _first_leaves(self.constants, self.leaf_bytes)[-1]

    @cached_property
    def row_trace_bytes(self) -> int:
        """Bytes of one row's trace."""
        return sum(tensor.byte_count for tensor in self.tensors)

    def info(self, access: Access) -> TensorInfo:
        """The tensor that an operand reads."""
        table = self.tensors if access.space is Space.TRACE else self.constants
        return table[access.tensor]


def _first_leaves(tensors: Sequence[TensorInfo], leaf_bytes: int) -> tuple[int, ...]:
    """Running totals of leaves; every tensor begins a new leaf. One longer than `tensors`."""
    totals = [0]
    for tensor in tensors:
        totals.append(totals[-1] + -(-tensor.byte_count // leaf_bytes))
    return tuple(totals)


@dataclass(frozen=True)
class Trace:
    """What a run left behind: `rows[r][t]` is tensor t of row r, flat, in committed order."""

    rows: tuple[tuple[NDArray[Any], ...], ...]
