"""A program beside its source: equal, apart, or of another mind, and rows that cannot be run."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from oracle.bootstrap.source_comparison import (
    GENERATED_ROWS,
    SourceComparison,
    compare_with_source,
)
from oracle.core.conversion import Array
from oracle.errors import InferenceError, UnusableOutput
from oracle.inference.program_session import LoadedProgram, open_program
from oracle.inference.provider import CPU
from oracle.inference.session import SessionSettings
from oracle.program.compile import compile_model
from oracle.program.encoding import program_root
from oracle.program.manifest import GENERATED, GIVEN


def scaled(factor: float) -> bytes:
    """y = factor·x and label = the largest of y, for rows of three."""
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "factor"], ["y"]),
            helper.make_node("ArgMax", ["y"], ["label"], axis=1, keepdims=0),
        ],
        "scaled",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
        ],
        [numpy_helper.from_array(np.float32([factor]), "factor")],
    )
    return made(graph)


def looked_up() -> bytes:
    """One of four numbers, by its index."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        "looked_up",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["N", 20])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 20])],
        [numpy_helper.from_array(np.arange(2, dtype=np.float32), "table")],
    )
    return made(graph)


def made(graph: onnx.GraphProto) -> bytes:
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def opened(source: bytes) -> LoadedProgram:
    compiled = compile_model(source)
    return open_program(
        "test", compiled.file, program_root(compiled.program), compiled.schema,
        provider=CPU, settings=SessionSettings(),
    )  # fmt: skip


def row(*values: float) -> dict[str, Array]:
    return {"x": np.array([values], np.float32)}


def test_the_largest_difference_over_given_rows() -> None:
    loaded = opened(scaled(2))
    rows = [row(1, 2, 3), row(-4, 0, 1)]
    same = compare_with_source(loaded, scaled(2), rows)
    assert same is not None
    assert (same.largest, same.other_rows, same.rows, same.inputs) == (0.0, 0, 2, GIVEN)
    assert compare_with_source(loaded, scaled(2), rows) == same
    apart = compare_with_source(loaded, scaled(2.5), rows)
    assert apart is not None
    assert (apart.largest, apart.other_rows) == (2.0, 0)
    assert apart.inputs_sha256 == same.inputs_sha256
    other = compare_with_source(loaded, scaled(-2), rows)
    assert other is not None
    assert (other.largest, other.other_rows) == (16.0, 2)


def test_what_is_no_number_is_equal_to_itself_and_infinitely_far_from_others() -> None:
    loaded = opened(scaled(1))
    for values in ((math.nan, 1, 2), (math.inf, 1, 2)):
        comparison = SourceComparison(scaled(1), loaded.schema)
        comparison.add(row(*values), loaded.run(row(*values), 1).outputs)
        comparison.add(row(3, 4, 5), loaded.run(row(3, 4, 5), 1).outputs)
        found = comparison.found(GIVEN)
        assert found is not None
        assert found.largest == 0
        comparison.add(row(*values), loaded.run(row(0, 1, 2), 1).outputs)
        found = comparison.found(GIVEN)
        assert found is not None
        assert found.largest == math.inf


def test_without_rows_they_are_generated() -> None:
    found = compare_with_source(opened(scaled(2)), scaled(2), None)
    assert found is not None
    assert (found.largest, found.rows, found.inputs) == (0.0, GENERATED_ROWS, GENERATED)


def test_a_model_that_takes_no_generated_row_is_not_compared() -> None:
    source = looked_up()
    loaded = opened(source)
    assert compare_with_source(loaded, source, None) is None
    with pytest.raises((UnusableOutput, InferenceError)):
        compare_with_source(loaded, source, [{"x": np.full((1, 20), 7)}])
