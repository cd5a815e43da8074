"""The screen: certain verdicts on all elements of an instruction, many rows at once.

Chooses the screen of each opcode and cuts large nests into boxes. A screen says "within" or
"undefined" only where the exact judge (`judge`) would; all else it leaves open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from oracle.court.operands import Array
from oracle.court.screen_elementary import ELEMENTARY, elementary_values, screen_elementary
from oracle.court.screen_elementwise import ELEMENTWISE, element_values
from oracle.court.screen_linear import linear_values, screen_linear
from oracle.court.screen_matrix import Memory
from oracle.court.screen_nest import Nest, fits, parts
from oracle.court.screen_quantised import dequantised, integer_dot, rescaled
from oracle.court.screen_result import Expected, Screening
from oracle.court.screen_selection import (
    copy_values,
    extreme_values,
    gather_values,
    position_values,
    top_values,
)
from oracle.court.screen_tree import tree_values
from oracle.errors import InputError, TensorError
from oracle.program.opcode import Opcode

LINEAR: Final = frozenset({Opcode.DOT, Opcode.SUM, Opcode.MEAN})
RESCALED: Final = frozenset({Opcode.QUANTIZE, Opcode.QUANTIZED_DOT})

EXACT: Final[Mapping[Opcode, Callable[[Nest], Expected | None]]] = MappingProxyType(
    {
        **dict.fromkeys(ELEMENTWISE, element_values),
        Opcode.COPY: copy_values,
        Opcode.REDUCE_MAX: extreme_values,
        Opcode.REDUCE_MIN: extreme_values,
        Opcode.ARGMAX: position_values,
        Opcode.ARGMIN: position_values,
        Opcode.TOPK_VALUE: top_values,
        Opcode.TOPK_INDEX: top_values,
        Opcode.GATHER: gather_values,
        Opcode.TREE: tree_values,
        Opcode.DEQUANTIZE: dequantised,
    }
)
"""Operations with one possible value per element."""

_WHOLE: Final = frozenset({Opcode.TREE, Opcode.TOPK_VALUE, Opcode.TOPK_INDEX, Opcode.COPY})
"""Not cut along the domain: the last axis has a meaning, or guards make boxes of their own."""


def screen(nest: Nest, claimed: Array, memory: Memory) -> Screening:
    """Certain verdicts on every element; `claimed` has the shape of the nest's domain."""
    try:
        with np.errstate(all="ignore"):
            return _screen(nest, claimed, memory)
    except TensorError:  # an access that leaves its tensor: the exact judge says what that means
        return Screening.none(nest.domain)


def _screen(nest: Nest, claimed: Array, memory: Memory) -> Screening:
    opcode = nest.step.opcode
    if opcode in LINEAR:
        return screen_linear(nest, claimed, memory)
    if opcode is Opcode.INTEGER_DOT:
        sums = integer_dot(nest, memory)
        return Screening.none(nest.domain) if sums is None else sums.screen(claimed)
    if opcode is Opcode.QUANTIZED_DOT:
        return _rescaled(nest, claimed, memory)
    if opcode in _WHOLE:
        return _boxed(nest, claimed, memory)
    if fits(nest):
        return _boxed(nest, claimed, memory)
    within = np.empty(nest.domain, dtype=np.bool_)
    undefined = np.empty(nest.domain, dtype=np.bool_)
    for place, part in parts(nest):
        found = _boxed(part, claimed[place], memory)
        within[place], undefined[place] = found.within, found.undefined
    return Screening(within, undefined)


def _boxed(nest: Nest, claimed: Array, memory: Memory) -> Screening:
    opcode = nest.step.opcode
    if opcode in ELEMENTARY:
        return screen_elementary(nest, claimed)
    if opcode is Opcode.QUANTIZE:
        return _rescaled(nest, claimed, memory)
    expected = EXACT[opcode](nest)
    return Screening.none(nest.domain) if expected is None else expected.screen(claimed)


def _rescaled(nest: Nest, claimed: Array, memory: Memory) -> Screening:
    found = rescaled(nest, memory)
    return Screening.none(nest.domain) if found is None else found.screen(claimed)


def values(nest: Nest, memory: Memory) -> Array:
    """What an honest run gives, over the domain: sums in float64, rounded once.

    Raises `InputError` for operand types that the operation does not have.
    """
    opcode = nest.step.opcode
    result: Array | None = None
    with np.errstate(all="ignore"):
        if opcode in LINEAR:
            result = linear_values(nest, memory)
        elif opcode in ELEMENTARY:
            result = elementary_values(opcode, nest.element(0))
        elif opcode in RESCALED:
            found = rescaled(nest, memory)
            result = None if found is None else found.rounded()
        else:
            expected = integer_dot(nest, memory) if opcode is Opcode.INTEGER_DOT else None
            expected = EXACT[opcode](nest) if opcode in EXACT else expected
            result = None if expected is None else expected.values
        if result is None:
            kinds = ", ".join(operand.flat.dtype.name for operand in nest.operands)
            raise InputError(f"{nest.step.name!r}: no {opcode.name} of {kinds}")
        return np.broadcast_to(result.astype(nest.output.dtype), nest.domain)
