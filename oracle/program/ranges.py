"""Which integers a committed tensor can hold in an honest run, whatever the input.

Responsible for bounds that follow from the instructions alone. They need not be tight: where
nothing is known, a tensor holds what its element type can.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from oracle.core.schema import ElementType
from oracle.program.instruction import Access, Instruction, Program, Space
from oracle.program.opcode import Opcode


@dataclass(frozen=True, slots=True)
class Range:
    """All integers from `low` to `high`."""

    low: int
    high: int

    def within(self, other: Range) -> bool:
        return other.low <= self.low and self.high <= other.high


def integer_ranges(program: Program) -> tuple[Range | None, ...]:
    """One for each committed tensor; None where it holds floats."""
    found = [type_range(info.element) for info in program.tensors]
    for step in program.instructions:
        whole = found[step.output]
        if whole is None:
            continue
        operands = [operand_range(program, found, access) for access in step.operands]
        known = _result(_chosen(program, step), step, operands)
        # What wraps around may be anything.
        found[step.output] = known if known is not None and known.within(whole) else whole
    return tuple(found)


def operand_range(
    program: Program, tensors: Sequence[Range | None], access: Access
) -> Range | None:
    """What an operand can be, given the ranges of the committed tensors."""
    if access.space is Space.TRACE:
        return tensors[access.tensor]
    values = program.constant_values[access.tensor]
    if values.dtype.kind == "f":
        return None
    return Range(int(values.min()), int(values.max()))


def type_range(element: ElementType) -> Range | None:
    if element.is_float:
        return None
    if element is ElementType.BOOL:
        return Range(0, 1)
    limits = np.iinfo(element.dtype)
    return Range(int(limits.min), int(limits.max))


def _chosen(program: Program, step: Instruction) -> Opcode:
    """MAX or MIN for `p < q ? q : p` and `p < q ? p : q`; what the step is for all else."""
    if step.opcode is not Opcode.WHERE or step.operands[0].space is not Space.TRACE:
        return step.opcode
    condition, *branches = step.operands
    number = program.producer.get(condition.tensor)
    compared = None if number is None else program.instructions[number]
    if compared is None or compared.opcode is not Opcode.LESS:
        return step.opcode
    strides = [math.prod(compared.domain[axis + 1 :]) for axis in range(len(compared.domain))]
    if condition.offset or sorted(condition.coefficients) != sorted(strides):
        return step.opcode
    # What is compared, by the axes of the choice.
    order = [strides.index(coefficient) for coefficient in condition.coefficients]
    first, second = (
        replace(access, coefficients=tuple(access.coefficients[axis] for axis in order))
        for access in compared.operands
    )
    if any(access.guards for access in (*step.operands, first, second)):
        return step.opcode
    return {(second, first): Opcode.MAX, (first, second): Opcode.MIN}.get(
        (branches[0], branches[1]), step.opcode
    )


def _result(opcode: Opcode, step: Instruction, operands: Sequence[Range | None]) -> Range | None:
    """What a step makes of its operands, before it is cut to the element type."""
    if step.opcode in (Opcode.ARGMAX, Opcode.ARGMIN, Opcode.TOPK_INDEX):
        return Range(0, step.taps - 1)
    moved = list(operands[1:] if step.opcode is Opcode.WHERE else operands)
    if step.opcode is Opcode.GATHER:
        moved = moved[:1]
    if step.opcode is Opcode.COPY and all(access.guards for access in step.operands):
        moved += [Range(fill, fill) for fill in step.attributes]
    known = [part for part in moved if part is not None]
    if len(known) < len(moved) or not known:
        return None
    lows, highs = [part.low for part in known], [part.high for part in known]
    match opcode:
        case (
            Opcode.COPY | Opcode.WHERE | Opcode.GATHER | Opcode.CAST
            | Opcode.REDUCE_MAX | Opcode.REDUCE_MIN | Opcode.TOPK_VALUE
        ):  # fmt: skip
            return Range(min(lows), max(highs))
        case Opcode.MAX:
            return Range(max(lows), max(highs))
        case Opcode.MIN:
            return Range(min(lows), min(highs))
        case Opcode.ADD:
            return Range(sum(lows), sum(highs))
        case Opcode.SUB:
            return Range(lows[0] - highs[1], highs[0] - lows[1])
        case Opcode.MUL:
            return _around(a * b for a in (lows[0], highs[0]) for b in (lows[1], highs[1]))
        case _:
            return None


def _around(numbers: Iterable[int]) -> Range:
    every = list(numbers)
    return Range(min(every), max(every))
