"""Choosing and moving elements: positions, ties, gathers, one-hot, concatenation and splits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.compile import compile_model
from oracle.program.opcode import Opcode
from tests.program.operator_case import Array, compare, opcodes, source


def ties(seed: int, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Few different numbers, so that many are equal."""
    return np.random.default_rng(seed).integers(0, 3, shape).astype(dtype)


def whole(*numbers: int) -> Array:
    return np.array(numbers, dtype=np.int64)


@pytest.mark.parametrize("operator", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint8])
def test_positions(operator: str, axis: int, keepdims: int, last: int, dtype: Any) -> None:
    case = source(
        operator,
        [ties(1, (3, 4, 5), dtype)],
        axis=axis,
        keepdims=keepdims,
        select_last_index=last,
    )
    compiled = compare(*case)
    assert len(opcodes(compiled)) == 1
    assert compiled.program.tier is Tier.EXACT


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_top_k(count: int, axis: int, largest: int, dtype: Any) -> None:
    operands = [ties(2, (5, 6, 5), dtype), whole(count)]
    compare(*source("TopK", operands, constant=[1], outputs=2, axis=axis, largest=largest))


def test_top_k_without_an_axis_around_it() -> None:
    compare(*source("TopK", [ties(3, (7,)), whole(3)], constant=[1], outputs=2))


def test_top_k_whose_reader_would_like_another_order() -> None:
    """The last axis of what is committed stays the rank, although its columns are summed up."""
    data = np.random.default_rng(3).normal(size=(64, 7)).astype(np.float32)
    model, feeds = source("TopK", [data, whole(3)], constant=[1], outputs=2)
    model.graph.node.add().CopyFrom(helper.make_node("ReduceMax", ["y0", "zero"], ["y2"]))
    model.graph.initializer.append(numpy_helper.from_array(whole(0), "zero"))
    model.graph.output.append(helper.make_tensor_value_info("y2", 1, [1, 3]))
    compare(model, feeds)


def test_top_k_before_opset_10() -> None:
    compare(*source("TopK", [ties(3, (2, 7))], outputs=2, opset=9, k=3))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
@pytest.mark.parametrize("stored", [True, False])
def test_gather(axis: int, shape: tuple[int, ...], stored: bool) -> None:
    generator = np.random.default_rng(4)
    data = generator.normal(size=(4, 5, 6)).astype(np.float32)
    places = generator.integers(-4, 4, shape, dtype=np.int64)
    case = source("Gather", [data, places], constant=[1] if stored else [], axis=axis)
    compiled = compare(*case)
    if not stored:
        assert opcodes(compiled) == [Opcode.LESS, Opcode.WHERE] * 2 + [Opcode.GATHER]


@pytest.mark.parametrize(
    "places", [[0], [1, 2, 3], [4, 2, 0], [3, 2, 1, 0], [-1], [0, -1], [-4, -2], [0, 2, 4]]
)
def test_a_progression_is_a_view(places: list[int]) -> None:
    data = np.arange(30, dtype=np.float32).reshape(2, 5, 3)
    case = source("Gather", [data, whole(*places)], constant=[1], axis=1)
    assert opcodes(compare(*case)) == []


def test_embedding() -> None:
    """The table is stored, the tokens come with the request."""
    table = np.random.default_rng(5).normal(size=(17, 8)).astype(np.float32)
    case = source("Gather", [table, ties(5, (1, 9), np.int64) - 1], constant=[0])
    compiled = compare(*case)
    assert opcodes(compiled)[-1] is Opcode.GATHER
    assert compiled.program.tier is Tier.EXACT


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("axis", [0, 1])
def test_gather_elements(stored: bool, axis: int) -> None:
    data = np.arange(20, dtype=np.float32).reshape(4, 5)
    places = np.random.default_rng(6).integers(-4, 4, (3, 4), dtype=np.int64)
    compare(*source("GatherElements", [data, places], constant=[1] if stored else [], axis=axis))


def test_indices_outside_are_refused() -> None:
    model, _ = source("Gather", [np.ones(5, np.float32), whole(3)], constant=[1])
    model.graph.initializer[0].raw_data = whole(9).tobytes()
    with pytest.raises(ProgramError, match="outside of an axis of length 5"):
        compile_model(model.SerializeToString())


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_one_hot(axis: int) -> None:
    """Indices outside of the depth give a row that is all off."""
    operands = [np.array([[0, 3, -1], [2, 7, -4]]), whole(4), np.array([-1.0, 2.5], np.float32)]
    compare(*source("OneHot", operands, constant=[1, 2], axis=axis))


@pytest.mark.parametrize("opset", [11, 13])
def test_hardmax(opset: int) -> None:
    compare(*source("Hardmax", [ties(7, (2, 3, 4))], opset=opset, axis=1))


@pytest.mark.parametrize("axis", [0, 1, -2])
def test_concat(axis: int) -> None:
    parts = [ties(seed, (2, 3), np.float32) for seed in range(3)]
    compiled = compare(*source("Concat", parts, constant=[1], axis=axis))
    (step,) = (s for s in compiled.program.instructions if len(s.operands) > 1)
    assert step.opcode is Opcode.COPY
    assert all(len(operand.guards) == 1 for operand in step.operands)


def test_concat_of_different_lengths() -> None:
    parts = [ties(n, (2, n, 3), np.int32) for n in (1, 4, 2)]
    compare(*source("Concat", parts, axis=1))


@pytest.mark.parametrize(
    ("opset", "outputs", "lengths", "attributes"),
    [
        (18, 3, None, {"num_outputs": 3}),
        (18, 4, None, {"num_outputs": 4}),
        (18, 2, [1, 5], {}),
        (13, 2, None, {}),
        (11, 2, None, {"split": [4, 2]}),
        (11, 3, None, {}),
    ],
)
def test_split(
    opset: int, outputs: int, lengths: list[int] | None, attributes: dict[str, Any]
) -> None:
    data = np.arange(12 if outputs < 4 else 14, dtype=np.float32).reshape(2, -1)
    operands = [data] if lengths is None else [data, whole(*lengths)]
    stored = [] if lengths is None else [1]
    case = source(
        "Split", operands, constant=stored, outputs=outputs, opset=opset, axis=1, **attributes
    )
    assert opcodes(compare(*case)) == []
