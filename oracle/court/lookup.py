"""Reads the operands of an element, also where data says which element is read.

GATHER follows an index, TREE walks a table of nodes. What cannot be followed (an index out of
range, a table that loops) is `Unresolvable`, and the verdict UNDEFINED. Knows no tolerances.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from oracle.core.schema import ElementType
from oracle.court.binary32 import BINARY32
from oracle.court.case import Bits, Taps
from oracle.court.number import integer_value, order_key
from oracle.court.taps import places_read, resolve
from oracle.program.instruction import Access, Instruction, Program, Space
from oracle.program.opcode import Opcode

Read = Callable[[Space, int, int], Bits]
"""(space, tensor, flat position) -> raw bits of that element."""

NODE_WORDS: Final = 8
_INDEX_TYPES: Final = (ElementType.INT32, ElementType.INT64)


class Unresolvable(Exception):
    """The program or its data lead nowhere: no verdict."""


@dataclass(frozen=True, slots=True)
class Found:
    """The element that the data led to, and the operand that it belongs to."""

    source: int
    bits: Bits


def operands(
    program: Program, instruction: Instruction, index: tuple[int, ...], read: Read
) -> tuple[Taps, ...]:
    """The operands of the output element at domain indices `index`, as `Case` wants them."""
    found = places_read(instruction, index)
    return tuple(
        tuple(None if place is None else _element(program, access, place, read) for place in places)
        for access, places in zip(instruction.operands, found, strict=True)
    )


def resolved(
    program: Program, instruction: Instruction, index: tuple[int, ...], read: Read
) -> Found | None:
    """The one operand of a GATHER or TREE; None for every other operation."""
    if instruction.opcode is Opcode.GATHER:
        return Found(0, _gather(program, instruction, index, read))
    if instruction.opcode is Opcode.TREE:
        return Found(2, _tree(program, instruction, index, read))
    return None


def _gather(program: Program, instruction: Instruction, index: tuple[int, ...], read: Read) -> Bits:
    stride, length = instruction.attributes
    source, selector = instruction.operands
    kind = program.info(selector).element
    if kind not in _INDEX_TYPES:
        raise Unresolvable(f"an index of type {kind.value}")
    chosen = integer_value(kind, _single(program, selector, instruction, index, read))
    if chosen < 0:
        chosen += length
    if not 0 <= chosen < length:
        raise Unresolvable(f"index {chosen} is outside 0..{length - 1}")
    return _element(program, source, _base(source, instruction, index) + stride * chosen, read)


def _tree(program: Program, instruction: Instruction, index: tuple[int, ...], read: Read) -> Bits:
    stride, values = instruction.attributes
    features, table, leaves, root = instruction.operands
    expected = (ElementType.FLOAT32, ElementType.INT32, ElementType.FLOAT32, ElementType.INT32)
    kinds = tuple(program.info(access).element for access in instruction.operands)
    if kinds != expected:
        raise Unresolvable(f"operands of types {[kind.value for kind in kinds]}")
    first_feature = _base(features, instruction, index)
    first_word = _base(table, instruction, index)
    node = integer_value(ElementType.INT32, _single(program, root, instruction, index, read))
    nodes = (program.info(table).size - first_word) // NODE_WORDS
    for _ in range(nodes):
        if not 0 <= node < nodes:
            raise Unresolvable(f"node {node} is outside 0..{nodes - 1}")
        words = [
            _element(program, table, first_word + NODE_WORDS * node + word, read)
            for word in range(6)
        ]
        mode, number, threshold, holds, fails, missing = words
        number = integer_value(ElementType.INT32, number)
        if mode == 0:
            place = _base(leaves, instruction, index) + number * values + index[-1]
            return _element(program, leaves, place, read)
        feature = _element(program, features, first_feature + number * stride, read)
        taken = holds if _holds(mode, feature, threshold, missing) else fails
        node = integer_value(ElementType.INT32, taken)
    raise Unresolvable("the tree has no end")


def _holds(mode: int, feature: Bits, threshold: Bits, missing: int) -> bool:
    """Whether a branch's comparison holds; for a NaN the table's word 5 says so, in every mode."""
    if not 1 <= mode <= 6 or BINARY32.is_nan(threshold):
        raise Unresolvable(f"a branch of mode {mode} with threshold {BINARY32.text(threshold)}")
    if BINARY32.is_nan(feature):
        return missing != 0
    left, right = (order_key(ElementType.FLOAT32, bits) for bits in (feature, threshold))
    match mode:
        case 1:
            return left <= right
        case 2:
            return left < right
        case 3:
            return left >= right
        case 4:
            return left > right
        case 5:
            return left == right
        case _:
            return left != right


def _single(
    program: Program,
    access: Access,
    instruction: Instruction,
    index: tuple[int, ...],
    read: Read,
) -> Bits:
    return _element(program, access, _base(access, instruction, index), read)


def _base(access: Access, instruction: Instruction, index: tuple[int, ...]) -> int:
    place = resolve(access, (*index, *(0 for _ in instruction.reduction)))
    if place is None:
        raise Unresolvable("a guard fails for an operand that is needed")
    return place


def _element(program: Program, access: Access, place: int, read: Read) -> Bits:
    size = program.info(access).size
    if not 0 <= place < size:
        raise Unresolvable(f"position {place} is outside a tensor of {size} elements")
    return read(access.space, access.tensor, place)
