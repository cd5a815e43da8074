"""Quantised operations against onnxruntime's kernels, near ties and at the ends of the range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from oracle.program.opcode import Opcode
from tests.court.cases import INF, NAN, UNDEFINED, VIOLATED, WITHIN, outcome

TYPES = {
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "int16": TensorProto.INT16,
    "uint16": TensorProto.UINT16,
    "int32": TensorProto.INT32,
    "float32": TensorProto.FLOAT,
}


def kernel(operator: str, inputs: list[tuple[str, int]], output: str) -> Callable[..., Any]:
    names = [f"i{number}" for number in range(len(inputs))]
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["y"])],
        "quantised",
        [
            helper.make_tensor_value_info(name, TYPES[kind], [None] * rank)
            for name, (kind, rank) in zip(names, inputs, strict=True)
        ],
        [helper.make_tensor_value_info("y", TYPES[output], None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return lambda *values: session.run(
        None, {name: np.asarray(value) for name, value in zip(names, values, strict=True)}
    )[0]


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16"])
def test_quantize(kind: str) -> None:
    run = kernel("QuantizeLinear", [("float32", 1), ("float32", 0), (kind, 0)], kind)
    generator = np.random.default_rng(4)
    limits = np.iinfo(kind)
    for _ in range(6):
        scale = np.float32(np.exp(generator.uniform(-12, 5)))
        zero = generator.integers(limits.min, limits.max, dtype=kind, endpoint=True)
        steps = generator.integers(limits.min - 9, limits.max + 9, 60) - int(zero)
        ties = ((steps + 0.5) * float(scale)).astype(np.float32)
        x = (ties.view(np.int32) + generator.integers(-2, 3, 60, dtype=np.int32)).view(np.float32)
        x = np.concatenate([x, generator.normal(size=30).astype(np.float32) * scale * 50])
        x = np.append(x, np.float32([0, -0.0, 1e-45, 3e38, -3e38]))
        y = run(x, scale, zero)
        for value, claimed in zip(x, y, strict=True):
            assert outcome(Opcode.QUANTIZE, claimed, value, scale, zero) is WITHIN
            for other in (int(claimed) - 2, int(claimed) + 2):
                if limits.min <= other <= limits.max:
                    moved = claimed.dtype.type(other)
                    assert outcome(Opcode.QUANTIZE, moved, value, scale, zero) is VIOLATED


def test_a_neighbour_is_only_right_next_to_a_tie() -> None:
    one, zero = np.float32(1), np.int8(0)
    tie = np.float32(2.5)
    assert outcome(Opcode.QUANTIZE, np.int8(2), tie, one, zero) is WITHIN
    assert outcome(Opcode.QUANTIZE, np.int8(3), tie, one, zero) is WITHIN
    assert outcome(Opcode.QUANTIZE, np.int8(1), tie, one, zero) is VIOLATED
    off = np.float32(2.5 + 2.0**-20)
    assert outcome(Opcode.QUANTIZE, np.int8(2), off, one, zero) is VIOLATED
    assert outcome(Opcode.QUANTIZE, np.int8(3), off, one, zero) is WITHIN
    assert outcome(Opcode.QUANTIZE, np.int8(127), np.float32(1e9), one, zero) is WITHIN
    assert outcome(Opcode.QUANTIZE, np.int8(126), np.float32(1e9), one, zero) is VIOLATED


@pytest.mark.parametrize("kind", ["int8", "uint8", "uint16", "int32"])
def test_dequantize(kind: str) -> None:
    run = kernel("DequantizeLinear", [(kind, 1), ("float32", 0), (kind, 0)], "float32")
    generator = np.random.default_rng(6)
    limits = np.iinfo(kind)
    for _ in range(6):
        scale = np.float32(np.exp(generator.uniform(-100, 5)))
        zero = generator.integers(limits.min, limits.max, dtype=kind, endpoint=True)
        zero = zero if kind != "int32" else np.int32(0)
        x = generator.integers(limits.min, limits.max, 50, dtype=kind, endpoint=True)
        for value, claimed in zip(x, run(x, scale, zero), strict=True):
            assert outcome(Opcode.DEQUANTIZE, claimed, value, scale, zero) is WITHIN
            for other in (np.nextafter(claimed, INF), np.nextafter(claimed, -INF)):
                assert outcome(Opcode.DEQUANTIZE, other, value, scale, zero) is VIOLATED


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_integer_dot(kind: str) -> None:
    inputs = [(kind, 2), (kind, 2), (kind, 0), (kind, 0)]
    run = kernel("MatMulInteger", inputs, "int32")
    generator = np.random.default_rng(7)
    a, b = _matrices(generator, kind)
    first, second = a.dtype.type(3), a.dtype.type(100)
    y = run(a, b, first, second)
    for (i, j), claimed in np.ndenumerate(y):
        row, column = a[i], np.ascontiguousarray(b[:, j])
        assert outcome(Opcode.INTEGER_DOT, claimed, row, column, first, second) is WITHIN
        wrong = claimed + np.int32(1)
        assert outcome(Opcode.INTEGER_DOT, wrong, row, column, first, second) is VIOLATED


def test_an_int32_accumulator_wraps() -> None:
    a = np.full(40000, 255, dtype=np.uint8)
    zero = np.uint8(0)
    exact = 40000 * 255 * 255
    claimed = np.int32(exact - 2**32)
    assert outcome(Opcode.INTEGER_DOT, claimed, a, a, zero, zero) is WITHIN


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_quantized_dot(kind: str) -> None:
    inputs = [(kind, 2), ("float32", 0), (kind, 0)] * 2 + [("float32", 0), (kind, 0)]
    run = kernel("QLinearMatMul", inputs, kind)
    generator = np.random.default_rng(9)
    limits = np.iinfo(kind)
    for _ in range(8):
        a, b = _matrices(generator, kind)
        zeros = [generator.integers(limits.min, limits.max, dtype=kind) for _ in range(3)]
        scales = np.exp(generator.uniform(-8, 1, 2)).astype(np.float32)
        total = (a.astype(int) - int(zeros[0])) @ (b.astype(int) - int(zeros[1]))
        last = np.float32(np.abs(total).max() * float(scales[0]) * float(scales[1]) / 100)
        y = run(a, scales[0], zeros[0], b, scales[1], zeros[1], last, zeros[2])
        for (i, j), claimed in np.ndenumerate(y):
            row, column = a[i], np.ascontiguousarray(b[:, j])
            rest = (row, column, zeros[0], zeros[1], scales[0], scales[1], last, zeros[2])
            assert outcome(Opcode.QUANTIZED_DOT, claimed, *rest) is WITHIN
            other = int(claimed) + (2 if int(claimed) + 2 <= limits.max else -2)
            assert outcome(Opcode.QUANTIZED_DOT, claimed.dtype.type(other), *rest) is VIOLATED


def test_a_quantized_bias_belongs_to_the_accumulator() -> None:
    a = np.array([2, 3], dtype=np.uint8)
    one, zero = np.float32(1), np.uint8(0)
    rest = (a, a, zero, zero, one, one, one, zero)
    assert outcome(Opcode.QUANTIZED_DOT, np.uint8(13), *rest) is WITHIN
    assert outcome(Opcode.QUANTIZED_DOT, np.uint8(20), *rest, np.int32(7)) is WITHIN
    assert outcome(Opcode.QUANTIZED_DOT, np.uint8(13), *rest, np.int32(7)) is VIOLATED


def test_what_the_court_does_not_say() -> None:
    one, zero = np.float32(1), np.int8(0)
    for value in (NAN, INF, -INF):
        assert outcome(Opcode.QUANTIZE, np.int8(0), value, one, zero) is UNDEFINED
        assert outcome(Opcode.QUANTIZE, np.int8(0), one, value, zero) is UNDEFINED
        assert outcome(Opcode.DEQUANTIZE, one, zero, value, zero) is UNDEFINED
    for scale in (0.0, -1.0):
        assert outcome(Opcode.QUANTIZE, np.int8(0), one, scale, zero) is UNDEFINED
    a = np.array([2, 3], dtype=np.int8)
    tiny = np.float32(1e-30)
    rest = (a, a, zero, zero, tiny, tiny, tiny, zero)
    assert outcome(Opcode.QUANTIZED_DOT, np.int8(0), *rest) is UNDEFINED


def _matrices(generator: np.random.Generator, kind: str) -> tuple[Any, Any]:
    limits = np.iinfo(kind)
    shapes = ((6, 33), (33, 5))
    first, second = (
        generator.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)
        for shape in shapes
    )
    return first, second
