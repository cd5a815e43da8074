"""Which elements an output element is judged from: accesses and guards resolved to positions.

Says how many operands an operation has, and which are read at every tap. Knows nothing of what is
done with the elements; the data-dependent reads of GATHER and TREE are in `lookup`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from oracle.program.instruction import Access, Instruction
from oracle.program.opcode import Opcode


@dataclass(frozen=True, slots=True)
class Signature:
    """How many operands and attributes an operation has.

    The first `per_tap` operands are read at every tap, the others once, at reduction index 0.
    """

    least: int
    most: int
    per_tap: int = 0
    attributes: int = 0


_ONE: Final = Signature(1, 1)
_TWO: Final = Signature(2, 2)
_THREE: Final = Signature(3, 3)
_OVER_TAPS: Final = Signature(1, 1, per_tap=1)
_CHOICE: Final = Signature(1, 1, per_tap=1, attributes=1)

SIGNATURES: Final[Mapping[Opcode, Signature]] = MappingProxyType(
    {
        Opcode.DOT: Signature(2, 3, per_tap=2),
        Opcode.SUM: _OVER_TAPS,
        Opcode.MEAN: _CHOICE,
        Opcode.ADD: _TWO,
        Opcode.SUB: _TWO,
        Opcode.MUL: _TWO,
        Opcode.DIV: _TWO,
        Opcode.SQRT: _ONE,
        Opcode.EXP: _ONE,
        Opcode.LOG: _ONE,
        Opcode.ERF: _ONE,
        Opcode.TANH: _ONE,
        Opcode.SIGMOID: _ONE,
        Opcode.SOFTPLUS: _ONE,
        Opcode.COPY: Signature(1, 1 << 16),
        Opcode.MAX: _TWO,
        Opcode.MIN: _TWO,
        Opcode.REDUCE_MAX: _OVER_TAPS,
        Opcode.REDUCE_MIN: _OVER_TAPS,
        Opcode.ARGMAX: _CHOICE,
        Opcode.ARGMIN: _CHOICE,
        Opcode.WHERE: _THREE,
        Opcode.GATHER: Signature(2, 2, attributes=2),
        Opcode.TOPK_VALUE: _CHOICE,
        Opcode.TOPK_INDEX: _CHOICE,
        Opcode.CAST: _ONE,
        Opcode.NEG: _ONE,
        Opcode.ABS: _ONE,
        Opcode.SIGN: _ONE,
        Opcode.FLOOR: _ONE,
        Opcode.CEIL: _ONE,
        Opcode.ROUND: _ONE,
        Opcode.LESS: _TWO,
        Opcode.LESS_EQUAL: _TWO,
        Opcode.EQUAL: _TWO,
        Opcode.NOT: _ONE,
        Opcode.AND: _TWO,
        Opcode.OR: _TWO,
        Opcode.XOR: _TWO,
        Opcode.TREE: Signature(4, 4, attributes=2),
        Opcode.QUANTIZE: _THREE,
        Opcode.DEQUANTIZE: _THREE,
        Opcode.INTEGER_DOT: Signature(4, 4, per_tap=2),
        Opcode.QUANTIZED_DOT: Signature(8, 9, per_tap=2),
    }
)

PER_TAP: Final[Mapping[Opcode, int]] = MappingProxyType(
    {opcode: found.per_tap for opcode, found in SIGNATURES.items() if found.per_tap}
)
"""How many leading operands are read at every tap, of the operations that have such."""


def is_well_formed(instruction: Instruction) -> bool:
    """Whether the instruction has as many operands, attributes and axes as its operation needs."""
    signature = SIGNATURES[instruction.opcode]
    return (
        signature.least <= len(instruction.operands) <= signature.most
        and len(instruction.attributes) >= signature.attributes
        and (instruction.opcode not in _RANKED or len(instruction.domain) > 0)
    )


_RANKED: Final = frozenset({Opcode.TOPK_VALUE, Opcode.TOPK_INDEX, Opcode.TREE})


def domain_index(instruction: Instruction, position: int) -> tuple[int, ...]:
    """The loop indices of an output element: row-major, the last axis fastest."""
    index: list[int] = []
    for length in reversed(instruction.domain):
        position, rest = divmod(position, length)
        index.append(rest)
    return tuple(reversed(index))


def resolve(access: Access, index: Sequence[int]) -> int | None:
    """The flat position at loop indices (domain, then reduction); None where a guard fails."""
    for guard in access.guards:
        if not 0 <= _affine(guard.offset, guard.coefficients, index) < guard.limit:
            return None
    return _affine(access.offset, access.coefficients, index)


Places = tuple[int | None, ...]
"""One position per tap in row-major order of the reduction, or one; None where nothing is read."""


def places_read(instruction: Instruction, index: tuple[int, ...]) -> tuple[Places, ...]:
    """Where each operand is read for the output element at domain indices `index`.

    A tap at which a guard of one operand fails is read of none, and COPY reads one operand only.
    """
    per_tap = SIGNATURES[instruction.opcode].per_tap
    taps = [_positions(instruction, number, index) for number in range(per_tap)]
    nothing = (None,) * per_tap
    counting = (one if None not in one else nothing for one in zip(*taps, strict=True))
    found: list[Places] = list(zip(*counting, strict=True)) or [()] * per_tap
    is_copied = False
    for number in range(per_tap, len(instruction.operands)):
        place = None if is_copied else _positions(instruction, number, index)[0]
        is_copied |= instruction.opcode is Opcode.COPY and place is not None
        found.append((place,))
    return tuple(found)


def _positions(instruction: Instruction, number: int, index: tuple[int, ...]) -> Places:
    """Where operand `number` lies, whatever becomes of the others."""
    access = instruction.operands[number]
    if number >= SIGNATURES[instruction.opcode].per_tap:
        return (resolve(access, (*index, *(0 for _ in instruction.reduction))),)
    axes = (range(length) for length in instruction.reduction)
    return tuple(resolve(access, (*index, *tap)) for tap in itertools.product(*axes))


def _affine(offset: int, coefficients: Sequence[int], index: Sequence[int]) -> int:
    return offset + sum(c * i for c, i in zip(coefficients, index, strict=True))
