"""A bool is a byte, 0 or 1: whatever produces another byte is convicted, rule by rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oracle.core.schema import ElementType, ModelSchema, TensorSpec
from oracle.core.tensor import decode_inputs
from oracle.core.types import Tier
from oracle.court.check import check_trace
from oracle.court.judge import judge_element
from oracle.court.verdict import Outcome
from oracle.errors import TensorError
from oracle.program.instruction import Guard, Program, Space, Trace
from oracle.program.opcode import Opcode
from tests.certificate.building import Builder

BOOL, FLOAT = ElementType.BOOL, ElementType.FLOAT32
Handle = Any
LENGTH = 40
"""Long enough for numpy's vector loops, which treat a byte 2 in their own ways."""


def _bools(opcode: Opcode, count: int) -> Callable[[Builder], Handle]:
    def make(builder: Builder) -> Handle:
        inputs = [builder.input(LENGTH, element=BOOL) for _ in range(count)]
        return builder.pointwise(opcode, *inputs, element=BOOL)

    return make


def _compared(opcode: Opcode, element: ElementType) -> Callable[[Builder], Handle]:
    def make(builder: Builder) -> Handle:
        inputs = [builder.input(LENGTH, element=element) for _ in range(2)]
        return builder.pointwise(opcode, *inputs, element=BOOL)

    return make


def _cast(element: ElementType) -> Callable[[Builder], Handle]:
    return lambda builder: builder.pointwise(
        Opcode.CAST, builder.input(LENGTH, element=element), element=BOOL
    )


def _padded(builder: Builder) -> Handle:
    source = builder.input(LENGTH, element=BOOL)
    access = builder.access(source, (1,), 0, [Guard(0, (1,), LENGTH)])
    return builder.step(Opcode.COPY, (LENGTH + 3,), [access], attributes=(1,), element=BOOL)


def _gathered(builder: Builder) -> Handle:
    source = builder.input(LENGTH, element=BOOL)
    index = builder.constant(np.arange(LENGTH, dtype=np.int64)[::-1])
    operands = [builder.access(source, (0,)), builder.access(index, (1,))]
    return builder.step(Opcode.GATHER, (LENGTH,), operands, attributes=(1, LENGTH), element=BOOL)


PRODUCERS: dict[str, Callable[[Builder], Handle]] = {
    "LESS": _compared(Opcode.LESS, FLOAT),
    "LESS_EQUAL": _compared(Opcode.LESS_EQUAL, FLOAT),
    "EQUAL of floats": _compared(Opcode.EQUAL, FLOAT),
    "EQUAL of bools": _compared(Opcode.EQUAL, BOOL),
    "NOT": _bools(Opcode.NOT, 1),
    "AND": _bools(Opcode.AND, 2),
    "OR": _bools(Opcode.OR, 2),
    "XOR": _bools(Opcode.XOR, 2),
    "CAST of floats": _cast(FLOAT),
    "CAST of integers": _cast(ElementType.INT32),
    "CAST of bools": _cast(BOOL),
    "COPY": _padded,
    "WHERE": _bools(Opcode.WHERE, 3),
    "GATHER": _gathered,
}


def _run(name: str, *, odd: bool = False) -> tuple[Program, list[NDArray[Any]]]:
    """A program of one rule and a run of it in which the judge takes every element.

    `odd`: its bool inputs hold bytes 2, too.
    """
    builder = Builder(Tier.EXACT)
    program = builder.program(PRODUCERS[name](builder))
    random = np.random.default_rng(3)
    row: list[NDArray[Any]] = []
    for tensor in program.inputs:
        info = program.tensors[tensor]
        if info.element is BOOL:
            row.append(random.integers(0, 3 if odd else 2, info.size).astype(np.uint8).view(bool))
        else:
            row.append(random.integers(-1, 2, info.size).astype(info.element.dtype))
    return program, [*row, _judged(program, row)]


def _judged(program: Program, row: list[NDArray[Any]]) -> NDArray[Any]:
    """The one byte for each element that the exact judge takes."""
    (step,) = program.instructions

    def read(space: Space, tensor: int, place: int) -> int:
        value = (row if space is Space.TRACE else program.constant_values)[tensor]
        return int(value.view(f"u{value.itemsize}")[place])

    found = []
    for position in range(step.size):
        verdicts = [judge_element(program, step, position, read, byte) for byte in range(256)]
        (byte,) = [n for n, said in enumerate(verdicts) if said.outcome is Outcome.WITHIN]
        assert sum(said.convicts for said in verdicts) == 255
        found.append(byte)
    return np.array(found, dtype=np.uint8).view(np.bool_)


@pytest.mark.parametrize("name", sorted(PRODUCERS))
@pytest.mark.parametrize("odd", [False, True])
def test_whatever_first_produces_another_byte_is_convicted(name: str, odd: bool) -> None:
    program, row = _run(name, odd=odd)
    assert check_trace(program, Trace((tuple(row),))).honest
    output = program.outputs[0]
    honest = row[output].view(np.uint8)
    for wrong in (0, 1, 2, 3, 255):
        positions = np.flatnonzero(honest != wrong)
        claimed = np.where(honest != wrong, np.uint8(wrong), honest).view(np.bool_)
        cheat = (*row[:output], claimed)
        report = check_trace(program, Trace((cheat,)), most=LENGTH + 3)
        assert [found.position for found in report.violations] == positions.tolist()
        assert report.undefined == 0


@pytest.mark.parametrize("name", ["COPY", "WHERE", "GATHER"])
def test_a_moved_byte_is_that_byte(name: str) -> None:
    """What only moves bytes is right to pass on a 2: who made it is convicted, nobody else."""
    program, row = _run(name, odd=True)
    assert 2 in row[program.outputs[0]].view(np.uint8)


@pytest.mark.parametrize("name", sorted(set(PRODUCERS) - {"COPY", "WHERE", "GATHER"}))
def test_a_computed_bool_is_zero_or_one(name: str) -> None:
    program, row = _run(name, odd=True)
    assert set(row[program.outputs[0]].view(np.uint8).tolist()) <= {0, 1}


@pytest.mark.parametrize("byte", [2, 3, 128, 255])
def test_another_byte_is_no_input(byte: int) -> None:
    """A worker decodes a request before it admits it, so the first wrong byte is a rule's."""
    flags = TensorSpec("flags", BOOL, (None, 4))
    schema = ModelSchema(inputs=(flags,), outputs=(flags,), max_batch=2)
    assert decode_inputs(schema, bytes([0, 1, 1, 0]))["flags"].tolist() == [[0, 1, 1, 0]]
    with pytest.raises(TensorError, match=f"is {byte}, not a bool"):
        decode_inputs(schema, bytes([0, 1, byte, 0]))
