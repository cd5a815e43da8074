"""Stored infinities outside of a softmax: refused where arithmetic meets them, else left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from oracle.core.types import Tier
from oracle.court.check import check_trace
from oracle.errors import ProgramError
from oracle.program.compile import compile_model
from tests.program.models import run, run_rows, source_model, trace_of

FLOAT = TensorProto.FLOAT

LOW = {"low": np.array(-np.inf, np.float32), "limit": np.array(0.5, np.float32)}
NEAR = helper.make_node("Less", ["x", "limit"], ["near"])


def _small(nodes: list[onnx.NodeProto], **stored: Any) -> bytes:
    return source_model(
        nodes,
        features=(3,),
        outputs=[("y", FLOAT, ["N", 3])],
        stored={**LOW, **{name: np.asarray(value) for name, value in stored.items()}},
        opset=13,
    )


def _hidden(*rest: onnx.NodeProto) -> list[onnx.NodeProto]:
    return [NEAR, helper.make_node("Where", ["near", "low", "x"], ["h"], name="hide"), *rest]


REFUSED = {
    "logarithm of a softmax": _small(
        _hidden(helper.make_node("LogSoftmax", ["h"], ["y"], axis=-1))
    ),
    "sigmoid": _small(_hidden(helper.make_node("Sigmoid", ["h"], ["y"]))),
    "negated": _small(
        _hidden(helper.make_node("Neg", ["h"], ["n"]), helper.make_node("Exp", ["n"], ["y"]))
    ),
    "read again": _small(
        _hidden(
            helper.make_node("Softmax", ["h"], ["s"], axis=-1),
            helper.make_node("Add", ["s", "h"], ["y"]),
        )
    ),
    "plus infinity": _small(
        [
            NEAR,
            helper.make_node("Where", ["near", "up", "x"], ["h"], name="hide"),
            helper.make_node("Softmax", ["h"], ["y"], axis=-1),
        ],
        up=np.float32(np.inf),
    ),
    "a product": _small(
        [
            helper.make_node("Mul", ["x", "low"], ["h"], name="hide"),
            helper.make_node("Softmax", ["h"], ["y"], axis=-1),
        ]
    ),
    "another maximum": _small(
        _hidden(
            helper.make_node("ReduceMax", ["h"], ["m"], axes=[-1], keepdims=1, name="most"),
            helper.make_node("Sub", ["x", "m"], ["d"]),
            helper.make_node("Exp", ["d"], ["y"]),
        )
    ),
    "weights": _small(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="hide")],
        w=np.diag(np.float32([1, 2, -np.inf])),
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_not_proved_is_refused_by_name(name: str) -> None:
    for tier in (None, Tier.NATIVE, Tier.ROUNDED):
        with pytest.raises(ProgramError, match="'hide'") as refusal:
            compile_model(REFUSED[name], tier=tier)
        assert "not finite" in refusal.value.message
        assert "-1e9" in (refusal.value.hint or "")


HARMLESS = {
    "the largest of what is shown": _small(
        _hidden(helper.make_node("Max", ["h", "x"], ["y"], name="most"))
    ),
    "clipped from one side": _small(
        [
            helper.make_node("Max", ["x", "low"], ["c"]),
            helper.make_node("Exp", ["c"], ["y"]),
        ]
    ),
    "the place of the largest": source_model(
        _hidden(helper.make_node("ArgMax", ["h"], ["y"], axis=1, keepdims=1)),
        features=(3,),
        outputs=[("y", TensorProto.INT64, ["N", 1])],
        stored=LOW,
    ),
}


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_choices_among_infinities_stay_as_they_are(name: str) -> None:
    """They are judged exactly, and finite numbers might choose otherwise."""
    x = np.float32([[0.25, 2, -3], [1, 0.75, 0.5]])
    compiled = compile_model(HARMLESS[name])
    report = check_trace(compiled.program, trace_of(compiled, x))
    assert (report.violated, report.undefined, report.open) == (0, 0, 0)
    np.testing.assert_array_equal(run_rows(compiled.file, x)[0], run(HARMLESS[name], x)[0])
    assert any(np.isneginf(values).any() for values in compiled.program.constant_values)


def test_stored_bools_are_zero_or_one() -> None:
    node = helper.make_node("Where", ["choice", "x", "limit"], ["y"])
    model = onnx.load_from_string(_small([node], choice=np.array([True, False, True])))
    (stored,) = [entry for entry in model.graph.initializer if entry.name == "choice"]
    compile_model(model.SerializeToString())
    stored.ClearField("int32_data")
    stored.raw_data = bytes([1, 0, 2])
    with pytest.raises(ProgramError, match="neither 0 nor 1"):
        compile_model(model.SerializeToString())
