"""What no program may have, whoever wrote it: what a tier or the court does not admit.

Responsible for programs as they are read, so that a file from a stranger is held to the same as
what was compiled here. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.instruction import Instruction, Program, Space
from oracle.program.leaf_size import LARGE_LEAF_BYTES
from oracle.program.opcode import Opcode
from oracle.program.ranges import Range, integer_ranges, operand_range
from oracle.program.sizes import inexact_instructions

_NAMED: Final = 5
"""Tensors or steps named in an error."""


def check_program(program: Program) -> None:
    """Raises ProgramError for what a tier or the court does not admit."""
    if program.leaf_bytes > LARGE_LEAF_BYTES:
        # Proofs show whole leaves: in large ones nothing could be proved on a chain.
        raise ProgramError(
            f"leaves of {program.leaf_bytes} bytes; at most {LARGE_LEAF_BYTES} can be shown",
            hint="compile the model again from its source",
        )
    if program.tier is Tier.EXACT and (steps := inexact_instructions(program)):
        _refuse(
            "the exact tier has no room for ",
            [f"{step.opcode.name} ({step.name})" for step in steps],
            "compile it in the rounded tier",
        )
    _refuse(
        "weights that are NaN or infinite: ",
        sorted(set(_infinite_weights(program))),
        "what they touch cannot be judged; train or export the model again",
    )
    # Every other rule makes 0 or 1, so that whoever first commits another byte is convicted.
    _refuse(
        "stored bools that are neither 0 nor 1: ",
        list(_other_bools(program)),
        "export the model again: ONNX has no other bools",
    )
    _refuse(
        "float64 tensors cannot be judged: ",
        list(_doubles(program)),
        "export the model in float32",
    )
    _refuse(
        "an input could make the run fail, and leave no trace to defend: ",
        [f"GATHER ({step.name})" for step in unsafe_gathers(program)],
        "compile the model again from its source",
    )


def unsafe_gathers(program: Program) -> tuple[Instruction, ...]:
    """Those whose index can lie outside of the axis for some input: onnxruntime refuses it.

    Nothing else in the dialect can fail: its shapes, counts and divisors of integers are stored.
    """
    steps = [step for step in program.instructions if step.opcode is Opcode.GATHER]
    if not steps:
        return ()
    tensors = integer_ranges(program)
    return tuple(step for step in steps if not _safe(program, step, tensors))


def _safe(program: Program, step: Instruction, tensors: Sequence[Range | None]) -> bool:
    length = step.attributes[1]
    index = operand_range(program, tensors, step.operands[1])
    return index is not None and index.within(Range(-length, length - 1))


def _infinite_weights(program: Program) -> Iterator[str]:
    for step in program.instructions:
        if step.opcode in (Opcode.DOT, Opcode.SUM, Opcode.MEAN):
            for access in step.operands:
                if (
                    access.space is Space.CONSTANT
                    and not np.isfinite(program.constant_values[access.tensor]).all()
                ):
                    yield program.constants[access.tensor].name


def _other_bools(program: Program) -> Iterator[str]:
    for info, values in zip(program.constants, program.constant_values, strict=True):
        if info.element is ElementType.BOOL and (values.view(np.uint8) > 1).any():
            yield info.name
    for step in program.instructions:
        if (
            step.opcode is Opcode.COPY
            and program.tensors[step.output].element is ElementType.BOOL
            and any(fill not in (0, 1) for fill in step.attributes)
        ):
            yield step.name


def _doubles(program: Program) -> Iterator[str]:
    for number, info in enumerate(program.tensors):
        if info.element is ElementType.FLOAT64 and number not in program.inputs:
            yield info.name
    for info in program.constants:
        if info.element is ElementType.FLOAT64:
            yield info.name


def _refuse(fault: str, names: Sequence[str], hint: str) -> None:
    if names:
        raise ProgramError(fault + ", ".join(names[:_NAMED]), hint=hint)
