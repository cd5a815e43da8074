"""Runs a program in numpy: a reference for honest traces that depends on no inference library.

Sums are formed in float64 and rounded once, elementary functions are float64 ones rounded, so that
the result is within the bounds of every tier. Not made for speed beyond what the screen has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from oracle.court.check_structure import checked_tensor, grouped_rows
from oracle.court.operands import Array
from oracle.court.screen import values
from oracle.court.screen_matrix import Memory
from oracle.court.screen_nest import bind
from oracle.errors import TensorError
from oracle.program.instruction import Program, Trace

_GROUP_BYTES: Final = 64 << 20


def evaluate(
    program: Program, constants: Sequence[Array] | None, inputs: Sequence[Sequence[Array]]
) -> Trace:
    """The trace of a run: `inputs[r][i]` is input i of row r, flat, in committed order.

    `constants` replace the program's own (None keeps those). Raises `TensorError` for constants or
    inputs of the wrong number, size or element type.
    """
    if constants is not None:
        program = _with_constants(program, constants)
    memory = Memory()
    rows: list[tuple[Array, ...]] = []
    for first, last in grouped_rows(len(inputs), program.row_trace_bytes, _GROUP_BYTES):
        rows.extend(_group(program, inputs[first:last], first, memory))
    return Trace(tuple(rows))


def _with_constants(program: Program, constants: Sequence[Array]) -> Program:
    if len(constants) != len(program.constants):
        raise TensorError(f"{len(constants)} constants instead of {len(program.constants)}")
    flat = tuple(
        checked_tensor(value, info, "constant")
        for value, info in zip(constants, program.constants, strict=True)
    )
    return replace(program, constant_values=flat)


def _group(
    program: Program, inputs: Sequence[Sequence[Array]], first: int, memory: Memory
) -> list[tuple[Array, ...]]:
    count = len(inputs)
    tensors: list[Array] = [np.empty(0)] * len(program.tensors)
    for number, row in enumerate(inputs):
        if len(row) != len(program.inputs):
            raise TensorError(
                f"row {first + number}: {len(row)} inputs instead of {len(program.inputs)}"
            )
    for place, tensor in enumerate(program.inputs):
        info = program.tensors[tensor]
        flat = [
            checked_tensor(row[place], info, f"row {first + number}")
            for number, row in enumerate(inputs)
        ]
        tensors[tensor] = np.concatenate(flat)
    for step in program.instructions:
        nest = bind(program, step, count, tensors)
        tensors[step.output] = np.ascontiguousarray(values(nest, memory)).reshape(-1)
    split = [whole.reshape(count, -1) for whole in tensors]
    return [tuple(whole[row] for whole in split) for row in range(count)]
