"""One record of a program read back: the instruction, and what it says of its tensors.

The inverse of what `encoding` writes of a step, for whoever has a proof and not the program. Names
and shapes are not in a record; tensors come back flat.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.encoding import ELEMENT_NUMBERS
from oracle.program.instruction import Access, Guard, Instruction, Program, Space, TensorInfo
from oracle.program.opcode import Opcode

_ELEMENTS: Final = {number: element for element, number in ELEMENT_NUMBERS.items()}
_MOST_TENSORS: Final = 1 << 17
_MOST_AXES: Final = 64
_UNKNOWN: Final = TensorInfo("", ElementType.UINT8, (0,), (0,))


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """An instruction, in a program of nothing but the tensors that it names."""

    instruction: Instruction
    program: Program


def read_record(data: bytes, *, tier: Tier, leaf_bytes: int) -> ReadRecord:
    """Reads the record of a step. Raises ProgramError for anything else."""
    try:
        return _read(data, tier, leaf_bytes)
    except (ValueError, KeyError, IndexError, StopIteration, struct.error) as error:
        raise ProgramError(f"this is no record of a step: {error!r}") from error


def _read(data: bytes, tier: Tier, leaf_bytes: int) -> ReadRecord:
    words = iter(struct.unpack(f">{len(data) // 4}I", data))
    spaces: dict[Space, dict[int, TensorInfo]] = {Space.TRACE: {}, Space.CONSTANT: {}}
    opcode = Opcode(next(words))
    output, element, _first = next(words), _ELEMENTS[next(words)], next(words)
    domain, reduction = _lengths(words), _lengths(words)
    axes = len(domain) + len(reduction)
    operands = []
    for _ in range(next(words)):
        space = Space(next(words))
        tensor, kind, _first, size = next(words), _ELEMENTS[next(words)], next(words), next(words)
        offset, *coefficients = _signed(words, 1 + axes)
        guards = []
        for _ in range(next(words)):
            start, *steps = _signed(words, 1 + axes)
            guards.append(Guard(start, tuple(steps), *_signed(words, 1)))
        operands.append(Access(space, tensor, offset, tuple(coefficients), tuple(guards)))
        spaces[space][tensor] = _flat(kind, size)
    attributes = tuple(next(words) for _ in range(next(words)))
    spaces[Space.TRACE].setdefault(output, _flat(element, math.prod(domain)))
    step = Instruction(opcode, output, domain, reduction, tuple(operands), attributes)
    program = Program(
        tier=tier,
        leaf_bytes=leaf_bytes,
        source_sha256=bytes(32),
        tensors=_table(spaces[Space.TRACE]),
        constants=_table(spaces[Space.CONSTANT]),
        constant_values=(),
        instructions=(step,),
        inputs=(),
        outputs=(),
    )
    return ReadRecord(step, program)


def _lengths(words: Iterator[int]) -> tuple[int, ...]:
    count = next(words)
    if count > _MOST_AXES:
        raise ValueError(f"{count} axes")
    return tuple(next(words) for _ in range(count))


def _signed(words: Iterator[int], count: int) -> tuple[int, ...]:
    found = (next(words) for _ in range(count))
    return tuple(one - (1 << 32) if one >> 31 else one for one in found)


def _flat(element: ElementType, size: int) -> TensorInfo:
    return TensorInfo("", element, (size,), (0,))


def _table(found: dict[int, TensorInfo]) -> tuple[TensorInfo, ...]:
    """By number; those that the record does not name are unknown."""
    count = max(found, default=-1) + 1
    if count > _MOST_TENSORS:
        raise ValueError(f"a tensor {count - 1}")
    return tuple(found.get(number, _UNKNOWN) for number in range(count))
