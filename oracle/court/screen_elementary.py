"""The screen of EXP, LOG, ERF, TANH, SIGMOID and SOFTPLUS: float64 functions (R4).

The float64 functions of numpy and of the C library are within a few 2^-52 of the true ones; the
screen allows itself 2^-44, so that it is sure long before the bound of about 8·2^-24 is reached.
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
            found = np.fromiter(map(math.erf, x.reshape(-1).tolist()), np.float64, x.size)
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
    size = np.abs(value)
    match opcode:
        case Opcode.SIGMOID:
            bound: Array | float = _SIGMOID
        case Opcode.SOFTPLUS:
            bound = _RELATIVE * (1 + size)
        case _:
            bound = _RELATIVE * size + _SMALLEST
    within = (np.abs(claimed - value) <= bound) & np.isfinite(claimed) & np.isfinite(value)
    within |= (claimed == np.inf) & (value > _OVERFLOWS) if opcode is Opcode.EXP else False
    if opcode is Opcode.LOG:
        undefined |= x <= 0
    return Screening(within & ~undefined, undefined)
