"""QUANTIZE, DEQUANTIZE, INTEGER_DOT and QUANTIZED_DOT: exact sums, one rounding to an integer.

A neighbour of the exact result is accepted only where the scaling's own float32 roundings can
reach across a tie. Knows nothing of axes: scales and zero points come one per element.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from oracle.core.schema import ElementType
from oracle.court.binary32 import BINARY32, round_half_even, scaled
from oracle.court.case import Bits, Case
from oracle.court.number import integer_range, integer_value, width, wrap
from oracle.court.rules import singles
from oracle.court.verdict import Outcome, Verdict, equal, undefined
from oracle.program.opcode import Opcode

NARROW: Final = frozenset({ElementType.INT8, ElementType.UINT8})
QUANTISED: Final = NARROW | {ElementType.INT16, ElementType.UINT16}

QUANTIZE_ROUNDINGS: Final = 2
"""x/s is one division, or a product with 1/s: at most 2u."""
REQUANTIZE_ROUNDINGS: Final = 5
"""float(acc), s_a·s_b, /s_y and their product: four roundings, at most (1 + u)^4 - 1 < 5u."""

_FLOAT: Final = ElementType.FLOAT32
_INT32: Final = ElementType.INT32


def quantize(case: Case) -> Verdict:
    """saturate(RNE(x / s) + z)."""
    kind = case.output_type
    operands = singles(case, (_FLOAT, _FLOAT, kind))
    if isinstance(operands, str) or kind not in QUANTISED:
        return undefined(kind, case.claimed, "no rule for these types")
    value, scale, zero = operands
    if not BINARY32.is_finite(value) or not _is_scale(scale):
        return undefined(kind, case.claimed, "not finite, or a scale that is not positive")
    quotient = BINARY32.value(value) / BINARY32.value(scale)
    return _rounded(case, quotient, integer_value(kind, zero), QUANTIZE_ROUNDINGS)


def dequantize(case: Case) -> Verdict:
    """RNE(RNE(x - z) · s), both to float32."""
    if not case.operand_types or case.output_type is not _FLOAT:
        return undefined(case.output_type, case.claimed, "no rule for these types")
    kind = case.operand_types[0]
    operands = singles(case, (kind, _FLOAT, kind))
    if isinstance(operands, str) or kind not in QUANTISED | {_INT32}:
        return undefined(_FLOAT, case.claimed, "no rule for these types")
    value, scale, zero = operands
    if not BINARY32.is_finite(scale):
        return undefined(_FLOAT, case.claimed, "the scale is not finite")
    distance = integer_value(kind, value) - integer_value(kind, zero)
    if wrap(_INT32, distance) != distance:
        return undefined(_FLOAT, case.claimed, "the difference overflows int32")
    rounded = BINARY32.value(BINARY32.round(Fraction(distance)))
    return equal(_FLOAT, case.claimed, BINARY32.round(rounded * BINARY32.value(scale)))


def integer_dot(case: Case) -> Verdict:
    """sum_k (a - c)·(b - d), modulo 2^32."""
    total = _accumulate(case, zeros=(2, 3))
    if isinstance(total, str) or case.output_type is not _INT32 or len(case.operands) != 4:
        reason = total if isinstance(total, str) else "no rule for these types"
        return undefined(case.output_type, case.claimed, reason)
    return equal(_INT32, case.claimed, total & ((1 << width(_INT32)) - 1))


def quantized_dot(case: Case) -> Verdict:
    """saturate(RNE(acc · s_a · s_b / s_y) + z_y), acc = sum_k (a - z_a)·(b - z_b) (+ bias)."""
    kind = case.output_type
    known = (_FLOAT, _FLOAT, _FLOAT, kind)
    extra = case.operand_types[8:]
    if case.operand_types[4:8] != known or kind not in NARROW or extra not in ((), (_INT32,)):
        return undefined(kind, case.claimed, "no rule for these types")
    total = _accumulate(case, zeros=(2, 3), bias=8 if extra else None)
    if isinstance(total, str):
        return undefined(kind, case.claimed, total)
    scales = [operand[0] for operand in case.operands[4:7]]
    zero = case.operands[7][0]
    if zero is None or any(scale is None or not _is_scale(scale) for scale in scales):
        return undefined(kind, case.claimed, "a scale or zero point is missing or unusable")
    first, second, last = (BINARY32.value(scale) for scale in scales if scale is not None)
    if not _is_normal(first * second) or not _is_normal(first * second / last):
        return undefined(kind, case.claimed, "the scales' product leaves float32")
    exact = total * first * second / last
    return _rounded(case, exact, integer_value(kind, zero), REQUANTIZE_ROUNDINGS)


RULES: Final[Mapping[Opcode, Callable[[Case], Verdict]]] = MappingProxyType(
    {
        Opcode.QUANTIZE: quantize,
        Opcode.DEQUANTIZE: dequantize,
        Opcode.INTEGER_DOT: integer_dot,
        Opcode.QUANTIZED_DOT: quantized_dot,
    }
)


def _rounded(case: Case, exact: Fraction, zero: int, roundings: int) -> Verdict:
    """Whether some t within roundings·u of `exact`, relatively, rounds and saturates to the claim.

    At a tie both neighbours are within; the extremes also stand for everything beyond them.
    """
    kind = case.output_type
    least, greatest = integer_range(kind)
    claimed = integer_value(kind, case.claimed)
    slack = abs(exact) * roundings * scaled(1, -24)
    whole = claimed - zero
    above = claimed == least or exact + slack >= whole - Fraction(1, 2)
    below = claimed == greatest or exact - slack <= whole + Fraction(1, 2)
    expected = max(least, min(greatest, round_half_even(exact) + zero))
    holds = above and below
    return Verdict(
        Outcome.WITHIN if holds else Outcome.VIOLATED,
        str(claimed),
        exact + zero,
        Fraction(1, 2) + slack,
        f"rounds to {expected}" if holds else f"must be {expected}",
    )


def _accumulate(case: Case, *, zeros: tuple[int, int], bias: int | None = None) -> int | str:
    """The int32 accumulator, or why there is none."""
    kinds = case.operand_types
    if len(kinds) < 4 or any(kind not in NARROW for kind in kinds[:2]) or kinds[:2] != kinds[2:4]:
        return "no rule for these types"
    lone: list[Bits | None] = [case.operands[number][0] for number in zeros]
    if bias is not None:
        lone.append(case.operands[bias][0])
    needed = [bits for bits in lone if bits is not None]
    if len(needed) != len(lone):
        return "a guard fails for an operand that is needed"
    first = integer_value(kinds[0], needed[0])
    second = integer_value(kinds[1], needed[1])
    total = sum(
        (integer_value(kinds[0], a) - first) * (integer_value(kinds[1], b) - second)
        for a, b in zip(case.operands[0], case.operands[1], strict=True)
        if a is not None and b is not None
    )
    return wrap(_INT32, total + (integer_value(_INT32, needed[2]) if bias is not None else 0))


def _is_scale(bits: Bits) -> bool:
    return BINARY32.is_finite(bits) and 0 < BINARY32.magnitude(bits) == bits


def _is_normal(value: Fraction) -> bool:
    return scaled(1, -126) <= value < scaled(1, 127)
