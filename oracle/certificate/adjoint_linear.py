"""Derivatives of DOT, SUM, MEAN and INTEGER_DOT.

A product of two committed operands also has a second-order part, bounded by the product of how
far each can move; the other operations are linear.
"""

from __future__ import annotations

import numpy as np

from oracle.certificate.frame import Frame
from oracle.certificate.place import Reals
from oracle.certificate.term import Term, contract


def dot(frame: Frame) -> tuple[Term, ...]:
    a, b = frame.read(0), frame.read(1)
    terms = frame.term(0, b) + frame.term(1, a)
    if len(frame.step.operands) > 2:
        terms += frame.term(2, 1.0, per_tap=False)
    return terms


def dot_remainder(frame: Frame) -> Reals:
    return total(frame, frame.reach(0), frame.reach(1))


def integer_dot(frame: Frame) -> tuple[Term, ...]:
    a, b = zeroed(frame)
    return frame.term(0, b) + frame.term(1, a)


def integer_dot_remainder(frame: Frame) -> Reals:
    """Without bound where the accumulator can wrap around."""
    bent = dot_remainder(frame)
    a, b = zeroed(frame)
    moved = total(frame, frame.reach(0), np.abs(b)) + total(frame, np.abs(a), frame.reach(1))
    moved = moved + bent
    return np.where((moved > 0) & (np.abs(frame.output) + moved >= 2.0**31), np.inf, bent)


def zeroed(frame: Frame) -> tuple[Reals, Reals]:
    """Integer operands a and b less their zero points (operands 2 and 3), zero for padding."""
    pair: list[Reals] = []
    for number in (0, 1):
        value = frame.read(number)
        if len(frame.step.operands) > number + 2:
            value = (value - frame.read(number + 2)) * frame.held(number)
        pair.append(value)
    return pair[0], pair[1]


def sum_of_taps(frame: Frame) -> tuple[Term, ...]:
    return frame.term(0, 1.0)


def mean(frame: Frame) -> tuple[Term, ...]:
    return frame.term(0, 1.0 / divisor(frame))


def divisor(frame: Frame) -> Reals:
    """What a MEAN divides by: its attribute, or the number of taps that count."""
    (fixed,) = frame.step.attributes or (0,)
    if fixed:
        return np.full((1,) * len(frame.lengths), float(fixed))
    return tap_count(frame)


def tap_count(frame: Frame) -> Reals:
    """Taps of each output element whose guards all hold."""
    valid = np.ones((1,) * len(frame.lengths), dtype=np.bool_)
    for number in range(len(frame.step.operands)):
        valid = valid & frame.held(number)
    return total(frame, valid.astype(np.float64), np.ones((1,) * len(frame.lengths)))


def total(frame: Frame, left: Reals, right: Reals) -> Reals:
    """sum over the taps of left·right, shaped like the output (length 1 where constant)."""
    rank = len(frame.step.domain)
    kept = [axis < rank for axis in range(len(frame.lengths))]
    summed: Reals = contract(left[None], right, frame.lengths, kept)[0]
    return summed


def nothing(frame: Frame) -> Reals:
    """The remainder of a linear operation."""
    return np.zeros((1,) * len(frame.lengths))
