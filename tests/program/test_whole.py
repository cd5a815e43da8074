"""Largest, smallest and sign of int64 numbers, where onnxruntime's own kernels are wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from oracle.court.check import check_trace
from oracle.errors import ProgramError
from oracle.program.compile import compile_model, load_program
from tests.program.models import run_rows, source_model, trace_of

INT64 = TensorProto.INT64
HALVES = np.int64([0, 1, 5, 2**31 - 1, 2**31, 2**31 + 3, 2**32 - 1])


def integers(operator: str, *stored: str, **attributes: Any) -> bytes:
    """An operator on int64 rows of 7, with `five` = 5 as its other operand if wanted."""
    shape = {"ReduceMax": [1], "ReduceMin": [1], "TopK": [1]}.get(operator, [7])
    outputs = ["y", "z"] if operator == "TopK" else ["y"]
    return source_model(
        [helper.make_node(operator, ["x", *stored], outputs, **attributes)],
        features=(7,),
        outputs=[("y", INT64, ["N", *shape])],
        stored={
            "five": np.array(5, np.int64),
            "axis": np.int64([1]),
            "count": np.int64([1]),
            "down": np.arange(-3, 4) * 2**31,
        },
        element=INT64,
    )


CHOSEN = {
    "Max": (integers("Max", "down"), lambda x, down: np.maximum(x, down)),
    "Min": (integers("Min", "down"), lambda x, down: np.minimum(x, down)),
    "Clip": (integers("Clip", "", "five"), lambda x, _: np.minimum(x, 5)),
    "Sign": (integers("Sign"), lambda x, _: np.sign(x)),
    "ReduceMax": (integers("ReduceMax", "axis"), lambda x, _: x.max(1, keepdims=True)),
    "ReduceMin": (integers("ReduceMin", "axis"), lambda x, _: x.min(1, keepdims=True)),
    "TopK": (integers("TopK", "count"), lambda x, _: x.max(1, keepdims=True)),
}


@pytest.mark.parametrize("operator", sorted(CHOSEN))
def test_choices_among_int64_are_right(operator: str) -> None:
    """onnxruntime's own are not, for these numbers, on x86-64."""
    source, wanted = CHOSEN[operator]
    generator = np.random.default_rng(3)
    high, low = generator.integers(-2, 2, (64, 7)), generator.choice(HALVES, (64, 7))
    x = high * 2**32 + low
    down = np.arange(-3, 4) * 2**31
    compiled = compile_model(source)
    report = check_trace(compiled.program, trace_of(compiled, x))
    assert (report.violated, report.undefined, report.open) == (0, 0, 0)
    np.testing.assert_array_equal(run_rows(compiled.file, x)[0], wanted(x, down))


@pytest.mark.parametrize("operator", ["Max", "Sign", "ReduceMax"])
def test_a_foreign_program_with_a_wrong_kernel_is_refused(operator: str) -> None:
    stored = {"Max": ["down"], "ReduceMax": ["axis"]}.get(operator, [])
    model = onnx.load_from_string(compile_model(integers("Add", "five")).file)
    source = onnx.load_from_string(integers(operator, *stored))
    del model.graph.node[:]
    del model.graph.value_info[:]
    model.graph.node.extend(source.graph.node)
    model.graph.initializer.extend(source.graph.initializer)
    model.graph.output[0].type.tensor_type.shape.CopyFrom(
        source.graph.output[0].type.tensor_type.shape
    )
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    with pytest.raises(ProgramError, match=f"{operator} of int64"):
        load_program(model.SerializeToString())
