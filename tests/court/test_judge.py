"""Elements found through accesses, guards, indices and node tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.judge import RULES, judge_element
from oracle.court.taps import PER_TAP, SIGNATURES, domain_index, places_read
from oracle.court.verdict import Outcome
from oracle.program.instruction import (
    Access,
    Guard,
    Instruction,
    Program,
    Space,
    TensorInfo,
)
from oracle.program.opcode import Opcode
from tests.court.cases import UNDEFINED, VIOLATED, WITHIN, bits, bits_of

Array = Any


class Scene:
    """One instruction over given tensors; the first ones are trace tensors, the output is last."""

    def __init__(self, step: Callable[[int], Instruction], *tensors: Array, output: Array) -> None:
        self.tensors = [np.ascontiguousarray(tensor).reshape(-1) for tensor in tensors]
        self.output = np.asarray(output).reshape(-1)
        infos = tuple(
            TensorInfo(f"t{n}", ElementType(t.dtype.name), (t.size,), (0,))
            for n, t in enumerate([*self.tensors, self.output])
        )
        self.step = step(len(self.tensors))
        self.program = Program(
            tier=Tier.ROUNDED,
            leaf_bytes=256,
            source_sha256=bytes(32),
            tensors=infos,
            constants=(),
            constant_values=(),
            instructions=(self.step,),
            inputs=tuple(range(len(self.tensors))),
            outputs=(len(self.tensors),),
        )

    def read(self, space: Space, tensor: int, place: int) -> int:
        assert space is Space.TRACE
        assert 0 <= place < self.tensors[tensor].size
        return bits_of(self.tensors[tensor])[place]

    def judge(self, position: int, claimed: Any = None) -> Outcome:
        raw = bits(self.output[position] if claimed is None else claimed)
        return judge_element(self.program, self.step, position, self.read, raw).outcome

    def all(self) -> set[Outcome]:
        return {self.judge(position) for position in range(self.output.size)}


def access(tensor: int, offset: int, *coefficients: int, guards: tuple[Guard, ...] = ()) -> Access:
    return Access(Space.TRACE, tensor, offset, coefficients, guards)


def test_every_operation_has_a_rule_and_a_signature() -> None:
    assert set(RULES) == set(Opcode) == set(SIGNATURES)
    assert {opcode for opcode in Opcode if SIGNATURES[opcode].per_tap} == set(PER_TAP)


def test_positions_of_a_product() -> None:
    generator = np.random.default_rng(0)
    a = generator.normal(size=(3, 5)).astype(np.float32)
    b = generator.normal(size=(5, 4)).astype(np.float32)
    c = generator.normal(size=4).astype(np.float32)
    y = (a.astype(np.float64) @ b.astype(np.float64) + c).astype(np.float32)

    def step(output: int) -> Instruction:
        operands = (access(0, 0, 5, 0, 1), access(1, 0, 0, 1, 4), access(2, 0, 0, 1, 0))
        return Instruction(Opcode.DOT, output, (3, 4), (5,), operands)

    scene = Scene(step, a, b, c, output=y)
    assert scene.all() == {WITHIN}
    assert scene.judge(7, y.reshape(-1)[6]) is VIOLATED
    assert domain_index(scene.step, 7) == (1, 3)
    assert places_read(scene.step, (1, 3))[1:] == ((3, 7, 11, 15, 19), (3,))


def test_a_padded_convolution() -> None:
    x = np.arange(1, 6, dtype=np.float32)
    w = np.array([1, 10, 100], dtype=np.float32)
    padded = np.pad(x, 1)
    y = np.array([padded[i : i + 3] @ w for i in range(5)], dtype=np.float32)

    def step(output: int) -> Instruction:
        inside = Guard(-1, (1, 1), 5)
        operands = (access(0, -1, 1, 1, guards=(inside,)), access(1, 0, 0, 1))
        return Instruction(Opcode.DOT, output, (5,), (3,), operands)

    scene = Scene(step, x, w, output=y)
    assert scene.all() == {WITHIN}
    assert places_read(scene.step, (0,)) == ((None, 0, 1), (None, 1, 2))
    assert scene.judge(0, y[1]) is VIOLATED


def test_a_concatenation_with_padding() -> None:
    a, b = np.float32([1, 2]), np.float32([3])

    def step(output: int) -> Instruction:
        first = access(0, 0, 1, guards=(Guard(0, (1,), 2),))
        second = access(1, -2, 1, guards=(Guard(-2, (1,), 1),))
        fill = (bits(np.float32(9)),)
        return Instruction(Opcode.COPY, output, (4,), (), (first, second), fill)

    scene = Scene(step, a, b, output=np.float32([1, 2, 3, 9]))
    assert scene.all() == {WITHIN}
    assert scene.judge(3, np.float32(0)) is VIOLATED


def test_what_does_not_count_is_not_read() -> None:
    """The second operand lies outside where the first one's guard fails, or where it is chosen."""
    x, w = np.float32([1, 2, 3, 4]), np.float32([1, 10])
    inside = Guard(0, (1, 1), 2)

    def product(output: int) -> Instruction:
        operands = (access(0, 0, 1, 1, guards=(inside,)), access(1, 0, 1, 1))
        return Instruction(Opcode.DOT, output, (3,), (2,), operands)

    scene = Scene(product, x, w, output=np.float32([21, 20, 0]))
    assert scene.all() == {WITHIN}
    assert places_read(scene.step, (1,)) == ((1, None), (1, None))

    def copied(output: int) -> Instruction:
        first = access(0, 0, 1, guards=(Guard(0, (1,), 2),))
        return Instruction(Opcode.COPY, output, (3,), (), (first, access(1, 3, -2)))

    scene = Scene(copied, x, w, output=np.float32([1, 2, 0]))
    assert [scene.judge(position) for position in range(3)] == [WITHIN, WITHIN, UNDEFINED]
    assert places_read(scene.step, (1,)) == ((1,), (None,))


