"""The loop nest of an instruction over many rows, bound to its operands, and boxes of it.

A row axis is put in front of the domain, so that one array operation judges the same element of
many rows. Large nests are cut into boxes, so that no array outgrows the memory set for it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.operands import Array, Lengths, Operand, held
from oracle.court.taps import PER_TAP
from oracle.program.instruction import Access, Instruction, Program, Space

PART: Final = 1 << 17
"""Elements, times taps, of an array that is worked on: a few of them stay in a core's cache."""


@dataclass(frozen=True)
class Nest:
    """A box of an instruction's loop nest over several rows, with its operands bound."""

    tier: Tier
    step: Instruction
    output: ElementType
    domain: Lengths
    """The row axis, then the domain."""
    reduction: Lengths
    operands: tuple[Operand, ...]

    @property
    def size(self) -> int:
        return math.prod(self.domain)

    @property
    def taps(self) -> int:
        return math.prod(self.reduction)

    @property
    def reduction_axes(self) -> tuple[int, ...]:
        return tuple(range(len(self.domain), len(self.domain) + len(self.reduction)))

    def box(self, starts: Sequence[int], lengths: Lengths) -> Nest:
        """A part of the nest: `lengths` elements along each domain axis, from `starts`."""
        operands = tuple(operand.moved(starts) for operand in self.operands)
        return replace(self, domain=lengths, operands=operands)

    def read(self, number: int, padding: Any = 0) -> Array:
        """Operand `number` over domain and reduction."""
        return self.operands[number].read(self.domain + self.reduction, padding)

    def element(self, number: int) -> Array:
        """Operand `number` over the domain alone (at the first tap)."""
        once = (1,) * len(self.reduction)
        return self.operands[number].read(self.domain + once).reshape(self.domain)

    def valid(self, numbers: Sequence[int]) -> Array:
        """Where all guards of some operands hold, over domain and reduction.

        Of length 1 along axes that do not matter.
        """
        guards = [guard for number in numbers for guard in self.operands[number].guards]
        return held(guards, self.domain + self.reduction)

    def tap_count(self, numbers: Sequence[int]) -> Array:
        """How many taps count, over the domain; of length 1 along axes that do not matter."""
        valid = self.valid(numbers)
        axes = self.reduction_axes
        times = math.prod(
            length
            for axis, length in zip(axes, self.reduction, strict=True)
            if valid.shape[axis] == 1
        )
        count: Array = valid.sum(axis=axes, dtype=np.int64) * times if axes else valid * np.int64(1)
        return count


def bind(program: Program, step: Instruction, rows: int, tensors: Sequence[Array]) -> Nest:
    """The nest of an instruction over `rows` rows; `tensors[t]` holds tensor t of all of them.

    Operations that do not reduce read at reduction index 0, so they get no reduction axes.
    """
    reduction = step.reduction if step.opcode in PER_TAP else ()
    axes = len(step.domain) + len(reduction)
    return Nest(
        tier=program.tier,
        step=step,
        output=program.tensors[step.output].element,
        domain=(rows, *step.domain),
        reduction=reduction,
        operands=tuple(_bind(program, access, tensors, axes) for access in step.operands),
    )


def _bind(program: Program, access: Access, tensors: Sequence[Array], axes: int) -> Operand:
    info = program.info(access)
    constant = access.space is Space.CONSTANT
    guards = tuple(
        replace(guard, coefficients=(0, *guard.coefficients[:axes])) for guard in access.guards
    )
    return Operand(
        name=info.name,
        flat=program.constant_values[access.tensor] if constant else tensors[access.tensor],
        size=info.size,
        first_row=0,
        offset=access.offset,
        coefficients=(0 if constant else info.size, *access.coefficients[:axes]),
        guards=guards,
        constant=constant,
    )


def boxes(lengths: Lengths, most: int) -> Iterator[tuple[Lengths, Lengths]]:
    """Cuts a nest into boxes (starts, lengths) of at most `most` elements, in row-major order."""
    inner = 1
    axis = len(lengths)
    while axis and inner * lengths[axis - 1] <= most:
        axis -= 1
        inner *= lengths[axis]
    if axis == 0:
        yield (0,) * len(lengths), lengths
        return
    axis -= 1  # the axis that has to be cut; those outside it are counted through
    step = max(1, most // inner)
    tail = lengths[axis + 1 :]
    for outer in itertools.product(*(range(length) for length in lengths[:axis])):
        for start in range(0, lengths[axis], step):
            length = min(step, lengths[axis] - start)
            yield (*outer, start, *(0,) * len(tail)), (*(1,) * axis, length, *tail)


def fits(nest: Nest) -> bool:
    """Whether a nest need not be cut."""
    return nest.size * max(nest.taps, 1) <= PART


def parts(nest: Nest) -> Iterator[tuple[tuple[slice, ...], Nest]]:
    """The nest in boxes that fit in the cache, with their places in the domain."""
    for starts, lengths in boxes(nest.domain, max(1, PART // max(nest.taps, 1))):
        place = tuple(slice(s, s + n) for s, n in zip(starts, lengths, strict=True))
        yield place, nest.box(starts, lengths)
