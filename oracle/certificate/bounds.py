"""The court's tolerance at every element of an instruction, in float64.

The same formulas as `docs/court.md`. Zero where the court demands equality. `moved` asks for the
tolerance in a run whose output and operands lie that much farther from zero than the given ones:
an adversary is judged by its own operands, not by the honest ones.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from oracle.certificate.adjoint_linear import divisor, tap_count, total
from oracle.certificate.frame import Frame
from oracle.certificate.place import Reals
from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.rules_elementary import RELATIVE, SIGMOID, SMALLEST
from oracle.court.rules_linear import MOST_ROUNDINGS
from oracle.program.opcode import Opcode

_DOUBLE_UNIT: Final = 2.0**-53
_UNDERFLOW: Final = 2.0**-149
_LARGEST: Final = 2.0**127
"""Sums whose terms add up to more may overflow, and then the court says UNDEFINED."""

_SURPLUS: Final = 1 + 2.0**-20
"""Elementary functions: the court's bound is relative to the exact value, not to the claim."""

_RELATIVE: Final = (Opcode.EXP, Opcode.LOG, Opcode.ERF, Opcode.TANH)
_LINEAR: Final = (Opcode.DOT, Opcode.SUM, Opcode.MEAN)
_ROUNDED_ONCE: Final = (
    Opcode.ADD,
    Opcode.SUB,
    Opcode.MUL,
    Opcode.DIV,
    Opcode.SQRT,
    Opcode.DEQUANTIZE,
)


def tolerance(frame: Frame, moved: Reals) -> Reals:
    """The largest distance from the exact result that the court accepts, over the output.

    Infinite where the court says UNDEFINED of anything.
    """
    opcode, kind = frame.step.opcode, frame.output_type
    judged = (*_LINEAR, *_ROUNDED_ONCE, *_RELATIVE, Opcode.SIGMOID, Opcode.SOFTPLUS)
    if kind is ElementType.FLOAT64 and opcode in judged:
        return np.full(frame.outer, np.inf)
    if opcode in _LINEAR and kind.is_float:
        return _linear(frame, moved)
    if opcode in _RELATIVE:
        size = (np.abs(frame.output) + moved) * _SURPLUS
        return float(RELATIVE) * size + float(SMALLEST)
    if opcode is Opcode.SIGMOID:
        return np.full(frame.outer, float(SIGMOID))
    if opcode is Opcode.SOFTPLUS:
        return float(RELATIVE) * (1 + np.abs(frame.output) + moved) * _SURPLUS
    return np.zeros((1,) * len(frame.lengths))


def rounding(frame: Frame, moved: Reals) -> Reals:
    """Of correctly rounded operations: how far two roundings of moving operands may lie apart.

    The court demands equality with the rounded result, so an element whose operands cannot move
    has no freedom. But operands that move at all can choose on which side of the next tie the
    result lies: half an ulp in the honest run and half an ulp in the other.
    """
    opcode, kind = frame.step.opcode, frame.output_type
    if not kind.is_float or not (opcode in _ROUNDED_ONCE or _narrows(frame)):
        return np.zeros((1,) * len(frame.lengths))
    size = half_ulp(np.abs(frame.output) + moved, kind)
    times = 4 if opcode is Opcode.DEQUANTIZE and frame.type(0) is ElementType.INT32 else 2
    return np.where(moved > 0, times * size, 0.0)


def half_ulp(magnitude: Reals, kind: ElementType) -> Reals:
    """Half the distance between neighbours at a magnitude; infinite beyond the largest number."""
    with np.errstate(all="ignore"):
        spacing = np.spacing(magnitude.astype(kind.dtype)).astype(np.float64)
    half: Reals = np.where(np.isfinite(spacing), spacing / 2, np.inf)
    return half


def gamma(count: Reals) -> Reals:
    """n·u / (1 - n·u): what n roundings in any order can do to a sum."""
    with np.errstate(all="ignore"):
        factor: Reals = count / (2.0**24 - count)
    return np.where(count < MOST_ROUNDINGS, factor, np.inf)


def _linear(frame: Frame, moved: Reals) -> Reals:
    opcode = frame.step.opcode
    taps = tap_count(frame)
    size = magnitude(frame) + moved
    addend = 1 if opcode is Opcode.DOT and len(frame.step.operands) > 2 else 0
    if frame.program.tier is Tier.NATIVE:
        extra = {Opcode.SUM: -1, Opcode.MEAN: 1}.get(opcode, addend)
        roundings = np.maximum(taps + extra, 0)
        tiny = {Opcode.SUM: taps * 0, Opcode.MEAN: taps + 1}.get(opcode, taps) * _UNDERFLOW
        bound = gamma(roundings) * size + tiny
    else:
        near = half_ulp(np.abs(frame.output) + moved, frame.output_type)
        steps = taps + (2 if opcode is Opcode.MEAN else 1)
        bound = near + steps * _DOUBLE_UNIT * size
    judged = (size < _LARGEST) & (taps + addend + 1 < MOST_ROUNDINGS)
    return np.where(judged, bound, np.inf)


def magnitude(frame: Frame) -> Reals:
    """S: the sum of the absolute values of all terms."""
    if frame.step.opcode is Opcode.DOT:
        size = total(frame, np.abs(frame.read(0)), np.abs(frame.read(1)))
        if len(frame.step.operands) > 2:
            size = size + np.abs(frame.read(2, per_tap=False))
        return size
    ones = np.ones((1,) * len(frame.lengths))
    if frame.step.opcode is Opcode.MEAN:
        ones = 1.0 / divisor(frame)
    return total(frame, np.abs(frame.read(0)), ones)


def _narrows(frame: Frame) -> bool:
    """A cast to a float type that cannot hold every value of its operand."""
    if frame.step.opcode is not Opcode.CAST:
        return False
    return not np.can_cast(frame.type(0).dtype, frame.output_type.dtype, casting="safe")