def gather(indices: Array, output: Array, length: int = 3) -> Scene:
    table = np.arange(6, dtype=np.float32)  # 3 rows of 2

    def step(number: int) -> Instruction:
        operands = (access(0, 0, 0, 1), access(1, 0, 1, 0))
        domain = (len(indices), 2)
        return Instruction(Opcode.GATHER, number, domain, (), operands, (2, length))

    return Scene(step, table, indices, output=output)


def test_gather() -> None:
    expected = np.float32([[4, 5], [0, 1], [4, 5], [0, 1]])
    scene = gather(np.int64([2, 0, -1, -3]), expected)
    assert scene.all() == {WITHIN}
    assert scene.judge(0, np.float32(3)) is VIOLATED
    assert gather(np.int32([3, -4]), expected[:2]).all() == {UNDEFINED}
    assert gather(np.int64([4]), expected[:1], length=5).all() == {UNDEFINED}
    assert gather(np.float32([1]), expected[:1]).all() == {UNDEFINED}


LEAF_VALUES = np.float32([10, 11, 20, 21, 30, 31])
T = int(np.float32(1.5).view(np.int32))


def forest(words: list[list[int]], features: Array, roots: list[int], output: Array) -> Scene:
    def step(number: int) -> Instruction:
        operands = (
            access(0, 0, 0, 0),
            access(1, 0, 0, 0),
            access(2, 0, 0, 0),
            access(3, 0, 1, 0),
        )
        return Instruction(Opcode.TREE, number, (len(roots), 2), (), operands, (1, 2))

    table = np.array(words, dtype=np.int32)
    return Scene(step, np.float32(features), table, LEAF_VALUES, np.int32(roots), output=output)


TABLE = [
    [1, 0, T, 1, 2, 0, 0, 0],  # x0 <= 1.5
    [0, 0, 0, 0, 0, 0, 0, 0],
    [4, 1, T, 3, 4, 1, 0, 0],  # x1 > 1.5, NaN holds
    [0, 1, 0, 0, 0, 0, 0, 0],
    [0, 2, 0, 0, 0, 0, 0, 0],
]


@pytest.mark.parametrize(
    ("features", "leaf"),
    [
        ([1.5, 0.0], 0),
        ([1.6, 2.0], 1),
        ([1.6, 1.5], 2),
        ([np.nan, np.nan], 1),
        ([np.inf, -np.inf], 2),
        ([-np.inf, 0.0], 0),
    ],
)
def test_trees(features: list[float], leaf: int) -> None:
    values = LEAF_VALUES[2 * leaf : 2 * leaf + 2]
    scene = forest(TABLE, features, [0, 3], np.append(values, LEAF_VALUES[2:4]))
    assert scene.all() == {WITHIN}
    assert scene.judge(1, LEAF_VALUES[(2 * leaf + 3) % 6]) is VIOLATED


@pytest.mark.parametrize(
    ("mode", "below", "at", "above"),
    [(1, 1, 1, 0), (2, 1, 0, 0), (3, 0, 1, 1), (4, 0, 0, 1), (5, 0, 1, 0), (6, 1, 0, 1)],
)
@pytest.mark.parametrize("nan_holds", [0, 1])
def test_branches(mode: int, below: int, at: int, above: int, nan_holds: int) -> None:
    table = [[mode, 0, T, 1, 2, nan_holds, 0, 0], *([0, n, 0, 0, 0, 0, 0, 0] for n in (0, 1))]
    cases = ((1.0, below), (1.5, at), (2.0, above), (np.nan, nan_holds))
    for feature, holds in cases:
        expected = LEAF_VALUES[:2] if holds else LEAF_VALUES[2:4]
        assert forest(table, [feature, 0], [0], expected).all() == {WITHIN}


@pytest.mark.parametrize(
    "table",
    [
        [[1, 0, T, 0, 0, 0, 0, 0]],  # a loop
        [[1, 0, T, 9, 9, 0, 0, 0]],  # out of the table
        [[7, 0, T, 1, 1, 0, 0, 0], TABLE[1]],  # no such mode
        [[1, 5, T, 1, 1, 0, 0, 0], TABLE[1]],  # no such feature
        [[1, 0, 0x7FC00000, 1, 1, 0, 0, 0], TABLE[1]],  # no such threshold
        [[0, 5, 0, 0, 0, 0, 0, 0]],  # no such leaf
    ],
)
def test_tables_that_lead_nowhere(table: list[list[int]]) -> None:
    assert forest(table, [1.0, 1.0], [0], LEAF_VALUES[:2]).all() == {UNDEFINED}


def test_rank_is_the_last_domain_index() -> None:
    def step(output: int) -> Instruction:
        operands = (access(0, 0, 3, 0, 1),)
        return Instruction(Opcode.TOPK_VALUE, output, (2, 2), (3,), operands, (1,))

    x = np.float32([[1, 3, 2], [6, 4, 5]])
    assert Scene(step, x, output=np.float32([3, 2, 6, 5])).all() == {WITHIN}
    assert Scene(step, x, output=np.float32([2, 3, 5, 6])).all() == {VIOLATED}


def test_an_instruction_that_lacks_something() -> None:
    def step(output: int) -> Instruction:
        return Instruction(Opcode.ADD, output, (1,), (), (access(0, 0, 0),))

    def outside(output: int) -> Instruction:
        return Instruction(Opcode.NEG, output, (1,), (), (access(0, 1, 0),))

    one = np.float32([1])
    assert Scene(step, one, output=one).all() == {UNDEFINED}
    assert Scene(outside, one, output=one).all() == {UNDEFINED}
