"""The screen of QUANTIZE, DEQUANTIZE, INTEGER_DOT and QUANTIZED_DOT (R8).

Products of 8-bit integers are summed in float64, which is exact. A rescaled value is compared in
float64 with a freedom a little below the court's, so that a claim that passes is within.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from oracle.court.operands import Array
from oracle.court.screen_matrix import Factor, Memory, blocks, group
from oracle.court.screen_nest import Nest
from oracle.court.screen_result import NO, YES, Expected, Screening, infinite_or_nan
from oracle.program.opcode import Opcode

_FREEDOM: Final[dict[Opcode, float]] = {
    Opcode.QUANTIZE: 2 * 2.0**-24 * (1 - 2.0**-20),
    Opcode.QUANTIZED_DOT: 5 * 2.0**-24 * (1 - 2.0**-20),
}
_NARROW: Final = ("int8", "uint8")
_QUANTISED: Final = (*_NARROW, "int16", "uint16")
_MOST_TAPS: Final = 1 << 36


def integer_dot(nest: Nest, memory: Memory) -> Expected | None:
    """INTEGER_DOT: int32 modulo 2^32."""
    if len(nest.operands) != 4 or nest.output.dtype.name != "int32":
        return None
    sums = _sums(nest, memory)
    return None if sums is None else Expected(sums.astype(np.int64).astype(np.int32))


def dequantised(nest: Nest) -> Expected | None:
    """DEQUANTIZE: (a - zero) and its product with the scale, each rounded to float32."""
    names = _names(nest)
    if len(names) != 3 or names[0] not in (*_QUANTISED, "int32") or names[0] != names[2]:
        return None
    if names[1] != "float32" or nest.output.dtype.name != "float32" or _guarded(nest, 0):
        return None
    a, scale, zero = (nest.element(number) for number in range(3))
    difference = a.astype(np.int64) - zero.astype(np.int64)
    values = difference.astype(np.float32) * scale
    return Expected(
        values, undefined=infinite_or_nan(scale) | (difference.astype(np.int32) != difference)
    )


def rescaled(nest: Nest, memory: Memory) -> Rescaled | None:
    """QUANTIZE and QUANTIZED_DOT before the rounding."""
    if nest.step.opcode is Opcode.QUANTIZE:
        return _quotient(nest)
    names = _names(nest)
    kind = nest.output.dtype.name
    if names[4:8] != ["float32", "float32", "float32", kind] or kind not in _NARROW:
        return None
    if names[8:] not in ([], ["int32"]) or _guarded(nest, 4):
        return None
    sums = _sums(nest, memory)
    if sums is None:
        return None
    whole = sums.astype(np.int64)
    if len(names) > 8:
        whole = whole + nest.element(8)
    scales = [nest.element(number).astype(np.float64) for number in (4, 5, 6)]
    usable = (scales[0] > 0) & (scales[1] > 0) & (scales[2] > 0)
    product = scales[0] * scales[1]
    factor = product / scales[2]
    value = whole.astype(np.int32).astype(np.float64) * factor
    known = usable & _normal(product) & _normal(factor) & np.isfinite(scales[2])
    return Rescaled(nest, value, nest.element(7).astype(np.float64), known, NO)


class Rescaled:
    """A real value in float64 that is to be rounded, shifted by a zero point and saturated."""

    def __init__(self, nest: Nest, value: Array, zero: Array, known: Array, undefined: Array):
        self._freedom = _FREEDOM[nest.step.opcode]
        self._kind = nest.output.dtype
        self._limits = np.iinfo(nest.output.dtype)
        self._value, self._zero = value, zero
        self._known, self._undefined = known, undefined

    def rounded(self) -> Array:
        """The nearest result, half to even."""
        whole = np.nan_to_num(np.rint(self._value)) + self._zero
        clipped = np.clip(whole, float(self._limits.min), float(self._limits.max))
        return np.asarray(clipped.astype(self._kind))

    def screen(self, claimed: Array) -> Screening:
        """The certain verdicts on claims."""
        slack = np.abs(self._value) * self._freedom
        whole = claimed.astype(np.float64) - self._zero
        above = (self._value + slack >= whole - 0.5) | (claimed == self._limits.min)
        below = (self._value - slack <= whole + 0.5) | (claimed == self._limits.max)
        within = above & below & self._known & ~self._undefined
        return Screening(
            np.broadcast_to(within, claimed.shape),
            np.broadcast_to(self._undefined, claimed.shape),
        )


def _quotient(nest: Nest) -> Rescaled | None:
    kind = nest.output.dtype.name
    if _names(nest) != ["float32", "float32", kind] or kind not in _QUANTISED:
        return None
    if _guarded(nest, 0):
        return None
    x, scale = nest.element(0), nest.element(1)
    undefined = infinite_or_nan(x) | ~(scale > 0) | ~np.isfinite(scale)
    value = x.astype(np.float64) / scale.astype(np.float64)
    return Rescaled(nest, value, nest.element(2).astype(np.float64), YES, undefined)


def _sums(nest: Nest, memory: Memory) -> Array | None:
    """sum (a - zero a)·(b - zero b) as float64, exact; zero points do not depend on the taps."""
    names = _names(nest)
    if names[0] not in _NARROW or names[1] not in _NARROW or names[:2] != names[2:4]:
        return None
    if any(operand.guards for operand in nest.operands[2:4]) or nest.taps > _MOST_TAPS:
        return None
    axes = len(nest.domain)
    a, b = (
        Factor(nest.operands[number], nest.operands[number + 2].once(axes)) for number in (0, 1)
    )
    grouping = group(nest, a, b)
    whole = np.empty(grouping.shape, dtype=np.float64)
    for block in blocks(nest, grouping, a, b, memory):
        whole[block.place] = block.value()
    return grouping.ungrouped(whole)


def _normal(value: Array) -> Array:
    """Clearly within the normal numbers of float32; what is on the edge is left open."""
    return np.asarray((value >= math.ldexp(1.0, -125)) & (value < math.ldexp(1.0, 126)))


def _names(nest: Nest) -> list[str]:
    return [operand.flat.dtype.name for operand in nest.operands]


def _guarded(nest: Nest, first: int) -> bool:
    return any(operand.guards for operand in nest.operands[first:])
