"""Bounds on integers that follow from the instructions alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.program.instruction import Access, Instruction, Program, Space, TensorInfo
from oracle.program.opcode import Opcode
from oracle.program.ranges import Range, integer_ranges


def steps(*chain: tuple[Opcode, tuple[Access, ...]], element: ElementType) -> Program:
    """A program over three elements of a type, with the constants 100 and 5."""
    infos = [TensorInfo(str(n), element, (3,), (0,)) for n in range(len(chain) + 1)]
    return Program(
        tier=Tier.EXACT,
        leaf_bytes=64,
        source_sha256=bytes(32),
        tensors=tuple(infos),
        constants=(TensorInfo("a", element, (1,), (0,)), TensorInfo("b", element, (1,), (0,))),
        constant_values=(np.array([100], element.dtype), np.array([5], element.dtype)),
        instructions=tuple(
            Instruction(opcode, n + 1, (3,), (), operands)
            for n, (opcode, operands) in enumerate(chain)
        ),
        inputs=(0,),
        outputs=(len(chain),),
    )


def at(tensor: int) -> Access:
    return Access(Space.TRACE, tensor, 0, (1,))


HUNDRED, FIVE = Access(Space.CONSTANT, 0, 0, (0,)), Access(Space.CONSTANT, 1, 0, (0,))


def test_ranges_follow_arithmetic_until_it_wraps_around() -> None:
    program = steps(
        (Opcode.MIN, (at(0), FIVE)),
        (Opcode.ADD, (at(1), HUNDRED)),
        (Opcode.ADD, (at(2), HUNDRED)),
        (Opcode.SUB, (FIVE, at(1))),
        (Opcode.MUL, (at(1), at(1))),
        element=ElementType.UINT8,
    )
    whole = Range(0, 255)
    expected = (whole, Range(0, 5), Range(100, 105), Range(200, 205), Range(0, 5), Range(0, 25))
    assert integer_ranges(program) == expected
    wrapped = steps((Opcode.ADD, (at(0), FIVE)), (Opcode.NEG, (at(1),)), element=ElementType.INT8)
    assert integer_ranges(wrapped) == (Range(-128, 127),) * 3


@pytest.mark.parametrize("turned", [False, True])
def test_a_choice_by_comparison_is_bounded_in_any_order_of_its_axes(turned: bool) -> None:
    """`x < 5 ? 5 : x`, the comparison committed in the other order of the two axes."""
    element = ElementType.INT64
    x = Access(Space.TRACE, 0, 0, (3, 1))
    across = Access(Space.TRACE, 0, 0, (1, 3))
    five = Access(Space.CONSTANT, 0, 0, (0, 0))
    lengths, strides = ((3, 2), (1, 2)) if turned else ((2, 3), (3, 1))
    less = Instruction(Opcode.LESS, 1, lengths, (), (across if turned else x, five))
    flag = Access(Space.TRACE, 1, 0, strides)
    program = Program(
        tier=Tier.EXACT,
        leaf_bytes=64,
        source_sha256=bytes(32),
        tensors=(
            TensorInfo("x", element, (2, 3), (0, 1)),
            TensorInfo("less", ElementType.BOOL, (2, 3), (1, 0) if turned else (0, 1)),
            TensorInfo("y", element, (2, 3), (0, 1)),
        ),
        constants=(TensorInfo("five", element, (1,), (0,)),),
        constant_values=(np.array([5]),),
        instructions=(less, Instruction(Opcode.WHERE, 2, (2, 3), (), (flag, five, x))),
        inputs=(0,),
        outputs=(2,),
    )
    assert integer_ranges(program)[2] == Range(5, 2**63 - 1)
    other = Access(Space.TRACE, 0, 1, (3, 1))
    elsewhere = replace(program.instructions[1], operands=(flag, five, other))
    moved = replace(program, instructions=(less, elsewhere))
    assert integer_ranges(moved)[2] == Range(-(2**63), 2**63 - 1)
