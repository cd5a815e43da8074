"""IEEE 754 binary32 and binary64 as integers: decoding, rounding, units in the last place.

A finite number is `significand · 2^exponent`, exactly. Nothing here is computed with machine
floats (they only print well), and nothing knows which operation a number belongs to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np


@dataclass(frozen=True, slots=True)
class Format:
    """A binary interchange format (IEEE 754-2019, 3.4): its width and stored fraction, in bits."""

    width: int
    fraction: int

    @property
    def sign_bit(self) -> int:
        return 1 << (self.width - 1)

    @property
    def infinity(self) -> int:
        """The bits of +infinity; those of any NaN, less the sign, are greater."""
        return self.sign_bit - (1 << self.fraction)

    @property
    def least_exponent(self) -> int:
        """Exponent of the smallest subnormal: -149 for binary32."""
        return 2 - (1 << (self.width - self.fraction - 2)) - self.fraction

    def magnitude(self, bits: int) -> int:
        return bits & (self.sign_bit - 1)

    def is_nan(self, bits: int) -> bool:
        return self.magnitude(bits) > self.infinity

    def is_infinite(self, bits: int) -> bool:
        return self.magnitude(bits) == self.infinity

    def is_finite(self, bits: int) -> bool:
        return self.magnitude(bits) < self.infinity

    def is_zero(self, bits: int) -> bool:
        return self.magnitude(bits) == 0

    def is_negative(self, bits: int) -> bool:
        """Whether the sign bit is set (also of -0 and of a NaN)."""
        return bits & self.sign_bit != 0

    def decode(self, bits: int) -> tuple[int, int]:
        """Signed significand and exponent of a finite number: its value is `s · 2^e`.

        Subnormals and zero have the least exponent. Meaningless for NaN and infinity.
        """
        magnitude = self.magnitude(bits)
        field = magnitude >> self.fraction
        significand = magnitude & ((1 << self.fraction) - 1)
        if field:
            significand |= 1 << self.fraction
        signed = -significand if self.is_negative(bits) else significand
        return signed, self.least_exponent + max(field, 1) - 1

    def value(self, bits: int) -> Fraction:
        """A finite number as a fraction."""
        significand, exponent = self.decode(bits)
        return scaled(significand, exponent)

    def ulp(self, bits: int) -> Fraction:
        """The distance to the next number away from zero; of the subnormals' spacing at zero."""
        return scaled(1, self.decode(bits)[1])

    def half_ulp(self, bits: int) -> Fraction:
        return self.ulp(bits) / 2

    @property
    def overflow(self) -> Fraction:
        """The least magnitude that rounds to infinity: 2^128 - 2^103 for binary32."""
        significand, exponent = self.decode(self.infinity - 1)
        return scaled(2 * significand + 1, exponent - 1)

    def round(self, value: Fraction) -> int:
        """Bits of the nearest number, ties to even, overflowing to infinity; zero is +0."""
        magnitude = abs(value)
        if magnitude == 0:
            return 0
        exponent = max(floor_log2(magnitude) - self.fraction, self.least_exponent)
        significand = round_half_even(magnitude / scaled(1, exponent))
        bits = ((exponent - self.least_exponent) << self.fraction) + significand
        return min(bits, self.infinity) | (self.sign_bit if value < 0 else 0)

    def round_root(self, value: Fraction) -> int:
        """Bits of the square root of a number of this format, ties to even.

        The root is cut off well below the last place, with one more bit that says whether anything
        was cut off, so that no tie appears where there is none.
        """
        shift = 2 * (self.fraction + 3) - (floor_log2(value) & ~1) if value else 0
        shifted = value * scaled(1, shift)
        root = math.isqrt(int(shifted))
        sticky = int(shifted != root * root)
        return self.round(scaled(2 * root + sticky, -(shift // 2) - 1))

    def text(self, bits: int) -> str:
        """For people: the fewest decimal digits that no other number has, and the bits."""
        digits = f"0x{bits:0{self.width // 4}x}"
        if self.is_nan(bits):
            return f"NaN ({digits})"
        if self.is_infinite(bits):
            return f"{'-' if self.is_negative(bits) else ''}infinity ({digits})"
        size = self.width // 8
        (number,) = np.frombuffer(bits.to_bytes(size, "little"), f"<f{size}")
        return f"{number!s} ({digits})"


BINARY32: Final = Format(width=32, fraction=23)
BINARY64: Final = Format(width=64, fraction=52)


def scaled(significand: int, exponent: int) -> Fraction:
    """`significand · 2^exponent`."""
    if exponent >= 0:
        return Fraction(significand << exponent)
    return Fraction(significand, 1 << -exponent)


def floor_log2(value: Fraction) -> int:
    """The largest e with 2^e <= value, for a positive value."""
    guess = value.numerator.bit_length() - value.denominator.bit_length()
    return guess if scaled(1, guess) <= value else guess - 1


def round_half_even(value: Fraction) -> int:
    """The nearest integer, ties to even (Python's own rounding of a fraction is exactly that)."""
    return round(value)
