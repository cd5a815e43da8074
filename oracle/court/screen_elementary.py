"""The screen of EXP, LOG, ERF, TANH, SIGMOID and SOFTPLUS: float64 functions (R4).

The float64 functions of numpy and of the C library are within a few 2^-52 of the true ones, and
the error function below within 2^-35; the screen allows itself 2^-44 and 2^-34, so that it is sure
long before the bound of about 8·2^-24 is reached.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from oracle.core.schema import ElementType
from oracle.court.operands import Array
from oracle.court.screen_nest import Nest
from oracle.court.screen_result import Screening
from oracle.program.opcode import Opcode

ELEMENTARY: Final = frozenset(
    {Opcode.EXP, Opcode.LOG, Opcode.ERF, Opcode.TANH, Opcode.SIGMOID, Opcode.SOFTPLUS}
)

_OWN: Final = 2.0**-44
"""Error allowed to the float64 functions: relative, or of 1 + |f|."""

_RELATIVE: Final = 2.0**-21 - 4 * _OWN
_ERF: Final = 2.0**-21 - 4 * 2.0**-34
_SMALLEST: Final = 2.0**-126 * (1 - 2.0**-20)
_SIGMOID: Final = 2.0**-22 - 4 * _OWN
_OVERFLOWS: Final = 2.0**128
"""A claim of infinity is within where the function certainly rounds to it."""


def elementary_values(opcode: Opcode, x: Array) -> Array:
    """The function in float64."""
    x = x.astype(np.float64)
    match opcode:
        case Opcode.EXP:
            found = np.exp(x)
        case Opcode.LOG:
            found = np.log(x)
        case Opcode.ERF:
            found = _error_function(x)
        case Opcode.TANH:
            found = np.tanh(x)
        case Opcode.SIGMOID:
            found = 1 / (1 + np.exp(-x))
        case _:
            found = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return np.asarray(found).reshape(x.shape)


def screen_elementary(nest: Nest, claimed: Array) -> Screening:
    """Certain verdicts."""
    (a,) = nest.operands
    if nest.output is not ElementType.FLOAT32 or a.flat.dtype != np.dtype("<f4") or a.guards:
        return Screening.none(nest.domain)
    x = nest.element(0)
    opcode = nest.step.opcode
    value = elementary_values(opcode, x)
    undefined = ~np.isfinite(x)
    match opcode:
        case Opcode.SIGMOID:
            bound: Array | float = _SIGMOID
        case Opcode.SOFTPLUS:
            bound = _RELATIVE * (1 + np.abs(value))
        case Opcode.ERF:
            bound = _ERF * np.abs(value) + _SMALLEST
        case _:
            bound = _RELATIVE * np.abs(value) + _SMALLEST
    # Never so for infinities: a distance of NaN is not less, nor an infinite one than such a bound.
    within = np.abs(claimed - value) < bound
    if opcode is Opcode.EXP and not within.all():
        within |= (claimed == np.inf) & (value > _OVERFLOWS)
    if opcode is Opcode.LOG:
        undefined |= x <= 0
    return Screening(within & ~undefined, undefined)


def _error_function(x: Array) -> Array:
    """erf by Taylor's formula of third order from the nearest of a table of points.

    The next term is at most 4.5/4!·(2^-9)^4 < 2^-38 anywhere, and below 2^-35 of erf(x): near 0
    it is smaller by x. Beyond the table erf is within 2^-54 of 1. (numpy has no erf, and one
    call of `math.erf` for each element was a sixth of the check of a transformer.)
    """
    size = np.minimum(np.abs(x), _LAST_POINT)
    nearest = np.rint(size * _POINTS)
    d = size - nearest / _POINTS
    place = np.where(np.isnan(nearest), 0, nearest).astype(np.int64)
    zeroth, first, second, third = (derivative[place] for derivative in _TAYLOR)
    return np.copysign(((third * d + second) * d + first) * d + zeroth, x)


_POINTS: Final = 256.0
_LAST_POINT: Final = 6.0


def _taylor() -> tuple[Array, Array, Array, Array]:
    x = np.arange(int(_LAST_POINT * _POINTS) + 1) / _POINTS
    slope = 2 / math.sqrt(math.pi) * np.exp(-x * x)
    return np.array([*map(math.erf, x)]), slope, -x * slope, (2 * x * x - 1) / 3 * slope


_TAYLOR: Final = _taylor()
