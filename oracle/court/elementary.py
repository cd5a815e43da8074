"""exp, log, erf, tanh, sigmoid and softplus of a binary32 number, in 256-bit integers.

Every step is one that Solidity has: +, -, ·, shifts, and division that truncates toward zero; no
intermediate reaches 2^255. Results are within 2^-60 (relative for exp, log, erf, tanh; of
1 + |f| for the others) of the function. Knows nothing of claims and tolerances.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from oracle.court.binary32 import BINARY32
from oracle.program.opcode import Opcode

Approximation = tuple[int, int]
"""(significand, exponent): the value is significand · 2^exponent."""

BITS: Final = 120
"""Fraction bits of the fixed point used everywhere but in erf."""
ONE: Final = 1 << BITS
ERF_BITS: Final = 80

# python -c "from mpmath import *; mp.prec=400; print(hex(int(floor(ln(2)*2**120))))"
LN2: Final = 0xB17217F7D1CF79ABC9E3B39803F2F6
# python -c "from mpmath import *; mp.prec=400; print(hex(int(floor(2/sqrt(pi)*2**80))))"
TWO_OVER_ROOT_PI: Final = 0x120DD750429B6D11AE3A9
# python -c "from mpmath import *; mp.prec=400; print(hex(int(floor(sqrt(2)*2**120))))"
ROOT_TWO: Final = 0x16A09E667F3BCC908B2FB1366EA957D

LARGEST: Final = 200
"""|x| is clamped here before exp: e^200 > 2^128 overflows, e^-200 < 2^-149 underflows."""
EXP_TERMS: Final = 24
LOG_TERMS: Final = 21
TANH_TERMS: Final = 17
ERF_TERMS: Final = 160
ERF_LARGEST_SQUARE: Final = 44
"""erf is 1 where x·x >= 44: erfc(sqrt(44)) < 2^-66."""


def exponential(bits: int) -> Approximation:
    """e^x. Positive, never zero."""
    return _exponential(_fixed(*BINARY32.decode(bits)))


def logarithm(bits: int) -> Approximation:
    """ln x of a positive x."""
    significand, exponent = BINARY32.decode(bits)
    places = BITS + 1 - significand.bit_length()
    return _logarithm(significand << places, exponent - places + BITS), -BITS


def error_function(bits: int) -> Approximation:
    """erf x = x · 2/sqrt(pi) · e^-z · sum_k (2z)^k / (1·3·5···(2k+1)), z = x² (DLMF 7.6.2)."""
    significand, exponent = BINARY32.decode(bits)
    if significand == 0:
        return 0, 0
    if exponent >= 0:
        square = ERF_LARGEST_SQUARE << ERF_BITS
    else:
        square = _shift(significand * significand, 2 * exponent + ERF_BITS)
    if square >= ERF_LARGEST_SQUARE << ERF_BITS:
        return (1 if significand > 0 else -1), 0
    term = total = 1 << ERF_BITS
    for k in range(1, ERF_TERMS):
        term = ((term * 2 * square) >> ERF_BITS) // (2 * k + 1)
        total += term
        if term == 0:
            break
    decay, power = _exponential(-(square << (BITS - ERF_BITS)))
    decay >>= BITS - ERF_BITS
    slope = (total * decay) >> (ERF_BITS - (power + BITS))
    slope = (slope * TWO_OVER_ROOT_PI) >> ERF_BITS
    return significand * slope, exponent - ERF_BITS


def hyperbolic_tangent(bits: int) -> Approximation:
    """tanh x = x · (sinh x / x) / cosh x below 1, (1 - e^-2x) / (1 + e^-2x) from there on."""
    significand, exponent = BINARY32.decode(bits)
    if abs(significand) < 1 << max(-exponent, 0):
        square = _shift(significand * significand, 2 * exponent + BITS)
        sinh = cosh = ONE
        for k in range(TANH_TERMS - 1, 0, -1):
            sinh = ONE + ((square * sinh) >> BITS) // (2 * k * (2 * k + 1))
            cosh = ONE + ((square * cosh) >> BITS) // (2 * k * (2 * k - 1))
        return significand * ((sinh << BITS) // cosh), exponent - BITS
    decay = _decay(abs(significand), exponent + 1)
    ratio = ((ONE - decay) << BITS) // (ONE + decay)
    return (ratio if significand > 0 else -ratio), -BITS


def logistic(bits: int) -> Approximation:
    """1 / (1 + e^-x), from e^-|x| so that nothing overflows."""
    significand, exponent = BINARY32.decode(bits)
    decay = _decay(abs(significand), exponent)
    numerator = ONE if significand >= 0 else decay
    return (numerator << BITS) // (ONE + decay), -BITS


def softplus(bits: int) -> Approximation:
    """ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)."""
    significand, exponent = BINARY32.decode(bits)
    if significand > 0 and _fixed(significand, exponent) == LARGEST * ONE:
        return significand, exponent
    rest = _logarithm(ONE + _decay(abs(significand), exponent), 0)
    return max(_fixed(significand, exponent), 0) + rest, -BITS


FUNCTIONS: Final[Mapping[Opcode, Callable[[int], Approximation]]] = MappingProxyType(
    {
        Opcode.EXP: exponential,
        Opcode.LOG: logarithm,
        Opcode.ERF: error_function,
        Opcode.TANH: hyperbolic_tangent,
        Opcode.SIGMOID: logistic,
        Opcode.SOFTPLUS: softplus,
    }
)


def _shift(value: int, places: int) -> int:
    """value · 2^places, rounded toward minus infinity (arithmetic shift)."""
    return value << places if places >= 0 else value >> -places


def _fixed(significand: int, exponent: int) -> int:
    """A number in fixed point, clamped to ±LARGEST; rounded toward minus infinity."""
    limit = LARGEST * ONE
    if exponent > 8 - 24 and abs(significand).bit_length() + exponent > 8:
        return limit if significand > 0 else -limit
    return max(-limit, min(limit, _shift(significand, exponent + BITS)))


def _exponential(fixed: int) -> Approximation:
    """e^r · 2^n, r = x - n·ln 2 in [-ln 2 / 2, ln 2 / 2], by Taylor's series in Horner's form."""
    power = (2 * fixed + LN2) // (2 * LN2)
    rest = fixed - power * LN2
    total = ONE
    for k in range(EXP_TERMS, 0, -1):
        total = ONE + _quotient((rest * total) >> BITS, k)
    return total, power - BITS


def _decay(significand: int, exponent: int) -> int:
    """e^-a in fixed point, for a = significand · 2^exponent >= 0; at most ONE."""
    total, power = _exponential(-_fixed(significand, exponent))
    return total >> -(power + BITS)


def _logarithm(mantissa: int, power: int) -> int:
    """ln(mantissa) + power·ln 2 for a fixed-point mantissa in [1, 2]: 2·artanh((m-1)/(m+1))."""
    if mantissa >= ROOT_TWO:
        mantissa, power = mantissa >> 1, power + 1
    ratio = _quotient((mantissa - ONE) << BITS, mantissa + ONE)
    square = (ratio * ratio) >> BITS
    total = 0
    for k in range(LOG_TERMS - 1, -1, -1):
        total = ((total * square) >> BITS) + ONE // (2 * k + 1)
    return power * LN2 + ((2 * ratio * total) >> BITS)


def _quotient(numerator: int, denominator: int) -> int:
    """Division that truncates toward zero, as in Solidity; the denominator is positive."""
    magnitude = abs(numerator) // denominator
    return magnitude if numerator >= 0 else -magnitude
