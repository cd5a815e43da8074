"""What is written out in several instructions agrees with the operator it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.compile import compile_model
from oracle.program.opcode import Opcode
from tests.program.operator_case import Array, check_trace, compare, opcodes, session, source, trace

MODELS = Path(__file__).parents[2] / "models"
TIERS = [Tier.ROUNDED, Tier.NATIVE]


def floats(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def whole(*numbers: int) -> Array:
    return np.array(numbers, dtype=np.int64)


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("tier", TIERS)
def test_softmax(operator: str, opset: int, axis: int | None, tier: Tier) -> None:
    """Before opset 13 it flattens, and leaves out the first axis by default."""
    attributes = {} if axis is None else {"axis": axis}
    case = source(operator, [floats(1, 2, 3, 4) * 5], opset=opset, **attributes)
    compiled = compare(*case, rtol=2e-6, tier=tier)
    last = [Opcode.DIV] if operator == "Softmax" else [Opcode.LOG, Opcode.SUB]
    assert opcodes(compiled) == [
        Opcode.REDUCE_MAX, Opcode.SUB, Opcode.EXP, Opcode.SUM, *last
    ]  # fmt: skip


@pytest.mark.parametrize(
    "operator",
    [
        "ReduceMax",
        "ReduceMin",
        "ReduceSum",
        "ReduceMean",
        "ReduceL1",
        "ReduceL2",
        "ReduceSumSquare",
        "ReduceLogSum",
        "ReduceLogSumExp",
    ],
)
@pytest.mark.parametrize("axes", [None, [1], [0, -1]])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("opset", [11, 18])
def test_reductions(operator: str, axes: list[int] | None, keepdims: int, opset: int) -> None:
    values = np.abs(floats(2, 3, 4, 5)) + np.float32(0.1)
    by_input = opset >= (13 if operator == "ReduceSum" else 18) and axes is not None
    operands = [values, whole(*axes)] if by_input and axes else [values]
    attributes: dict[str, Any] = {} if by_input or axes is None else {"axes": axes}
    case = source(
        operator,
        operands,
        constant=[1] if by_input else [],
        opset=opset,
        keepdims=keepdims,
        **attributes,
    )
    compare(*case, rtol=3e-6)


@pytest.mark.parametrize("operator", ["ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean"])
@pytest.mark.parametrize("length", [2, 3, 7, 8])
def test_reductions_of_integers(operator: str, length: int) -> None:
    values = np.random.default_rng(3).integers(-1000, 1000, (2, length, 3), dtype=np.int32)
    case = source(operator, [values, whole(1)], constant=[1], keepdims=0)
    compiled = compare(*case)
    assert compiled.program.tier is Tier.EXACT


def test_sums_of_integers_wrap() -> None:
    """Where the runtime's own ReduceSum adds up in floating point, and saturates or rounds."""
    for dtype in (np.int32, np.int64):
        bounds = np.iinfo(dtype)
        values = np.random.default_rng(4).integers(bounds.min, bounds.max, (1, 63), dtype=dtype)
        model, feeds = source("ReduceSum", [values, whole(1)], constant=[1])
        compiled = compile_model(model.SerializeToString())
        (found,) = session(onnx.load_from_string(compiled.file)).run(None, dict(feeds))
        np.testing.assert_array_equal(found, values.sum(axis=1, dtype=dtype, keepdims=True))
        check_trace(compiled.program, trace(compiled, feeds))


def test_no_axes() -> None:
    case = source("ReduceSumSquare", [floats(5, 3), whole()], constant=[1], noop_with_empty_axes=1)
    assert opcodes(compile_model(case[0].SerializeToString())) == [Opcode.MUL]


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("tier", TIERS)
def test_layer_normalization(axis: int, tier: Tier) -> None:
    values = floats(6, 2, 3, 4) + 3
    shape = values.shape[axis:]
    case = source(
        "LayerNormalization",
        [values, floats(7, *shape), floats(8, *shape)],
        constant=[1, 2],
        outputs=3,
        axis=axis,
    )
    compare(*case, rtol=1e-5, tier=tier)


def test_skip_layer_normalization() -> None:
    operands = [floats(seed, 2, 3, 8) for seed in (1, 2)] + [floats(seed, 8) for seed in (3, 4, 5)]
    case = source(
        "SkipLayerNormalization", operands, constant=[2, 3, 4], domain="com.microsoft", epsilon=1e-5
    )
    compare(*case, rtol=1e-5)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("axis", [0, -1])
def test_lp_normalization(order: int, axis: int) -> None:
    values = floats(9, 4, 5)
    values[2] = 0
    compare(*source("LpNormalization", [values], axis=axis, p=order), rtol=1e-6)


def test_mean_variance_normalization() -> None:
    compare(*source("MeanVarianceNormalization", [floats(10, 2, 3, 4, 5)]), rtol=1e-5)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("bhqd,bhkd->bhqk", [(1, 2, 3, 4), (1, 2, 5, 4)]),
        ("bqhd,bkhd->bhqk", [(1, 3, 2, 4), (1, 5, 2, 4)]),
        ("bij, bjk", [(2, 3, 4), (2, 4, 5)]),
        ("i,j->ij", [(3,), (4,)]),
        ("ij,kj->k", [(2, 3), (4, 3)]),
        ("abc->ca", [(2, 3, 4)]),
    ],
)
def test_einsum(equation: str, shapes: list[tuple[int, ...]]) -> None:
    operands = [floats(seed, *shape) for seed, shape in enumerate(shapes)]
    compare(*source("Einsum", operands, equation=equation), rtol=1e-5)


@pytest.mark.parametrize("equation", ["ii->i", "...ij->...ji", "ij,jk,kl->il"])
def test_other_equations_are_refused(equation: str) -> None:
    operands = [floats(seed, 3, 3) for seed in range(equation.count(",") + 1)]
    model, _ = source("Einsum", operands, equation=equation)
    with pytest.raises(ProgramError, match=r"Einsum.*has no rule"):
        compile_model(model.SerializeToString())


@pytest.mark.parametrize("tier", TIERS)
def test_the_encoder_agrees_with_its_source(tier: Tier) -> None:
    data = (MODELS / "digits-encoder.onnx").read_bytes()
    rows = np.load(MODELS / "heldout" / "digits-encoder.npz")["x"][:20]
    compiled = compile_model(data, tier=tier)
    origin, program = (
        session(onnx.load_from_string(data)),
        session(onnx.load_from_string(compiled.file)),
    )
    for row in rows:
        label, probabilities = origin.run(None, {"tokens": row[None]})
        found_label, found_probabilities = program.run(None, {"tokens": row[None]})
        np.testing.assert_array_equal(found_label, label)
        np.testing.assert_allclose(found_probabilities, probabilities, atol=3e-6)
    feeds = {"tokens": rows[:1]}
    check_trace(compiled.program, trace(compiled, feeds))
