"""The fixed-point functions against mpmath, and onnxruntime's kernels against the tolerances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import onnxruntime
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from oracle.court.binary32 import BINARY32
from oracle.court.elementary import FUNCTIONS, LN2, ROOT_TWO, TWO_OVER_ROOT_PI
from oracle.program.opcode import Opcode
from tests.court.cases import (
    INF,
    LARGEST,
    NAN,
    SUBNORMAL,
    UNDEFINED,
    VIOLATED,
    WITHIN,
    beyond,
    bits,
    f32,
    outcome,
    verdict,
)

MP = mpmath.MPContext()
MP.prec = 400

REFERENCE: dict[Opcode, Callable[[Any], Any]] = {
    Opcode.EXP: MP.exp,
    Opcode.LOG: MP.log,
    Opcode.ERF: MP.erf,
    Opcode.TANH: MP.tanh,
    Opcode.SIGMOID: lambda x: 1 / (1 + MP.exp(-x)),
    Opcode.SOFTPLUS: lambda x: max(x, 0) + MP.log1p(MP.exp(-abs(x))),
}
ONNX_NAMES = {
    Opcode.EXP: "Exp",
    Opcode.LOG: "Log",
    Opcode.ERF: "Erf",
    Opcode.TANH: "Tanh",
    Opcode.SIGMOID: "Sigmoid",
    Opcode.SOFTPLUS: "Softplus",
}
FINITE = st.one_of(
    st.integers(0, 2**32 - 1).filter(BINARY32.is_finite),
    st.floats(-110, 110, width=32).map(bits),
    st.floats(-7, 7, width=32).map(bits),
)


def error(opcode: Opcode, raw: int) -> Any:
    """|approximation - f| in units of |f|, or of 1 + |f| for sigmoid and softplus."""
    significand, exponent = FUNCTIONS[opcode](raw)
    exact = REFERENCE[opcode](MP.mpf(float(f32(raw))))
    distance = abs(MP.ldexp(MP.mpf(significand), exponent) - exact)
    if opcode in (Opcode.SIGMOID, Opcode.SOFTPLUS):
        return distance / (1 + abs(exact))
    return distance / abs(exact) if exact else distance


@pytest.mark.parametrize("opcode", FUNCTIONS)
@settings(max_examples=100)
@given(raw=FINITE)
@example(raw=bits(1.0))
@example(raw=bits(0.0))
@example(raw=bits(SUBNORMAL))
@example(raw=bits(LARGEST))
@example(raw=bits(np.nextafter(np.float32(1), INF)))
@example(raw=bits(np.sqrt(np.float32(44))))
def test_the_fixed_point_is_accurate_to_60_bits(opcode: Opcode, raw: int) -> None:
    if opcode is Opcode.LOG:
        raw &= 0x7FFFFFFF
        raw = raw or 1
    if opcode is Opcode.EXP and abs(f32(raw)) > 200:
        significand, exponent = FUNCTIONS[opcode](raw)
        size = significand.bit_length() + exponent
        assert size > 140 or size < -280
        return
    assert error(opcode, raw) < MP.ldexp(1, -60)


def test_the_constants_are_what_they_say() -> None:
    assert int(MP.floor(MP.ldexp(MP.ln(2), 120))) == LN2
    assert int(MP.floor(MP.ldexp(2 / MP.sqrt(MP.pi), 80))) == TWO_OVER_ROOT_PI
    assert int(MP.floor(MP.ldexp(MP.sqrt(2), 120))) == ROOT_TWO


@pytest.mark.parametrize("opcode", FUNCTIONS)
def test_no_step_leaves_256_bits(opcode: Opcode) -> None:
    class Counted(int):
        """An integer whose arithmetic is watched."""

        def _of(self, value: Any) -> Any:
            if isinstance(value, int):
                assert -(2**255) <= value < 2**255
                return Counted(value)
            return value

        def __add__(self, other: int) -> Any:
            return self._of(int(self) + int(other))

        __radd__ = __add__

        def __sub__(self, other: int) -> Any:
            return self._of(int(self) - int(other))

        def __rsub__(self, other: int) -> Any:
            return self._of(int(other) - int(self))

        def __mul__(self, other: int) -> Any:
            return self._of(int(self) * int(other))

        __rmul__ = __mul__

        def __lshift__(self, other: int) -> Any:
            return self._of(int(self) << int(other))

        def __rshift__(self, other: int) -> Any:
            return self._of(int(self) >> int(other))

        def __floordiv__(self, other: int) -> Any:
            return self._of(int(self) // int(other))

        def __neg__(self) -> Any:
            return self._of(-int(self))

        def __abs__(self) -> Any:
            return self._of(abs(int(self)))

    generator = np.random.default_rng(5)
    raws = [int(raw) for raw in generator.integers(0, 2**32, 300)]
    raws += [bits(np.float32(x)) for x in generator.uniform(-210, 210, 300)]
    raws += [bits(np.float32(x)) for x in generator.uniform(-7, 7, 300)]
    original = type(BINARY32).decode
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(BINARY32),
            "decode",
            lambda self, raw: tuple(Counted(part) for part in original(self, raw)),
        )
        for raw in raws:
            if BINARY32.is_finite(raw):
                FUNCTIONS[opcode]((raw & 0x7FFFFFFF or 1) if opcode is Opcode.LOG else raw)


def kernel(opcode: Opcode) -> Callable[[Any], Any]:
    graph = helper.make_graph(
        [helper.make_node(ONNX_NAMES[opcode], ["x"], ["y"])],
        "unary",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return lambda x: session.run(None, {"x": x})[0]


def samples(opcode: Opcode) -> Any:
    generator = np.random.default_rng(int(opcode))
    raw = generator.integers(0, 2**32, 200, dtype=np.uint64).astype(np.uint32)
    x = np.concatenate(
        [
            raw.view(np.float32),
            generator.uniform(-110, 110, 200).astype(np.float32),
            generator.uniform(-20, 20, 200).astype(np.float32),
            generator.normal(size=200).astype(np.float32),
            (1 + 1e-3 * generator.normal(size=100)).astype(np.float32),
            # Where onnxruntime 1.31 was found to be worst (docs/court.md).
            np.float32([8.475540, 8.553121, -17.999432, 1.4146055, 0.707185686, 0.22701506]),
            np.float32([16.45570945, -6.9109955, 88.72283, 88.72284, -87.33, -103.97, 0.0, -0.0]),
        ]
    )
    x = x[np.isfinite(x)]
    return np.abs(x[x != 0]) if opcode is Opcode.LOG else x


@pytest.mark.parametrize("opcode", FUNCTIONS)
def test_onnxruntime_is_within_and_twice_the_bound_is_not(opcode: Opcode) -> None:
    x = samples(opcode)
    for operand, claimed in zip(x, kernel(opcode)(x), strict=True):
        found = verdict(opcode, claimed, operand)
        assert found.outcome is WITHIN, (operand, found)
        if not np.isfinite(claimed):
            continue
        for moved in beyond(claimed, found):
            assert outcome(opcode, moved, operand) is VIOLATED, (operand, moved)


def test_overflow_and_special_values() -> None:
    assert outcome(Opcode.EXP, INF, 88.8) is WITHIN
    assert outcome(Opcode.EXP, INF, 1e30) is WITHIN
    assert outcome(Opcode.EXP, LARGEST, 1e30) is VIOLATED
    assert outcome(Opcode.EXP, INF, 88.0) is VIOLATED
    assert outcome(Opcode.EXP, 0.0, -1e30) is WITHIN
    assert outcome(Opcode.EXP, NAN, 0.0) is VIOLATED
    assert outcome(Opcode.TANH, INF, 1.0) is VIOLATED
    for opcode in FUNCTIONS:
        for special in (NAN, INF, -INF):
            assert outcome(opcode, 0.0, special) is UNDEFINED
    for operand in (0.0, -0.0, -1.0):
        assert outcome(Opcode.LOG, -INF, operand) is UNDEFINED
    assert outcome(Opcode.SOFTPLUS, LARGEST, LARGEST) is WITHIN
