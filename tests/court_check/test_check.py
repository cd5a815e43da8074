"""The whole-trace check: what it names, what it counts, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from oracle.core.types import Tier
from oracle.court.check import check_trace
from oracle.court.check_evaluate import evaluate
from oracle.court.judge import judge_element
from oracle.errors import TensorError
from oracle.program.instruction import Program, Space, Trace
from oracle.program.opcode import Opcode
from tests.court_check.cases import CASES
from tests.court_check.programs import Array, Builder, const, guard, trace

ROWS = 4


def network(tier: Tier) -> Builder:
    """A padded convolution, Relu, pooling, a dense layer, a softmax and its winner."""
    rng = np.random.default_rng(7)

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(np.float32)

    made = Builder(tier)
    image = made.input(*(normal(6, 6, 2) for _ in range(ROWS)))
    kernel, bias = made.constant(normal(4, 3, 3, 2)), made.constant(normal(4))
    zero = made.constant(np.zeros(1, np.float32))
    guards = (guard((1, 0, 0, 1, 0, 0), 6, -1), guard((0, 1, 0, 0, 1, 0), 6, -1))
    convolved = made.step(
        Opcode.DOT,
        (6, 6, 4),
        (3, 3, 2),
        [
            trace(image, (12, 2, 0, 12, 2, 1), -14, guards),
            const(kernel, (0, 0, 18, 6, 2, 1)),
            const(bias, (0, 0, 1, 0, 0, 0)),
        ],
        shape=(1, 4, 6, 6),
        layout=(0, 2, 3, 1),
    )
    positive = made.step(
        Opcode.MAX, (6, 6, 4), (), [trace(convolved, (24, 4, 1)), const(zero, (0, 0, 0))]
    )
    pooled = made.step(Opcode.REDUCE_MAX, (3, 3, 4), (2, 2), [trace(positive, (48, 8, 1, 24, 4))])
    dense, offset = made.constant(normal(5, 36)), made.constant(normal(5))
    logits = made.step(
        Opcode.DOT,
        (5,),
        (36,),
        [trace(pooled, (0, 1)), const(dense, (36, 1)), const(offset, (1, 0))],
    )
    largest = made.step(Opcode.REDUCE_MAX, (), (5,), [trace(logits, (1,))])
    shifted = made.step(Opcode.SUB, (5,), (), [trace(logits, (1,)), trace(largest, (0,))])
    powers = made.step(Opcode.EXP, (5,), (), [trace(shifted, (1,))])
    sums = made.step(Opcode.SUM, (), (5,), [trace(powers, (1,))])
    made.step(Opcode.DIV, (5,), (), [trace(powers, (1,)), trace(sums, (0,))])
    made.step(Opcode.ARGMAX, (), (5,), [trace(logits, (1,))], np.int64, (0,))
    return made


def changed(honest: Trace, row: int, tensor: int, place: int, bits: int) -> Trace:
    """The trace with some bits of one element flipped."""
    rows = [list(values) for values in honest.rows]
    value = rows[row][tensor].copy()
    value.view(f"<u{value.dtype.itemsize}")[place] ^= np.array(bits, f"<u{value.dtype.itemsize}")
    rows[row][tensor] = value
    return Trace(tuple(tuple(values) for values in rows))


def convicted(program: Program, row: tuple[Array, ...], tensor: int) -> list[tuple[int, int]]:
    """(instruction, element) of all that the exact judge convicts where a tensor has a part."""
    concerned = [
        (number, step)
        for number, step in enumerate(program.instructions)
        if step.output == tensor
        or any(a.space is Space.TRACE and a.tensor == tensor for a in step.operands)
    ]
    tensors = [value.view(f"<u{value.dtype.itemsize}") for value in row]
    constants = [value.view(f"<u{value.dtype.itemsize}") for value in program.constant_values]

    def read(space: Space, tensor: int, place: int) -> int:
        return int((tensors if space is Space.TRACE else constants)[tensor][place])

    return [
        (number, place)
        for number, step in concerned
        for place in range(step.size)
        if judge_element(program, step, place, read, int(tensors[step.output][place])).convicts
    ]


@pytest.mark.parametrize("tier", [Tier.ROUNDED, Tier.NATIVE])
def test_an_honest_trace_passes(tier: Tier) -> None:
    made = network(tier)
    program = made.program()
    calls: list[tuple[int, int]] = []
    report = check_trace(
        program,
        evaluate(program, None, made.rows()),
        progress=lambda done, total: calls.append((done, total)),
    )
    assert report.honest
    assert report.first is None
    assert report.elements == report.within == ROWS * sum(s.size for s in program.instructions)
    assert (report.undefined, report.violated, report.open) == (0, 0, 0)
    assert report.judged <= report.elements // 50
    assert calls == [(n + 1, 10) for n in range(10)]


@pytest.mark.parametrize("tier", [Tier.ROUNDED, Tier.NATIVE])
def test_the_first_violated_element_is_named(tier: Tier) -> None:
    made = network(tier)
    program = made.program()
    honest = evaluate(program, None, made.rows())
    rng = np.random.default_rng(3)
    for number, step in enumerate(program.instructions):
        place, row = int(rng.integers(step.size)), int(rng.integers(ROWS))
        forged = changed(honest, row, step.output, place, 1 << 2 if step.size == 1 else 1 << 21)
        forged = changed(forged, 3, len(program.tensors) - 1, 0, 1)
        first = check_trace(program, forged).first
        assert first is not None
        assert (first.row, first.instruction, first.position) == (row, number, place)
        assert first.name == step.name
        assert first.opcode is step.opcode
        assert step.name in str(first)
        layout = program.tensors[step.output].layout
        shape = program.tensors[step.output].shape
        numbered = program.tensors[step.output].unflatten(np.arange(step.size))
        assert len(layout) == len(shape) == len(first.index)
        assert numbered[first.index] == place


@pytest.mark.parametrize("tier", [Tier.ROUNDED, Tier.NATIVE])
def test_a_flipped_bit_is_found_unless_the_judge_accepts_it(tier: Tier) -> None:
    made = network(tier)
    program = made.program()
    honest = evaluate(program, None, made.rows()[:1])
    rng = np.random.default_rng(11)
    seen = 0
    for tensor in range(len(program.tensors)):
        size = program.tensors[tensor].element.item_size * 8
        for bit in {0, 3, 12, 20, 22, 23, 26, 30, size - 1}:
            place = int(rng.integers(program.tensors[tensor].size))
            forged = changed(honest, 0, tensor, place, 1 << bit)
            truth = convicted(program, forged.rows[0], tensor)
            report = check_trace(program, forged, most=1 << 30)
            assert [(v.instruction, v.position) for v in report.violations] == truth
            seen += bool(truth)
    assert seen > 70


def test_wrong_weights_are_found() -> None:
    made = network(Tier.ROUNDED)
    program = made.program()
    cheaper = [value.copy() for value in program.constant_values]
    cheaper[3][17] += np.float32(0.01)
    first = check_trace(program, evaluate(program, cheaper, made.rows())).first
    assert first is not None
    assert first.instruction == 3


def test_rows_are_grouped_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    made = network(Tier.ROUNDED)
    program = made.program()
    honest = evaluate(program, None, made.rows())
    monkeypatch.setattr("oracle.court.check._GROUP_BYTES", 2 * program.row_trace_bytes)
    assert check_trace(program, honest).honest
    report = check_trace(program, changed(honest, 2, 6, 1, 1 << 20))
    assert report.first is not None
    assert report.first.row == 2
    assert report.rows == ROWS
    assert 0 <= report.open < report.elements
    alone = evaluate(program, None, made.rows()[2:3])
    for one, other in zip(alone.rows[0], honest.rows[2], strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", ["matmul", "batched", "convolution", "integer_dot", "mean"])
def test_blocks_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    made = CASES[name](rng, "tied", Tier.ROUNDED)  # sums of such numbers are exact in any order
    program = made.program()
    whole = evaluate(program, None, made.rows())
    for elements in (1, 40, 300):
        monkeypatch.setattr("oracle.court.screen_matrix.ROW_BLOCK", elements)
        monkeypatch.setattr("oracle.court.screen_matrix.COLUMN_BLOCK", elements)
        monkeypatch.setattr("oracle.court.screen_matrix.PRODUCT_BLOCK", elements)
        monkeypatch.setattr("oracle.court.screen_nest.PART", elements)
        parted = evaluate(program, None, made.rows())
        for one, other in zip(whole.rows, parted.rows, strict=True):
            assert all(
                np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True)
            )
        assert check_trace(program, whole).honest


def test_a_malformed_trace_is_refused_by_name() -> None:
    made = network(Tier.ROUNDED)
    program = made.program()
    row = evaluate(program, None, made.rows()[:1]).rows[0]

    def refused(match: str, tensors: list[Array]) -> None:
        with pytest.raises(TensorError, match=match):
            check_trace(program, Trace((row, tuple(tensors))))

    refused("row 1 has 10 tensors instead of 11", list(row[:-1]))
    refused("'dot0' is of type float64", [row[0], row[1].astype(np.float64), *row[2:]])
    refused("'max1' has 143 elements, not 144", [*row[:2], row[2][1:], *row[3:]])
    refused("'max1' has 2 axes", [*row[:2], row[2].reshape(2, -1), *row[3:]])
    refused("'dot0' is of type >f4", [row[0], row[1].astype(">f4"), *row[2:]])
    with pytest.raises(TensorError, match="instead of 5"):
        evaluate(program, [], made.rows())
    with pytest.raises(TensorError, match="in0"):
        evaluate(program, None, [[np.zeros(3, np.float32)]])


def test_a_bool_is_0_or_1() -> None:
    made = CASES["logic"](np.random.default_rng(0), "normal", Tier.EXACT)
    program = made.program()
    row = list(evaluate(program, None, made.rows()).rows[0])
    row[2] = np.full(12, 2, np.uint8).view(np.bool_)
    report = check_trace(program, Trace((tuple(row),)))
    assert report.first is not None
    assert report.first.verdict.convicts
    with pytest.raises(TensorError, match="neither 0 nor 1"):
        evaluate(program, None, [[row[2], *made.rows()[0][1:]]])


def test_everything_is_undefined_in_an_unproven_tier_sum() -> None:
    made = CASES["sum"](np.random.default_rng(0), "normal", Tier.UNPROVEN)
    program = made.program()
    report = check_trace(program, evaluate(program, None, made.rows()))
    assert report.undefined == report.elements
