"""Derivatives of arithmetic and of the elementary functions, one operand element each.

Every derivative comes with its remainder: how far the function can leave its tangent while the
operands move by at most their reach. Infinite where the operand can reach a pole.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from oracle.certificate.frame import Frame
from oracle.certificate.place import Reals
from oracle.certificate.term import Term

_ERF_SLOPE: Final = 2.0 / math.sqrt(math.pi)
# of each function: the largest |second derivative|, and the width of its range
_BENT: Final = {"tanh": (0.7699, 2.0), "sigmoid": (0.09624, 1.0), "erf": (0.9679, 2.0)}


def add(frame: Frame) -> tuple[Term, ...]:
    return frame.term(0, 1.0) + frame.term(1, 1.0)


def subtract(frame: Frame) -> tuple[Term, ...]:
    return frame.term(0, 1.0) + frame.term(1, -1.0)


def multiply(frame: Frame) -> tuple[Term, ...]:
    return frame.term(0, frame.read(1)) + frame.term(1, frame.read(0))


def multiply_remainder(frame: Frame) -> Reals:
    product: Reals = frame.reach(0) * frame.reach(1)
    return product


def divide(frame: Frame) -> tuple[Term, ...]:
    if not frame.output_type.is_float:
        return ()
    a, b = frame.read(0), frame.read(1)
    with np.errstate(all="ignore"):
        slope = _finite(1.0 / b)
        return frame.term(0, slope) + frame.term(1, _finite(-a / b / b))


def divide_remainder(frame: Frame) -> Reals:
    """y' - y = w / b' with w = da - y·db; its linear part is w / b."""
    a, b = frame.read(0), np.abs(frame.read(1))
    moved_a, moved_b = frame.reach(0), frame.reach(1)
    if not frame.output_type.is_float:
        return np.where(moved_a + moved_b > 0, np.inf, 0.0)
    with np.errstate(all="ignore"):
        shift = moved_a + np.abs(a) / b * moved_b
        bent = shift * moved_b / (b * (b - moved_b))
        return np.where(moved_b == 0, 0.0, np.where(moved_b < b, bent, np.inf))


def root(frame: Frame) -> tuple[Term, ...]:
    with np.errstate(all="ignore"):
        return frame.term(0, _finite(0.5 / np.sqrt(frame.read(0))))


def root_remainder(frame: Frame) -> Reals:
    """Without bound where the operand can fall below zero: the court has no opinion there."""
    x, moved = frame.read(0), frame.reach(0)
    with np.errstate(all="ignore"):
        part = moved / x
        near = part**2 / 8 / (1 - np.minimum(part, 0.5)) ** 1.5
        fall = np.abs(np.sqrt(1 - np.minimum(part, 1.0)) - 1 + part / 2)
        bent = np.sqrt(x) * np.where(part <= 0.5, near, fall)
        bent = np.where(moved < x, bent, np.inf)
    return np.where(moved == 0, 0.0, bent)


def exponential(frame: Frame) -> tuple[Term, ...]:
    with np.errstate(all="ignore"):
        return frame.term(0, np.exp(frame.read(0)))


def exponential_remainder(frame: Frame) -> Reals:
    moved = frame.reach(0)
    with np.errstate(all="ignore"):
        bent = np.exp(frame.read(0) + moved) * moved**2 / 2
    return np.where(moved == 0, 0.0, bent)


def logarithm(frame: Frame) -> tuple[Term, ...]:
    with np.errstate(all="ignore"):
        return frame.term(0, _finite(1.0 / frame.read(0)))


def logarithm_remainder(frame: Frame) -> Reals:
    moved = frame.reach(0)
    with np.errstate(all="ignore"):
        part = moved / frame.read(0)
        bent = np.where(part < 1, part**2 / 2 / (1 - part), np.inf)
    return np.where(moved == 0, 0.0, bent)


def error_function(frame: Frame) -> tuple[Term, ...]:
    return frame.term(0, _erf_slope(frame.read(0)))


def hyperbolic_tangent(frame: Frame) -> tuple[Term, ...]:
    return frame.term(0, _tanh_slope(frame.read(0)))


def sigmoid(frame: Frame) -> tuple[Term, ...]:
    return frame.term(0, _sigmoid_slope(frame.read(0)))


def erf_remainder(frame: Frame) -> Reals:
    return _saturating(frame, "erf", _erf_slope)


def tanh_remainder(frame: Frame) -> Reals:
    return _saturating(frame, "tanh", _tanh_slope)


def sigmoid_remainder(frame: Frame) -> Reals:
    return _saturating(frame, "sigmoid", _sigmoid_slope)


def softplus(frame: Frame) -> tuple[Term, ...]:
    return frame.term(0, _logistic(frame.read(0)))


def softplus_remainder(frame: Frame) -> Reals:
    """Its slope lies between 0 and 1 and changes by at most a quarter a unit."""
    moved = frame.reach(0)
    bent: Reals = np.minimum(moved**2 / 8, moved)
    return bent


def negate(frame: Frame) -> tuple[Term, ...]:
    return frame.term(0, -1.0)


def absolute(frame: Frame) -> tuple[Term, ...]:
    return frame.term(0, np.where(frame.read(0) < 0, -1.0, 1.0))


def absolute_remainder(frame: Frame) -> Reals:
    """Twice as far as the operand can go beyond zero."""
    if frame.wide:  # on either side of zero the slope is 1 in magnitude
        return np.zeros_like(frame.reach(0))
    over: Reals = 2 * np.maximum(frame.reach(0) - np.abs(frame.read(0)), 0.0)
    return over


def dequantize(frame: Frame) -> tuple[Term, ...]:
    return frame.term(0, frame.read(1))


def _saturating(frame: Frame, name: str, slope: Callable[[Reals], Reals]) -> Reals:
    bend, width = _BENT[name]
    moved = frame.reach(0)
    bent: Reals = np.minimum(moved**2 * bend / 2, width + slope(frame.read(0)) * moved)
    return np.where(moved == 0, 0.0, bent)


def _erf_slope(x: Reals) -> Reals:
    slope: Reals = _ERF_SLOPE * np.exp(-np.minimum(x * x, 700.0))
    return slope


def _tanh_slope(x: Reals) -> Reals:
    slope: Reals = 1.0 / np.cosh(np.clip(x, -350.0, 350.0)) ** 2
    return slope


def _logistic(x: Reals) -> Reals:
    value: Reals = 1.0 / (1.0 + np.exp(-np.clip(x, -700.0, 700.0)))
    return value


def _sigmoid_slope(x: Reals) -> Reals:
    value = _logistic(-np.abs(x))
    return value * (1.0 - value)


def _finite(slope: Reals) -> Reals:
    """Zero at a pole: there the remainder says what can happen."""
    return np.where(np.isfinite(slope), slope, 0.0)
