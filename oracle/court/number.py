"""What the raw bits of each element type mean, and when two of them are the same value.

Integers and floats alike; knows nothing of operations or tolerances.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from oracle.core.schema import ElementType
from oracle.court.binary32 import BINARY32, BINARY64, Format
from oracle.court.case import Bits

FORMATS: Final[Mapping[ElementType, Format]] = MappingProxyType(
    {ElementType.FLOAT32: BINARY32, ElementType.FLOAT64: BINARY64}
)
SIGNED: Final = frozenset(
    {ElementType.INT8, ElementType.INT16, ElementType.INT32, ElementType.INT64}
)
UNSIGNED: Final = frozenset(
    {ElementType.UINT8, ElementType.UINT16, ElementType.UINT32, ElementType.UINT64}
)
INTEGERS: Final = SIGNED | UNSIGNED


def width(kind: ElementType) -> int:
    """Bits of an element."""
    return 8 * kind.item_size


def integer_range(kind: ElementType) -> tuple[int, int]:
    """The least and the greatest value of an integer type."""
    if kind in SIGNED:
        return -(1 << (width(kind) - 1)), (1 << (width(kind) - 1)) - 1
    return 0, (1 << width(kind)) - 1


def integer_value(kind: ElementType, bits: Bits) -> int:
    """An integer element's value (two's complement); of a bool 1 for any bits but 0."""
    if kind is ElementType.BOOL:
        return int(bits != 0)
    if kind in SIGNED and bits >> (width(kind) - 1):
        return bits - (1 << width(kind))
    return bits


def wrap(kind: ElementType, value: int) -> int:
    """The value of an integer type that is congruent modulo 2^bits."""
    return integer_value(kind, value & ((1 << width(kind)) - 1))


def is_nan(kind: ElementType, bits: Bits) -> bool:
    return kind.is_float and FORMATS[kind].is_nan(bits)


def is_finite(kind: ElementType, bits: Bits) -> bool:
    """Whether an element is neither NaN nor infinite; always so for integers and bools."""
    return not kind.is_float or FORMATS[kind].is_finite(bits)


def order_key(kind: ElementType, bits: Bits) -> int:
    """An integer that compares as the value does, infinities included; meaningless for NaN.

    Floats: the magnitude's bits with the sign in front, so that +0 and -0 are both 0.
    """
    if not kind.is_float:
        return integer_value(kind, bits)
    magnitude = FORMATS[kind].magnitude(bits)
    return -magnitude if FORMATS[kind].is_negative(bits) else magnitude


def same(kind: ElementType, first: Bits, second: Bits) -> bool:
    """Whether two elements are one value: +0 is -0, and every NaN is the other."""
    if first == second:
        return True
    if not kind.is_float:
        return False
    nans = is_nan(kind, first), is_nan(kind, second)
    return all(nans) or (not any(nans) and order_key(kind, first) == order_key(kind, second))


def exact_value(kind: ElementType, bits: Bits) -> Fraction | int | None:
    """The value as a number; None for NaN and infinity."""
    if not kind.is_float:
        return integer_value(kind, bits)
    return FORMATS[kind].value(bits) if is_finite(kind, bits) else None


def text(kind: ElementType, bits: Bits) -> str:
    """For people."""
    return FORMATS[kind].text(bits) if kind.is_float else str(integer_value(kind, bits))
