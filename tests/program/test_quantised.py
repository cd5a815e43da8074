"""Quantised operators: runs lie within the court's rule; weights of mixed sign are made safe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.opcode import Opcode
from tests.program.evaluation import Ran, run, source_model

MODELS = Path(__file__).parents[2] / "models"
BYTES = st.sampled_from(["uint8", "int8"])
SEEDS = st.integers(0, 10_000)


class Numbers:
    """Random operands of one example."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def bytes(self, dtype: str, *shape: int) -> np.ndarray:
        limits = np.iinfo(dtype)
        return self.random.integers(limits.min, limits.max + 1, size=shape).astype(dtype)

    def floats(self, *shape: int) -> np.ndarray:
        return (self.random.normal(size=shape) * 3).astype(np.float32)

    def scale(self, *shape: int) -> np.ndarray:
        return self.random.uniform(0.01, 0.1, size=shape).astype(np.float32)


def agree(ran: Ran, steps: int = 1) -> None:
    """Within a step of the source, which may fall on the other side of a tie."""
    for found, expected in zip(ran.outputs, ran.expected, strict=True):
        assert np.max(np.abs(found.astype(np.int64) - expected.astype(np.int64))) <= steps


@given(SEEDS, BYTES, st.booleans(), st.booleans())
@settings(max_examples=40)
def test_quantize_and_dequantize(seed: int, dtype: str, per_axis: bool, with_zero: bool) -> None:
    numbers = Numbers(seed)
    shape = (3,) if per_axis else ()
    feeds = {"x": numbers.floats(1, 3, 5)}
    constants = {"s": numbers.scale(*shape)}
    inputs = ["s"]
    if with_zero:
        constants["z"] = numbers.bytes(dtype, *shape)
        inputs.append("z")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", *inputs], ["q"], axis=1),
        helper.make_node("DequantizeLinear", ["q", *inputs], ["y"], axis=-2),
    ]
    ran = run(source_model(nodes, feeds, constants, outputs=("q", "y")), feeds)
    assert ran.compiled.program.tier is Tier.EXACT
    for found, expected in zip(ran.outputs, ran.expected, strict=True):
        assert np.array_equal(found, expected)


@given(SEEDS, BYTES, BYTES, st.booleans(), st.integers(1, 40))
@settings(max_examples=60)
def test_qlinear_matmul(seed: int, a: str, b: str, per_column: bool, taps: int) -> None:
    numbers = Numbers(seed)
    shape = (4,) if per_column else ()
    feeds = {"a": numbers.bytes(a, 1, 3, taps)}
    constants = {
        "sa": numbers.scale(), "za": numbers.bytes(a),
        "b": numbers.bytes(b, taps, 4), "sb": numbers.scale(*shape), "zb": numbers.bytes(b, *shape),
        "sy": np.float32(0.3), "zy": numbers.bytes(a),
    }  # fmt: skip
    names = ["a", "sa", "za", "b", "sb", "zb", "sy", "zy"]
    node = helper.make_node("QLinearMatMul", names, ["y"])
    if (a, b) == ("int8", "uint8"):
        return  # onnxruntime cannot run the source
    ran = run(source_model([node], feeds, constants), feeds)
    step = ran.step(Opcode.QUANTIZED_DOT)
    assert (step.domain, step.taps) == ((3, 4), taps)
    if a == b:
        agree(ran, 0)


