"""Choosing, moving and comparing elements: exact, infinities included.

A NaN among candidates leaves the choice UNDEFINED; comparisons with NaN are false, as IEEE 754
has them. GATHER and TREE come with the element that was led to. Knows no tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from oracle.core.schema import ElementType
from oracle.court.case import Case
from oracle.court.number import is_nan, order_key, width
from oracle.court.rules import singles
from oracle.court.verdict import Verdict, equal, undefined
from oracle.program.opcode import Opcode

_BOOL: Final = ElementType.BOOL


def copy(case: Case) -> Verdict:
    """The first operand whose guards hold, else the fill."""
    kind = case.output_type
    if any(operand_kind is not kind for operand_kind in case.operand_types):
        return undefined(kind, case.claimed, "a copy does not change the type")
    for operand in case.operands:
        if operand[0] is not None:
            return equal(kind, case.claimed, operand[0])
    if not case.attributes:
        return undefined(kind, case.claimed, "no operand's guards hold and there is no fill")
    return equal(kind, case.claimed, case.attributes[0] & ((1 << width(kind)) - 1))


def moved(case: Case) -> Verdict:
    """GATHER and TREE: the element that was led to."""
    operands = singles(case, (case.output_type,))
    if isinstance(operands, str):
        return undefined(case.output_type, case.claimed, operands)
    return equal(case.output_type, case.claimed, operands[0])


def where(case: Case) -> Verdict:
    """a ? b : c."""
    operands = singles(case, (_BOOL, case.output_type, case.output_type))
    if isinstance(operands, str):
        return undefined(case.output_type, case.claimed, operands)
    condition, chosen, other = operands
    return equal(case.output_type, case.claimed, chosen if condition else other)


def extreme(case: Case) -> Verdict:
    """MAX, MIN, REDUCE_MAX, REDUCE_MIN, ARGMAX, ARGMIN, TOPK_VALUE and TOPK_INDEX.

    Candidates in order of preference: by value, then the lower position (the higher one if ARGMAX
    or ARGMIN say so).
    """
    kind = case.operand_types[0]
    by_position = case.opcode in _BY_POSITION
    if any(other is not kind for other in case.operand_types) or kind is _BOOL:
        return undefined(case.output_type, case.claimed, "no rule for these types")
    if case.output_type is not (ElementType.INT64 if by_position else kind):
        return undefined(case.output_type, case.claimed, "no rule for this output type")
    if case.opcode in (Opcode.MAX, Opcode.MIN):
        candidates = [(n, operand[0]) for n, operand in enumerate(case.operands)]
        if any(bits is None for _, bits in candidates):
            return undefined(kind, case.claimed, "a guard fails for an operand that is needed")
    else:
        candidates = list(enumerate(case.operands[0]))
    counted = [(place, bits) for place, bits in candidates if bits is not None]
    if any(is_nan(kind, bits) for _, bits in counted):
        return undefined(case.output_type, case.claimed, "a candidate is not a number")
    rank = case.rank if case.opcode in _RANKED else 0
    if rank >= len(counted):
        return undefined(case.output_type, case.claimed, "fewer candidates than the rank")
    sign = -1 if _largest(case) else 1
    late = -1 if case.opcode in _ARGUMENT and case.attributes[0] else 1
    counted.sort(key=lambda entry: (sign * order_key(kind, entry[1]), late * entry[0]))
    place, bits = counted[rank]
    return equal(case.output_type, case.claimed, place if by_position else bits)


def compare(case: Case) -> Verdict:
    """LESS, LESS_EQUAL and EQUAL of two elements of one type."""
    if not case.operand_types or case.output_type is not _BOOL:
        return undefined(case.output_type, case.claimed, "no rule for these types")
    kind = case.operand_types[0]
    operands = singles(case, (kind, kind))
    if isinstance(operands, str):
        return undefined(_BOOL, case.claimed, operands)
    a, b = (order_key(kind, bits) for bits in operands)
    if any(is_nan(kind, bits) for bits in operands):
        result = False
    elif case.opcode is Opcode.EQUAL:
        result = a == b
    else:
        result = a < b or (case.opcode is Opcode.LESS_EQUAL and a == b)
    return equal(_BOOL, case.claimed, int(result))


def logic(case: Case) -> Verdict:
    """AND, OR and XOR of two bools; any bits but 0 are true."""
    operands = singles(case, (_BOOL, _BOOL))
    if isinstance(operands, str) or case.output_type is not _BOOL:
        return undefined(case.output_type, case.claimed, "no rule for these types")
    a, b = (bits != 0 for bits in operands)
    match case.opcode:
        case Opcode.AND:
            result = a and b
        case Opcode.OR:
            result = a or b
        case _:
            result = a != b
    return equal(_BOOL, case.claimed, int(result))


_ARGUMENT: Final = frozenset({Opcode.ARGMAX, Opcode.ARGMIN})
_RANKED: Final = frozenset({Opcode.TOPK_VALUE, Opcode.TOPK_INDEX})
_BY_POSITION: Final = _ARGUMENT | {Opcode.TOPK_INDEX}
_LARGEST: Final = frozenset({Opcode.MAX, Opcode.REDUCE_MAX, Opcode.ARGMAX})

RULES: Final[Mapping[Opcode, Callable[[Case], Verdict]]] = MappingProxyType(
    {
        Opcode.COPY: copy,
        Opcode.GATHER: moved,
        Opcode.TREE: moved,
        Opcode.WHERE: where,
        Opcode.MAX: extreme,
        Opcode.MIN: extreme,
        Opcode.REDUCE_MAX: extreme,
        Opcode.REDUCE_MIN: extreme,
        Opcode.ARGMAX: extreme,
        Opcode.ARGMIN: extreme,
        Opcode.TOPK_VALUE: extreme,
        Opcode.TOPK_INDEX: extreme,
        Opcode.LESS: compare,
        Opcode.LESS_EQUAL: compare,
        Opcode.EQUAL: compare,
        Opcode.AND: logic,
        Opcode.OR: logic,
        Opcode.XOR: logic,
    }
)


def _largest(case: Case) -> bool:
    if case.opcode in _RANKED:
        return case.attributes[0] != 0
    return case.opcode in _LARGEST
