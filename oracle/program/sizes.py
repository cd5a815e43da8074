"""What a program costs, counted from its instructions: work, bytes, and which steps round."""

from __future__ import annotations

from typing import Final

from oracle.program.instruction import Instruction, Program
from oracle.program.opcode import Opcode

_PRODUCTS: Final = frozenset({Opcode.DOT, Opcode.INTEGER_DOT, Opcode.QUANTIZED_DOT})
_SUMS: Final = frozenset({Opcode.DOT, Opcode.SUM, Opcode.MEAN})
_FUNCTIONS: Final = frozenset(
    {Opcode.EXP, Opcode.LOG, Opcode.ERF, Opcode.TANH, Opcode.SIGMOID, Opcode.SOFTPLUS}
)


def multiply_adds(program: Program) -> int:
    """Products that one row takes."""
    return sum(step.size * step.taps for step in program.instructions if step.opcode in _PRODUCTS)


def constant_bytes(program: Program) -> int:
    return sum(info.byte_count for info in program.constants)


def inexact_instructions(program: Program) -> tuple[Instruction, ...]:
    """The steps whose result is judged with a tolerance: floating sums and elementary functions."""
    return tuple(
        step
        for step in program.instructions
        if step.opcode in _FUNCTIONS
        or (step.opcode in _SUMS and program.tensors[step.output].element.is_float)
    )
