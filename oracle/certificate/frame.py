"""One instruction of one run, as the derivative and the bounds see it: float64 arrays.

Everything is shaped like the loop nest, with length 1 along axes that do not matter. `reach` is
how far an element may lie from the honest one in a run that the court accepts (see `reach.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.certificate.place import Affine, Lengths, Reals, read
from oracle.certificate.term import Term
from oracle.core.schema import ElementType
from oracle.court.operands import held
from oracle.program.instruction import Instruction, Program, Space


@dataclass(frozen=True)
class Frame:
    """`values` and `reaches` are the row's tensors, flat; later ones may be missing (empty)."""

    program: Program
    step: Instruction
    values: Sequence[NDArray[Any]]
    reaches: Sequence[Reals]
    wide: bool = False
    """Whether a choice passes on the derivatives of all candidates within reach of each other,
    instead of that of the chosen one with a remainder."""

    @cached_property
    def lengths(self) -> Lengths:
        """Domain, then reduction."""
        return self.step.domain + self.step.reduction

    @cached_property
    def outer(self) -> Lengths:
        """The shape of the output in the nest: the reduction axes have length 1."""
        return self.step.domain + (1,) * len(self.step.reduction)

    @cached_property
    def taps(self) -> tuple[int, ...]:
        """The reduction axes."""
        return tuple(range(len(self.step.domain), len(self.lengths)))

    @cached_property
    def output(self) -> Reals:
        """The committed output."""
        return self.values[self.step.output].astype(np.float64).reshape(self.outer)

    @property
    def output_type(self) -> ElementType:
        return self.program.tensors[self.step.output].element

    def type(self, number: int) -> ElementType:
        """The element type of an operand."""
        return self.program.info(self.step.operands[number]).element

    def in_trace(self, number: int) -> bool:
        return self.step.operands[number].space is Space.TRACE

    def place(self, number: int, *, per_tap: bool = True) -> Affine:
        """Where an operand lies; at the first tap only, unless `per_tap`."""
        return Affine.of(self.step.operands[number], self.lengths if per_tap else self.outer)

    def raw(self, number: int, *, per_tap: bool = True) -> NDArray[Any]:
        """An operand's elements; zero where a guard fails."""
        access = self.step.operands[number]
        table = self.values if self.in_trace(number) else self.program.constant_values
        return read(self.place(number, per_tap=per_tap), table[access.tensor])

    def read(self, number: int, *, per_tap: bool = True) -> Reals:
        """An operand's elements as float64; zero where a guard fails."""
        return self.raw(number, per_tap=per_tap).astype(np.float64)

    def reach(self, number: int, *, per_tap: bool = True) -> Reals:
        """How far an operand's elements may move; zero where a guard fails."""
        if not self.in_trace(number):
            return np.zeros((1,) * len(self.lengths))
        flat = self.reaches[self.step.operands[number].tensor]
        return read(self.place(number, per_tap=per_tap), flat)

    def held(self, number: int) -> NDArray[np.bool_]:
        """Where the guards of an operand hold."""
        place = self.place(number)
        valid: NDArray[np.bool_] = held(place.guards, place.shape)
        return valid

    def term(
        self, number: int, coefficient: Reals | float, *, per_tap: bool = True
    ) -> tuple[Term, ...]:
        """A term for an operand; none for a constant, which does not move."""
        if not self.in_trace(number):
            return ()
        array = np.asarray(coefficient, dtype=np.float64)
        array = array.reshape((1,) * (len(self.lengths) - array.ndim) + array.shape)
        lengths = self.lengths if per_tap else self.outer
        place = self.place(number, per_tap=per_tap)
        return (Term(place, array, lengths, len(self.step.domain)),)
