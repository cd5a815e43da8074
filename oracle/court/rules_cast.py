"""CAST: every pair of element types has one result, or none.

Truncation toward integers, rounding to nearest-even toward floats, modulo 2^bits among integers,
"not zero" toward bool. Knows no tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from oracle.core.schema import ElementType
from oracle.court.case import Bits, Case
from oracle.court.number import FORMATS, integer_range, integer_value, width
from oracle.court.rules import singles
from oracle.court.verdict import Verdict, equal, undefined
from oracle.program.opcode import Opcode


def cast(case: Case) -> Verdict:
    """The operand in another element type."""
    if len(case.operand_types) != 1:
        return undefined(case.output_type, case.claimed, "CAST has one operand")
    (source,) = case.operand_types
    operands = singles(case, (source,))
    if isinstance(operands, str):
        return undefined(case.output_type, case.claimed, operands)
    result = _convert(source, case.output_type, operands[0])
    if isinstance(result, str):
        return undefined(case.output_type, case.claimed, result)
    return equal(case.output_type, case.claimed, result)


RULES: Final[Mapping[Opcode, Callable[[Case], Verdict]]] = MappingProxyType({Opcode.CAST: cast})


def _convert(source: ElementType, target: ElementType, bits: Bits) -> Bits | str:
    """The result's bits, or why there is none."""
    if not source.is_float:
        value = integer_value(source, bits)
        if target is ElementType.BOOL:
            return int(value != 0)
        if target.is_float:
            return FORMATS[target].round(Fraction(value))
        return value & ((1 << width(target)) - 1)
    form = FORMATS[source]
    if form.is_nan(bits):
        return "the operand is not a number"
    if target is ElementType.BOOL:
        return int(not form.is_zero(bits))
    if form.is_infinite(bits):
        if not target.is_float:
            return "the operand is infinite"
        sign = FORMATS[target].sign_bit if form.is_negative(bits) else 0
        return FORMATS[target].infinity | sign
    exact = form.value(bits)
    if target.is_float:
        return FORMATS[target].round(exact)
    whole = int(exact)
    least, greatest = integer_range(target)
    if not least <= whole <= greatest:
        return f"{whole} is outside {target.value}"
    return whole & ((1 << width(target)) - 1)