@given(SEEDS, BYTES, st.sampled_from([1, 2]), st.booleans(), st.booleans(), st.integers(1, 2))
@settings(max_examples=60)
def test_qlinear_conv(
    seed: int, dtype: str, groups: int, per_channel: bool, with_bias: bool, stride: int
) -> None:
    numbers = Numbers(seed)
    feeds = {"x": numbers.bytes(dtype, 1, 4, 6, 5)}
    constants = {
        "sx": numbers.scale(), "zx": numbers.bytes(dtype),
        "w": numbers.bytes(dtype, 6, 4 // groups, 3, 2),
        "sw": numbers.scale(*((6,) if per_channel else ())), "zw": numbers.bytes(dtype),
        "sy": np.float32(0.5), "zy": numbers.bytes(dtype),
        "b": numbers.random.integers(-9000, 9000, size=6).astype(np.int32),
    }  # fmt: skip
    if not with_bias:
        del constants["b"]
    names = ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy", *(["b"] if with_bias else [])]
    node = helper.make_node(
        "QLinearConv", names, ["y"], group=groups, pads=[1, 0, 1, 1], strides=[stride, 1]
    )
    ran = run(source_model([node], feeds, constants), feeds)
    agree(ran, 0)
    operands = ran.step(Opcode.QUANTIZED_DOT).operands
    assert len(operands) == 8 + with_bias
    assert any(operands[5].coefficients) == per_channel
    assert not any(operands[4].coefficients)


@given(SEEDS, BYTES, BYTES, st.booleans())
@settings(max_examples=40)
def test_integer_products(seed: int, a: str, b: str, conv: bool) -> None:
    """int32 sums are exact, and full-range weights of the other sign do not saturate."""
    numbers = Numbers(seed)
    limits = np.iinfo(b)
    x = np.full((1, 4, 16), np.iinfo(a).max, dtype=a)
    shape = (3, 4, 2) if conv else (16, 3)
    w = numbers.random.choice([limits.min, limits.max], size=shape).astype(b)
    constants = {"w": w, "zx": numbers.bytes(a), "zw": numbers.bytes(b)}
    operator = "ConvInteger" if conv else "MatMulInteger"
    node = helper.make_node(operator, ["x", "w", "zx", "zw"], ["y"])
    ran = run(source_model([node], {"x": x}, constants), {"x": x})
    moved_x, moved_w = (
        value.astype(np.int64) - int(zero)
        for value, zero in ((x, constants["zx"]), (w, constants["zw"]))
    )
    windows = np.lib.stride_tricks.sliding_window_view(moved_x, 2, axis=2)
    expected = np.einsum("ncpk,ock->nop", windows, moved_w) if conv else moved_x @ moved_w
    assert np.array_equal(ran.outputs[0], expected)
    assert ran.compiled.program.tier is Tier.EXACT
    operands = ran.step(Opcode.INTEGER_DOT).operands
    assert {ran.program.info(access).element.value for access in operands} == {a}


def test_computed_weights_of_mixed_sign_are_refused() -> None:
    feeds = {"a": np.zeros((1, 2, 3), np.uint8), "b": np.zeros((1, 3, 2), np.int8)}
    node = helper.make_node("MatMulInteger", ["a", "b"], ["y"])
    with pytest.raises(ProgramError, match="saturates"):
        run(source_model([node], feeds, {}), feeds)


def test_dynamic_quantisation() -> None:
    numbers = Numbers(7)
    for x in (numbers.floats(1, 6), np.zeros((1, 6), np.float32), -np.ones((1, 6), np.float32)):
        nodes = [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
            helper.make_node("MatMulInteger", ["q", "w", "z", "zw"], ["i"]),
            helper.make_node("Cast", ["i"], ["f"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", ["f", "s"], ["y"]),
        ]
        constants = {"w": numbers.bytes("uint8", 6, 4), "zw": np.uint8(128)}
        ran = run(source_model(nodes, {"x": x}, constants), {"x": x})
        np.testing.assert_allclose(ran.outputs[0], ran.expected[0], rtol=1e-6)


def test_dequantised_weights_fold_and_biases_cast() -> None:
    """The QDQ form: what is stored is dequantised at once, what is computed is judged as it is."""
    numbers = Numbers(8)
    feeds = {"x": numbers.floats(1, 4)}
    constants = {
        "s": numbers.scale(), "z": np.uint8(120), "w": numbers.bytes("int8", 4, 3),
        "sw": numbers.scale(3), "zw": np.zeros(3, np.int8),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["v"], axis=1),
        helper.make_node("MatMul", ["d", "v"], ["y"]),
    ]
    ran = run(source_model(nodes, feeds, constants), feeds)
    np.testing.assert_allclose(ran.outputs[0], ran.expected[0], rtol=1e-5, atol=1e-5)
    opcodes = [step.opcode for step in ran.program.instructions][:3]
    assert opcodes == [Opcode.QUANTIZE, Opcode.DEQUANTIZE, Opcode.DOT]


@pytest.mark.parametrize("operator", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_binary_operators_of_the_runtime(operator: str, dtype: str) -> None:
    numbers = Numbers(9)
    feeds = {"a": numbers.bytes(dtype, 1, 500), "b": numbers.bytes(dtype, 1, 500)}
    constants = {
        "sa": np.float32(0.05), "za": numbers.bytes(dtype), "sb": np.float32(0.07),
        "zb": numbers.bytes(dtype), "sy": np.float32(0.11), "zy": numbers.bytes(dtype),
    }  # fmt: skip
    names = ["a", "sa", "za", "b", "sb", "zb", "sy", "zy"]
    node = helper.make_node(operator, names, ["y"], domain="com.microsoft")
    agree(run(source_model([node], feeds, constants, microsoft=True), feeds))


@pytest.mark.parametrize("operator", ["QLinearSigmoid", "QLinearGlobalAveragePool"])
def test_unary_operators_of_the_runtime(operator: str) -> None:
    numbers = Numbers(10)
    feeds = {"x": numbers.bytes("uint8", 1, 7, 5, 5)}
    constants = {
        "sx": np.float32(0.05), "zx": np.uint8(127), "sy": np.float32(1 / 64), "zy": np.uint8(3),
    }  # fmt: skip
    node = helper.make_node(operator, ["x", "sx", "zx", "sy", "zy"], ["y"], domain="com.microsoft")
    agree(run(source_model([node], feeds, constants, microsoft=True), feeds))


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm_of_the_runtime(transposed: int) -> None:
    numbers = Numbers(11)
    feeds = {"a": numbers.bytes("uint8", 1, 9)}
    shape = (6, 9) if transposed else (9, 6)
    constants = {
        "sa": numbers.scale(), "za": np.uint8(5), "b": numbers.bytes("uint8", *shape),
        "sb": numbers.scale(), "zb": np.uint8(130),
        "c": numbers.random.integers(-900, 900, size=6).astype(np.int32),
        "sy": np.float32(0.4), "zy": np.uint8(100),
    }  # fmt: skip
    names = ["a", "sa", "za", "b", "sb", "zb", "c", "sy", "zy"]
    node = helper.make_node("QGemm", names, ["y"], domain="com.microsoft", transB=transposed)
    agree(run(source_model([node], feeds, constants, microsoft=True), feeds))


@pytest.mark.parametrize("change", ["block", "float16", "per row"])
def test_what_is_refused(change: str) -> None:
    numbers = Numbers(12)
    feeds: dict[str, Any] = {"x": numbers.floats(1, 4)}
    if change == "block":
        node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"], axis=1, block_size=2)
        constants = {"s": numbers.scale(1, 2), "z": numbers.bytes("uint8", 1, 2)}
    elif change == "float16":
        node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])
        constants = {"s": numbers.scale(), "z": np.zeros((), np.int16)}
    else:
        feeds = {"x": numbers.bytes("uint8", 1, 2, 4)}
        node = helper.make_node("MatMulInteger", ["x", "w", "z"], ["y"])
        constants = {"w": numbers.bytes("uint8", 4, 3), "z": numbers.bytes("uint8", 1, 2, 1)}
        with pytest.raises(Exception, match="MatMulInteger"):
            run(source_model([node], feeds, constants, opset=21), feeds)
        return
    with pytest.raises(ProgramError, match="QuantizeLinear"):
        run(source_model([node], feeds, constants, opset=21), feeds)


@pytest.mark.parametrize("name", ["digits-lenet", "digits-lenet-int8", "digits-residual"])
@pytest.mark.parametrize("tier", [Tier.ROUNDED, Tier.NATIVE])
def test_trained_networks(name: str, tier: Tier) -> None:
    data = (MODELS / f"{name}.onnx").read_bytes()
    held = np.load(MODELS / "heldout" / f"{name}.npz")
    rows = held[held.files[0]].astype(np.float32).reshape(-1, 64)[:2]
    for row in rows:
        ran = run(data, {"pixels": row[None]}, tier)
        for found, expected in zip(ran.outputs, ran.expected, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
