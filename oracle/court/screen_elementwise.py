"""Operations that read one element of each operand and are exact or correctly rounded.

numpy's +, -, ·, / and sqrt on float32 round to nearest even and keep subnormals, as R1 asks, and
its integers wrap. A function gives None for types that the court has no rule for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Final

import numpy as np

from oracle.court.operands import Array
from oracle.court.screen_nest import Nest
from oracle.court.screen_result import NO, Expected, infinite_or_nan, nan
from oracle.program.opcode import Opcode

_ARITHMETIC: Final[dict[Opcode, Callable[[Array, Array], Array]]] = {
    Opcode.ADD: np.add,
    Opcode.SUB: np.subtract,
    Opcode.MUL: np.multiply,
}

_CHOICE: Final[dict[Opcode, Callable[[Array, Array], Array]]] = {
    Opcode.MAX: np.maximum,
    Opcode.MIN: np.minimum,
}

_COMPARISON: Final[dict[Opcode, Callable[[Array, Array], Array]]] = {
    Opcode.LESS: np.less,
    Opcode.LESS_EQUAL: np.less_equal,
    Opcode.EQUAL: np.equal,
}

_LOGIC: Final[dict[Opcode, Callable[[Array, Array], Array]]] = {
    Opcode.AND: np.logical_and,
    Opcode.OR: np.logical_or,
    Opcode.XOR: np.logical_xor,
}

_UNARY: Final[dict[Opcode, Callable[[Array], Array]]] = {
    Opcode.NEG: np.negative,
    Opcode.ABS: np.absolute,
    Opcode.SIGN: np.sign,
    Opcode.FLOOR: np.floor,
    Opcode.CEIL: np.ceil,
    Opcode.ROUND: np.rint,
    Opcode.SQRT: np.sqrt,
}

ELEMENTWISE: Final = frozenset(
    {
        *_ARITHMETIC,
        *_CHOICE,
        *_COMPARISON,
        *_LOGIC,
        *_UNARY,
        Opcode.DIV,
        Opcode.NOT,
        Opcode.WHERE,
        Opcode.CAST,
    }
)


def element_values(nest: Nest) -> Expected | None:
    """The values over the domain."""
    if any(operand.guards for operand in nest.operands):
        return None
    opcode = nest.step.opcode
    operands = [nest.element(number) for number in range(len(nest.operands))]
    if opcode is Opcode.WHERE:
        return _where(nest, operands)
    operands = [_truth(operand) for operand in operands]
    kinds = {operand.dtype for operand in operands}
    if opcode is Opcode.CAST:
        return _cast(nest, operands[0])
    if len(kinds) != 1:
        return None
    (kind,) = kinds
    if opcode in _COMPARISON:
        return _typed(nest, Expected(_COMPARISON[opcode](*operands)))
    if kind.kind == "b":
        if opcode is Opcode.NOT:
            return _typed(nest, Expected(~operands[0]))
        return _typed(nest, Expected(_LOGIC[opcode](*operands))) if opcode in _LOGIC else None
    if opcode in _CHOICE:
        # NaN spreads through numpy's maximum, so the result shows whether there was one.
        result = reduce(_CHOICE[opcode], operands)
        return _typed(nest, Expected(result, undefined=nan(result)))
    if opcode in _UNARY:
        return _typed(nest, _unary(opcode, operands[0]))
    if opcode is Opcode.DIV or opcode in _ARITHMETIC:
        return _typed(nest, _arithmetic(opcode, *operands))
    return None


def _typed(nest: Nest, result: Expected | None) -> Expected | None:
    if result is None or result.values.dtype != nest.output.dtype:
        return None
    return result


def _where(nest: Nest, operands: list[Array]) -> Expected | None:
    condition, first, second = operands
    if condition.dtype.kind != "b" or first.dtype != second.dtype:
        return None
    return _typed(nest, Expected(np.where(_truth(condition), first, second)))


def _truth(operand: Array) -> Array:
    """Bools that numpy can be trusted with: what it makes of a committed byte 2 is not fixed."""
    if operand.dtype.kind != "b":
        return operand
    return np.asarray(operand.view(np.uint8) != 0)


def _arithmetic(opcode: Opcode, a: Array, b: Array) -> Expected | None:
    if a.dtype.name == "float64":
        return None
    if opcode is Opcode.DIV:
        return _divide(a, b)
    result = _ARITHMETIC[opcode](a, b)
    if a.dtype.kind != "f" or np.isfinite(result).all():
        return Expected(result)
    return Expected(result, undefined=infinite_or_nan(a) | infinite_or_nan(b))


def _divide(a: Array, b: Array) -> Expected:
    if a.dtype.kind == "f":
        return Expected(a / b, undefined=infinite_or_nan(a) | infinite_or_nan(b) | (b == 0))
    undefined = b == 0
    if a.dtype.kind == "i":
        undefined |= (b == -1) & (a == np.iinfo(a.dtype).min)
    divisor = np.where(undefined, np.ones((), dtype=b.dtype), b)
    quotient = a // divisor
    if a.dtype.kind == "i":  # toward zero, where numpy rounds down
        quotient = quotient + ((a % divisor != 0) & ((a < 0) != (divisor < 0)))
    return Expected(quotient.astype(a.dtype), undefined=undefined)


def _unary(opcode: Opcode, a: Array) -> Expected | None:
    signs = opcode in (Opcode.NEG, Opcode.ABS)
    if a.dtype.kind != "f":
        return Expected(_UNARY[opcode](a)) if signs or opcode is Opcode.SIGN else None
    result = _UNARY[opcode](a)
    if signs:
        return Expected(result)
    if a.dtype.name != "float32":
        return None
    if opcode is Opcode.SIGN:
        return Expected(result, undefined=nan(a))
    return Expected(result, undefined=infinite_or_nan(a) | nan(result))


def _cast(nest: Nest, a: Array) -> Expected:
    target = nest.output.dtype
    if target.kind == "b":
        return Expected(np.asarray(a != 0), undefined=nan(a))
    if a.dtype.kind != "f":
        return Expected(a.astype(target))
    if target.kind == "f":
        return Expected(a.astype(target), undefined=nan(a))
    limits = np.iinfo(target)
    whole = np.trunc(a.astype(np.float64))
    # 2^63 and 2^64 are exact in float64, the greatest int64 is not.
    known = (whole >= float(limits.min)) & (whole < float(int(limits.max) + 1))
    values = np.where(known, whole, 0.0).astype(target)
    return Expected(values, undefined=~known if not known.all() else NO)
