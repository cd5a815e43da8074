"""ADD, SUB, MUL and DIV: one correctly rounded float32 operation, or integers modulo 2^bits.

IEEE 754 leaves one result, so the claim must be that result. Knows no tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from oracle.core.schema import ElementType
from oracle.court.binary32 import BINARY32
from oracle.court.case import Case
from oracle.court.number import INTEGERS, integer_range, integer_value, width
from oracle.court.rules import singles
from oracle.court.verdict import Verdict, equal, undefined
from oracle.program.opcode import Opcode


def arithmetic(case: Case) -> Verdict:
    """a + b, a - b, a · b, a / b."""
    kind = case.output_type
    operands = singles(case, (kind, kind))
    if isinstance(operands, str):
        return undefined(kind, case.claimed, operands)
    if kind in INTEGERS:
        return _integers(case, *(integer_value(kind, bits) for bits in operands))
    if kind is not ElementType.FLOAT32:
        return undefined(kind, case.claimed, f"no rule for type {kind.value}")
    if not all(map(BINARY32.is_finite, operands)):
        return undefined(kind, case.claimed, "an operand is not finite")
    a, b = (BINARY32.value(bits) for bits in operands)
    if case.opcode is Opcode.DIV and b == 0:
        return undefined(kind, case.claimed, "division by zero")
    return equal(kind, case.claimed, BINARY32.round(_exact(case.opcode, a, b)))


RULES: Final[Mapping[Opcode, Callable[[Case], Verdict]]] = MappingProxyType(
    dict.fromkeys((Opcode.ADD, Opcode.SUB, Opcode.MUL, Opcode.DIV), arithmetic)
)


def _exact(opcode: Opcode, a: Fraction, b: Fraction) -> Fraction:
    match opcode:
        case Opcode.ADD:
            return a + b
        case Opcode.SUB:
            return a - b
        case Opcode.MUL:
            return a * b
        case _:
            return a / b


def _integers(case: Case, a: int, b: int) -> Verdict:
    """Modulo 2^bits; a quotient is truncated toward zero and must lie in the type's range."""
    kind = case.output_type
    match case.opcode:
        case Opcode.ADD:
            result = a + b
        case Opcode.SUB:
            result = a - b
        case Opcode.MUL:
            result = a * b
        case _:
            if b == 0:
                return undefined(kind, case.claimed, "division by zero")
            result = abs(a) // abs(b) if (a < 0) == (b < 0) else -(abs(a) // abs(b))
            if result > integer_range(kind)[1]:
                return undefined(kind, case.claimed, "the quotient overflows")
    return equal(kind, case.claimed, result & ((1 << width(kind)) - 1))
