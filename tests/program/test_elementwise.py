"""Arithmetic, activations, comparisons and casts: the program is the source, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.compile import compile_model
from oracle.program.opcode import Opcode
from tests.program.operator_case import Array, compare, opcodes, source

SHAPES = [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((3, 1), (2, 1, 4)), ((), (5,))]
EDGES = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 1e-42, 3.4e38, -1e-38, 16777217.0], np.float32
)


def floats(seed: int, shape: tuple[int, ...], *, positive: bool = False) -> Array:
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return np.abs(values) + np.float32(0.1) if positive else values


def integers(seed: int, shape: tuple[int, ...], dtype: Any) -> Array:
    bounds = np.iinfo(dtype)
    generator = np.random.default_rng(seed)
    return generator.integers(bounds.min, bounds.max, shape, dtype=dtype, endpoint=True)


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize(
    "operator",
    [
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Max",
        "Min",
        "Sum",
        "Equal",
        "Less",
        "LessOrEqual",
        "Greater",
        "GreaterOrEqual",
        "PRelu",
    ],
)
def test_binary(operator: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    if operator == "PRelu" and len(shapes[0]) < len(shapes[1]):
        shapes = shapes[::-1]
    if operator == "PRelu" and shapes[0] == (2, 1, 4):
        shapes = ((2, 3, 4), (3, 1))
    a, b = floats(1, shapes[0]), floats(2, shapes[1])
    compare(*source(operator, [a, b], opset=16 if operator == "PRelu" else 18))


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Max", "Min", "Equal", "Less"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint32])
def test_integers(operator: str, dtype: Any) -> None:
    a, b = integers(1, (3, 8), dtype), integers(2, (8,), dtype)
    compare(*source(operator, [a, b]))


@pytest.mark.parametrize(
    "operator",
    [
        "Neg",
        "Abs",
        "Sign",
        "Floor",
        "Ceil",
        "Round",
        "Relu",
        "HardSwish",
        "Exp",
        "Erf",
        "Tanh",
        "Sigmoid",
        "Softplus",
        "Reciprocal",
    ],
)
def test_unary(operator: str) -> None:
    values = np.concatenate([EDGES, floats(3, (20,))])
    if operator == "Reciprocal":
        values = values[np.abs(values) > 1e-30]
    rtol = 1e-6 if operator == "HardSwish" else 0.0
    with np.errstate(all="ignore"):
        compare(*source(operator, [np.clip(values, -80, 80)]), rtol=rtol)


@pytest.mark.parametrize("operator", ["Sqrt", "Log"])
def test_unary_of_positive(operator: str) -> None:
    compare(*source(operator, [floats(3, (4, 5), positive=True)]))


@pytest.mark.parametrize(
    ("operator", "opset", "attributes"),
    [
        ("LeakyRelu", 16, {"alpha": 0.1}),
        ("LeakyRelu", 16, {"alpha": -1.5}),
        ("Elu", 18, {"alpha": 1.3}),
        ("Celu", 12, {"alpha": 0.7}),
        ("Selu", 18, {}),
        ("HardSigmoid", 18, {"alpha": 0.3}),
        ("ThresholdedRelu", 18, {"alpha": 0.4}),
        ("Shrink", 18, {"bias": 0.2, "lambd": 0.3}),
        ("Softsign", 18, {}),
        ("Mish", 18, {}),
        ("Gelu", 20, {}),
        ("Gelu", 20, {"approximate": "tanh"}),
        ("Mean", 18, {}),
    ],
)
def test_activations(operator: str, opset: int, attributes: dict[str, Any]) -> None:
    values = np.concatenate([EDGES, floats(4, (50,)) * 3]).clip(-1e6, 1e6)
    compare(*source(operator, [values], opset=opset, **attributes), rtol=1e-6)


@pytest.mark.parametrize("operator", ["Gelu", "FastGelu", "QuickGelu"])
def test_activations_of_microsoft(operator: str) -> None:
    case = source(operator, [floats(5, (3, 4)) * 3], domain="com.microsoft")
    compare(*case, rtol=1e-6)


def test_biased_gelu() -> None:
    operands = [floats(5, (3, 4)), floats(6, (4,))]
    compare(*source("BiasGelu", operands, domain="com.microsoft"), rtol=1e-6)


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [
        (2.0, [Opcode.MUL]),
        (0.5, [Opcode.SQRT]),
        (3.0, [Opcode.MUL, Opcode.MUL]),
        (1.0, []),
        (0.0, []),
        (-1.0, [Opcode.DIV]),
        (-0.5, [Opcode.SQRT, Opcode.DIV]),
        (1.5, [Opcode.SQRT, Opcode.MUL]),
        (8.0, [Opcode.MUL] * 3),
    ],
)
def test_powers(exponent: float, expected: list[Opcode]) -> None:
    operands = [floats(6, (4, 5), positive=True), np.float32(exponent).reshape(1)]
    compiled = compare(*source("Pow", operands, constant=[1]), rtol=1e-6)
    assert opcodes(compiled) == expected


@pytest.mark.parametrize("exponent", [[2.5], [2.0, 3.0, 2.0]])
def test_other_powers_are_refused_by_name(exponent: list[float]) -> None:
    operands = [floats(6, (4, 3)), np.array(exponent, np.float32)]
    model, _ = source("Pow", operands, constant=[1])
    with pytest.raises(ProgramError, match="Pow with") as caught:
        compile_model(model.SerializeToString())
    assert "Log" in str(caught.value.hint)


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.int64])
@pytest.mark.parametrize(("low", "high"), [(-1, 1), (None, 1), (-1, None), (2, -2)])
def test_clip(dtype: Any, low: int | None, high: int | None) -> None:
    bounds = [None if bound is None else np.array(bound, dtype) for bound in (low, high)]
    values = (floats(7, (30,)) * 4).astype(dtype)
    stored = [n + 1 for n, bound in enumerate(bounds) if bound is not None]
    compare(*source("Clip", [values, *bounds], constant=stored))


def test_clip_before_opset_11() -> None:
    compare(*source("Clip", [floats(7, (30,))], opset=6, min=-0.5, max=0.25))


@pytest.mark.parametrize("operator", ["And", "Or", "Xor"])
def test_logic(operator: str) -> None:
    generator = np.random.default_rng(8)
    compare(*source(operator, [generator.random((3, 4)) < 0.5, generator.random(4) < 0.5]))


def test_not() -> None:
    compare(*source("Not", [np.array([True, False])]))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int32, np.uint8])
def test_where(dtype: Any) -> None:
    condition = np.random.default_rng(9).random((3, 1)) < 0.5
    operands = [condition, (floats(1, (2, 3, 4)) * 50).astype(dtype), np.array(7, dtype)]
    compare(*source("Where", operands))


@pytest.mark.parametrize("before", [np.float32, np.int64, np.int32, np.int8, np.uint8, np.bool_])
@pytest.mark.parametrize("after", [1, 2, 3, 6, 7, 9])
def test_casts_within_range(before: Any, after: int) -> None:
    values = np.abs(floats(10, (4, 5)) * 40).astype(before)
    compare(*source("Cast", [values], to=after))


def test_integers_are_divided_by_constants_only() -> None:
    values = integers(11, (20,), np.int32)
    divisor = np.array([7, -3], np.int32).repeat(10)
    compare(*source("Div", [values, divisor], constant=[1]))
    for constant, numbers in (([1], [0]), ([1], [-1]), ([], [7])):
        model, _ = source("Sub", [values, np.array(numbers, np.int32)], constant=constant)
        model.graph.node[0].op_type = "Div"
        with pytest.raises(ProgramError, match="Div of integers needs a constant divisor"):
            compile_model(model.SerializeToString())


def test_float64_is_refused() -> None:
    model, _ = source("Add", [np.ones(3), np.ones(3)])
    with pytest.raises(ProgramError, match="Add of float64 cannot be judged"):
        compile_model(model.SerializeToString())


def test_comparisons_and_selections_are_exact() -> None:
    model, feeds = source("Max", [floats(1, (2, 3)), floats(2, (2, 3))])
    assert compare(model, feeds).program.tier is Tier.EXACT
