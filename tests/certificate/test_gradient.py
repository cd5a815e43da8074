"""The reverse pass against finite differences, operation by operation and on whole programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oracle.certificate.gradient import gradients
from oracle.core.schema import ElementType
from oracle.program.instruction import Guard, Instruction, Program
from oracle.program.opcode import Opcode
from tests.certificate import models
from tests.certificate.building import Builder
from tests.certificate.reals import real

Handle = Any
RANDOM = np.random.default_rng(5)


def _forward(program: Program, row: list[NDArray[Any]], after: int = -1) -> list[NDArray[Any]]:
    """Reals all the way, beginning behind instruction `after`."""
    values = list(row)
    for step in program.instructions[after + 1 :]:
        values[step.output] = real(program, step, values)
    return values


def check(program: Program, *inputs: Any, most: int = 40, step: float = 1e-6) -> None:
    """d output / d element of every committed element (at most `most` of each tensor)."""
    row: list[NDArray[Any]] = [np.zeros(0)] * len(program.tensors)
    for tensor, values in zip(program.inputs, inputs, strict=True):
        row[tensor] = np.asarray(values, dtype=np.float64).reshape(-1)
    row = _forward(program, row)
    (output,) = program.outputs
    targets = [(output, position) for position in range(program.tensors[output].size)]
    seen = dict(gradients(program, row, targets))
    assert program.producer[output] in seen
    for number, instruction in enumerate(program.instructions):
        _check_step(program, row, number, instruction, seen.get(number), most, step)


def _check_step(
    program: Program,
    row: list[NDArray[Any]],
    number: int,
    instruction: Instruction,
    found: NDArray[np.float64] | None,
    most: int,
    step: float,
) -> None:
    (output,) = program.outputs
    size = instruction.size
    for position in range(0, size, max(1, size // most)):
        ends = []
        for sign in (1, -1):
            moved = list(row)
            moved[instruction.output] = row[instruction.output].copy()
            moved[instruction.output][position] += sign * step
            ends.append(_forward(program, moved, number)[output])
        expected = (ends[0] - ends[1]) / (2 * step)
        got = found[:, position] if found is not None else np.zeros_like(expected)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6, err_msg=instruction.name)


def _through(make: Callable[[Builder, Handle], Handle], x: Any) -> None:
    """`make` applied to a committed tensor, then a linear map so that all adjoints differ."""
    builder = Builder()
    source = builder.input(*np.shape(x))
    start = builder.pointwise(Opcode.MUL, source, builder.constant(np.float32(1.5)))
    made = make(builder, start)
    flat = builder.flatten(made)
    weights = RANDOM.normal(size=(3, builder.shape(flat)[0]))
    check(builder.program(builder.dense(flat, weights)), x)


X = RANDOM.normal(size=(3, 4))
Y = RANDOM.normal(size=(3, 1))


@pytest.mark.parametrize(
    ("opcode", "shift"),
    [
        (Opcode.EXP, 0.0),
        (Opcode.ERF, 0.0),
        (Opcode.TANH, 0.0),
        (Opcode.SIGMOID, 0.0),
        (Opcode.SOFTPLUS, 0.0),
        (Opcode.LOG, 5.0),
        (Opcode.SQRT, 5.0),
        (Opcode.NEG, 0.0),
        (Opcode.ABS, 0.0),
        (Opcode.FLOOR, 0.0),
        (Opcode.SIGN, 0.0),
        (Opcode.ROUND, 0.0),
    ],
)
def test_unary(opcode: Opcode, shift: float) -> None:
    _through(lambda builder, x: builder.pointwise(opcode, x), X + shift)


@pytest.mark.parametrize(
    "opcode", [Opcode.ADD, Opcode.SUB, Opcode.MUL, Opcode.DIV, Opcode.MAX, Opcode.MIN]
)
def test_binary_with_broadcasting_and_itself(opcode: Opcode) -> None:
    _through(lambda b, x: b.pointwise(opcode, x, b.constant(Y)), X)
    _through(lambda b, x: b.pointwise(opcode, b.constant(Y), x), X)
    _through(lambda b, x: b.pointwise(opcode, b.reduce(Opcode.SUM, x), x), X)
    if opcode not in (Opcode.MAX, Opcode.MIN):
        _through(lambda b, x: b.pointwise(opcode, x, x), X)


@pytest.mark.parametrize(
    ("opcode", "attributes"),
    [
        (Opcode.SUM, ()),
        (Opcode.MEAN, (0,)),
        (Opcode.MEAN, (3,)),
        (Opcode.REDUCE_MAX, ()),
        (Opcode.REDUCE_MIN, ()),
    ],
)
def test_reductions(opcode: Opcode, attributes: tuple[int, ...]) -> None:
    _through(lambda builder, x: builder.reduce(opcode, x, attributes), X)


@pytest.mark.parametrize("largest", [0, 1])
def test_topk(largest: int) -> None:
    def make(builder: Builder, x: Handle) -> Handle:
        access = builder.access(x, (4, 0, 1))
        return builder.step(Opcode.TOPK_VALUE, (3, 2), [access], (4,), (largest,))

    _through(make, X)


def test_matrix_product_of_two_committed_tensors() -> None:
    def make(builder: Builder, x: Handle) -> Handle:
        """Two heads: x[h, i, k] · tanh(x)[h, j, k]."""
        other = builder.pointwise(Opcode.TANH, x)
        operands = [
            builder.access(x, (6, 3, 0, 1)),
            builder.access(other, (6, 0, 3, 1)),
        ]
        return builder.step(Opcode.DOT, (2, 2, 2), operands, (3,))

    _through(make, RANDOM.normal(size=(2, 2, 3)))


@pytest.mark.parametrize(("padding", "stride"), [(0, 1), (1, 1), (1, 2), (2, 2)])
def test_convolution(padding: int, stride: int) -> None:
    weights = RANDOM.normal(size=(4, 2, 3, 3))
    x = RANDOM.normal(size=(2, 5, 6))
    _through(lambda builder, h: builder.convolve(h, weights, padding, stride), x)


def test_depthwise_convolution_and_padded_mean() -> None:
    def make(builder: Builder, x: Handle) -> Handle:
        guards = (
            Guard(-1, (0, 1, 0, 1, 0), 4),
            Guard(-1, (0, 0, 1, 0, 1), 5),
        )
        window = builder.access(x, (20, 5, 1, 5, 1), -6, guards)
        kernel = builder.access(builder.constant(RANDOM.normal(size=(3, 3, 3))), (9, 0, 0, 3, 1))
        made = builder.step(Opcode.DOT, (3, 4, 5), [window, kernel], (3, 3))
        window = builder.access(made, (20, 5, 1, 5, 1), -6, guards)
        return builder.step(Opcode.MEAN, (3, 4, 5), [window], (3, 3), (0,))

    _through(make, RANDOM.normal(size=(3, 4, 5)))


def test_where_gather_cast_and_concatenation() -> None:
    def make(builder: Builder, x: Handle) -> Handle:
        mask = builder.constant(RANDOM.random((3, 4)) < 0.5)
        chosen = builder.pointwise(Opcode.WHERE, mask, x, builder.pointwise(Opcode.EXP, x))
        index = builder.constant(np.array([2, -3, 0], dtype=np.int64))
        operands = [builder.access(chosen, (0, 1)), builder.access(index, (1, 0))]
        rows = builder.step(Opcode.GATHER, (3, 4), operands, attributes=(4, 3))
        wide = builder.pointwise(Opcode.CAST, rows, element=ElementType.FLOAT64)
        narrow = builder.pointwise(Opcode.CAST, wide)
        left = builder.access(narrow, (4, 1), guards=[Guard(0, (0, 1), 4)])
        right = builder.access(x, (4, 1), -4, guards=[Guard(-4, (0, 1), 4)])
        return builder.step(Opcode.COPY, (3, 10), [left, right], attributes=(0,))

    _through(make, X)


def test_reversed_axis_and_transpose() -> None:
    def make(builder: Builder, x: Handle) -> Handle:
        turned = builder.access(x, (-1, 4), 3)
        return builder.step(Opcode.COPY, (4, 3), [turned], attributes=(0,))

    _through(make, X)


@pytest.mark.parametrize("name", sorted(models.MODELS))
def test_whole_programs(name: str) -> None:
    program, inputs = models.MODELS[name]()
    check(program, *inputs(np.random.default_rng(1)), most=8, step=1e-7)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_programs(seed: int) -> None:
    random = np.random.default_rng(seed)
    builder = Builder()
    pool = [builder.input(2, 4)]
    unary = [Opcode.TANH, Opcode.ERF, Opcode.SIGMOID, Opcode.SOFTPLUS, Opcode.NEG]
    binary = [Opcode.ADD, Opcode.SUB, Opcode.MUL]
    for _ in range(6):
        x, y = (pool[random.integers(len(pool))] for _ in range(2))
        match random.integers(5):
            case 0:
                pool.append(builder.pointwise(unary[random.integers(len(unary))], x))
            case 1:
                made = builder.pointwise(binary[random.integers(len(binary))], x, y)
                pool.append(builder.pointwise(Opcode.TANH, made))
            case 2:
                width = builder.shape(x)[-1]
                pool.append(builder.dense(x, random.normal(size=(4, width))))
            case 3:
                pool.append(builder.pointwise(Opcode.SUB, x, builder.reduce(Opcode.MEAN, x, (0,))))
            case _:
                first = builder.access(x, (4, 0, 1))
                second = builder.access(y, (0, 4, 1))
                gram = builder.step(Opcode.DOT, (2, 2), [first, second], (4,))
                pool.append(builder.dense(gram, random.normal(size=(4, 2))))
    last = builder.pointwise(Opcode.TANH, pool[-1])
    check(builder.program(last), random.normal(size=(2, 4)), step=1e-6)
