"""SQRT, NEG, ABS, SIGN, FLOOR, CEIL, ROUND and NOT: one operand, one possible result.

The square root is correctly rounded; the others are exact. Knows no tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from oracle.core.schema import ElementType
from oracle.court.binary32 import BINARY32, round_half_even
from oracle.court.case import Bits, Case
from oracle.court.number import FORMATS, INTEGERS, integer_value, is_nan, width
from oracle.court.rules import singles
from oracle.court.verdict import Verdict, equal, undefined
from oracle.program.opcode import Opcode

_ONE: Final = 0x3F800000


def unary(case: Case) -> Verdict:
    """The operations that keep the element type."""
    kind = case.output_type
    operands = singles(case, (kind,))
    if isinstance(operands, str):
        return undefined(kind, case.claimed, operands)
    result = _apply(case.opcode, kind, operands[0])
    if isinstance(result, str):
        return undefined(kind, case.claimed, result)
    return equal(kind, case.claimed, result)


RULES: Final[Mapping[Opcode, Callable[[Case], Verdict]]] = MappingProxyType(
    dict.fromkeys(
        (
            Opcode.SQRT,
            Opcode.NEG,
            Opcode.ABS,
            Opcode.SIGN,
            Opcode.FLOOR,
            Opcode.CEIL,
            Opcode.ROUND,
            Opcode.NOT,
        ),
        unary,
    )
)


def _apply(opcode: Opcode, kind: ElementType, bits: Bits) -> Bits | str:
    """The one result, or why there is none."""
    if kind is ElementType.BOOL:
        return int(bits == 0) if opcode is Opcode.NOT else "no rule for bool"
    if kind in INTEGERS:
        return _integer(opcode, kind, integer_value(kind, bits))
    if opcode is Opcode.NEG:
        return bits ^ FORMATS[kind].sign_bit
    if opcode is Opcode.ABS:
        return FORMATS[kind].magnitude(bits)
    if kind is not ElementType.FLOAT32:
        return f"no rule for {kind.value}"
    if opcode is Opcode.SIGN and not is_nan(kind, bits):
        if BINARY32.is_zero(bits):
            return 0
        return _ONE | (bits & BINARY32.sign_bit)
    if not BINARY32.is_finite(bits):
        return "the operand is not finite"
    value = BINARY32.value(bits)
    match opcode:
        case Opcode.SQRT:
            return BINARY32.round_root(value) if value >= 0 else "the root of a negative number"
        case Opcode.FLOOR:
            whole = math.floor(value)
        case Opcode.CEIL:
            whole = math.ceil(value)
        case Opcode.ROUND:
            whole = round_half_even(value)
        case _:
            return f"no rule for {kind.value}"
    return BINARY32.round(Fraction(whole))


def _integer(opcode: Opcode, kind: ElementType, value: int) -> Bits | str:
    match opcode:
        case Opcode.NEG:
            result = -value
        case Opcode.ABS:
            result = abs(value)
        case Opcode.SIGN:
            result = (value > 0) - (value < 0)
        case _:
            return f"no rule for {kind.value}"
    return result & ((1 << width(kind)) - 1)
