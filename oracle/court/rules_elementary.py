"""EXP, LOG, ERF, TANH, SIGMOID and SOFTPLUS: how far a library may be from the function.

Adds the evaluation's own error to each tolerance. Knows nothing of how the function is evaluated
(see `elementary`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from oracle.core.schema import ElementType
from oracle.court.binary32 import BINARY32, scaled
from oracle.court.case import Case
from oracle.court.elementary import FUNCTIONS
from oracle.court.rules import singles
from oracle.court.verdict import Verdict, near, undefined
from oracle.program.opcode import Opcode

RELATIVE: Final = scaled(1, -21) + scaled(1, -60)
"""8u and the evaluation's error, of |f|."""
SMALLEST: Final = scaled(1, -126)
"""Least normal float32: results below it may be flushed to zero."""
SIGMOID: Final = scaled(1, -22) + scaled(1, -60)


def elementary(case: Case) -> Verdict:
    """One float32 operand, one float32 result."""
    kind = ElementType.FLOAT32
    operands = singles(case, (kind,))
    if case.output_type is not kind or isinstance(operands, str):
        return undefined(case.output_type, case.claimed, "no rule for these types")
    (bits,) = operands
    if not BINARY32.is_finite(bits):
        return undefined(kind, case.claimed, "the operand is not finite")
    if case.opcode is Opcode.LOG and (BINARY32.is_zero(bits) or BINARY32.is_negative(bits)):
        return undefined(kind, case.claimed, "the logarithm of zero or a negative number")
    exact = scaled(*FUNCTIONS[case.opcode](bits))
    return near(case.claimed, exact, tolerance(case.opcode, exact))


def tolerance(opcode: Opcode, exact: Fraction) -> Fraction:
    """The largest error of an honest result, for a function value as `elementary` gives it."""
    match opcode:
        case Opcode.SIGMOID:
            return SIGMOID
        case Opcode.SOFTPLUS:
            return RELATIVE * (1 + abs(exact))
        case _:
            return RELATIVE * abs(exact) + SMALLEST


RULES: Final[Mapping[Opcode, Callable[[Case], Verdict]]] = MappingProxyType(
    dict.fromkeys(FUNCTIONS, elementary)
)
