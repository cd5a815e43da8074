"""Reverse: the derivative of chosen output elements by every element of a run.

One pass through the instructions from last to first carries the adjoints of a whole batch of
output elements; a tensor's adjoints are dropped as soon as its own instruction has passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.certificate.frame import Frame
from oracle.certificate.place import Affine, Reals, elements
from oracle.certificate.rules import RULES
from oracle.program.instruction import Program, Space

Target = tuple[int, int]
"""An output element: (tensor, flat position)."""

_COPIES: Final = 4
"""Arrays as large as the widest operand that a contraction may hold."""


def gradients(
    program: Program,
    row: Sequence[NDArray[Any]],
    targets: Sequence[Target],
    wide: Sequence[Reals] | None = None,
) -> Iterator[tuple[int, Reals]]:
    """Of each instruction, last first: its number and d target / d its output [target, element].

    Instructions that no target depends on are left out; program inputs are not visited. With the
    reach of every tensor in `wide`, choices pass on all candidates within reach (see `frame`).
    """
    held: dict[int, Reals] = {}
    for index, (tensor, position) in enumerate(targets):
        _adjoints(program, held, tensor, len(targets))[index, position] += 1.0
    for number in range(len(program.instructions) - 1, -1, -1):
        step = program.instructions[number]
        adjoints = held.pop(step.output, None)
        if adjoints is None:
            continue
        yield number, adjoints
        frame = Frame(program, step, row, wide or (), wide=wide is not None)
        for term in RULES[step.opcode].terms(frame):
            if term.place.tensor in program.producer:
                into = _adjoints(program, held, term.place.tensor, len(targets))
                term.backward(adjoints, into)


def targets_at_once(program: Program, memory_bytes: int) -> int:
    """How many output elements to take in one pass, so that it stays within the memory."""
    widest = 1
    for step in program.instructions:
        for access in step.operands:
            if access.space is Space.TRACE:
                shape = Affine.of(access, step.domain + step.reduction).shape
                widest = max(widest, elements(shape))
    largest = max((tensor.size for tensor in program.tensors), default=1)
    return max(1, memory_bytes // (8 * _COPIES * (widest + largest)))


def _adjoints(program: Program, held: dict[int, Reals], tensor: int, count: int) -> Reals:
    if tensor not in held:
        held[tensor] = np.zeros((count, program.tensors[tensor].size))
    return held[tensor]
