"""Whatever the input, a program gives an answer that the court finds right."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from oracle.court.check import check_trace
from oracle.errors import ProgramError
from oracle.program.compile import CompiledProgram, compile_model, load_program
from oracle.program.opcode import Opcode
from tests.program.models import SAMPLES, run, run_rows, source_model, trace_of

FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
TABLE = np.random.default_rng(1).normal(size=(17, 4)).astype(np.float32)
EXTREMES = (-(2**63), -(2**31), -18, -17, -1, 0, 16, 17, 2**31, 2**63 - 1)


def embedding(*before: onnx.NodeProto, element: int = INT64, index: str = "x") -> bytes:
    return source_model(
        [*before, helper.make_node("Gather", ["table", index], ["y"])],
        features=(5,),
        outputs=[("y", FLOAT, ["N", 5, 4])],
        stored={"table": TABLE, "one": np.array(1, np.int64), "ten": np.array(10, np.int64)},
        element=element,
    )


def opcodes(compiled: CompiledProgram) -> list[Opcode]:
    return [step.opcode for step in compiled.program.instructions]


def judged_answer(compiled: CompiledProgram, x: NDArray[Any]) -> NDArray[Any]:
    """The first output, once the court has found every element of the run within."""
    report = check_trace(compiled.program, trace_of(compiled, x))
    assert (report.violated, report.undefined, report.open) == (0, 0, 0)
    return run_rows(compiled.file, x)[0]


@pytest.mark.parametrize("element", [INT32, INT64])
def test_an_index_outside_is_answered_with_the_nearest_row(element: int) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(element)
    compiled = compile_model(embedding(element=element))
    limits = np.iinfo(dtype)
    numbers = [number for number in EXTREMES if limits.min <= number <= limits.max]
    x = np.resize(np.array(numbers, dtype), (2, 5))
    with pytest.raises(Exception, match="out of data bounds"):
        run(embedding(element=element), x)
    np.testing.assert_array_equal(judged_answer(compiled, x), TABLE[np.clip(x, -17, 16)])
    inside = np.arange(-17, 17).reshape(-1, 1).repeat(5, axis=1).astype(dtype)
    found = judged_answer(compiled, inside)
    np.testing.assert_array_equal(found, run(embedding(element=element), inside)[0])


def test_elements_are_gathered_as_rows_are() -> None:
    source = source_model(
        [helper.make_node("GatherElements", ["table", "x"], ["y"], axis=1)],
        features=(5,),
        outputs=[("y", FLOAT, ["N", 5])],
        stored={"table": TABLE[:1]},
        element=INT64,
    )
    x = np.int64([[-5, 0, 3, 4, 2**40]])
    found = judged_answer(compile_model(source), x)
    np.testing.assert_array_equal(found, TABLE[:1, [0, 0, 3, 3, 3]])


def test_a_feature_asked_for_by_the_input() -> None:
    source = source_model(
        [helper.make_node("ArrayFeatureExtractor", ["row", "x"], ["y"], domain="ai.onnx.ml")],
        features=(1,),
        outputs=[("y", FLOAT, ["N", 1])],
        stored={"row": TABLE[:1]},
        element=INT64,
    )
    found = judged_answer(compile_model(source), np.int64([[99]]))
    np.testing.assert_array_equal(found, [[TABLE[0, 3]]])


def test_tokens_that_the_encoder_does_not_know() -> None:
    """digits-encoder has 17 tokens: with any others it answers as with the nearest."""
    source = (SAMPLES / "digits-encoder.onnx").read_bytes()
    compiled = compile_model(source)
    known = np.load(SAMPLES / "heldout" / "digits-encoder.npz")["x"][:1]
    unknown = known.copy()
    unknown[0, :4] = (2**63 - 1, 17, -18, -(2**63))
    with pytest.raises(Exception, match="out of data bounds"):
        run(source, unknown)
    report = check_trace(compiled.program, trace_of(compiled, unknown))
    assert (report.violated, report.undefined, report.open) == (0, 0, 0)
    for found, wanted in zip(
        run_rows(compiled.file, unknown),
        run_rows(compiled.file, unknown.clip(-17, 16)),
        strict=True,
    ):
        np.testing.assert_array_equal(found, wanted)


IN_RANGE = {
    "a place": helper.make_node("ArgMax", ["x"], ["i"], axis=1, keepdims=1),
    "clamped already": helper.make_node("Clip", ["x", "one", "ten"], ["i"]),
    "a choice": helper.make_node("Where", ["flag", "one", "ten"], ["i"]),
}
CHOICES = {"a place": 0, "clamped already": 2, "a choice": 1}


@pytest.mark.parametrize("name", sorted(IN_RANGE))
def test_no_clamp_where_the_index_is_in_range(name: str) -> None:
    before = [helper.make_node("Less", ["x", "one"], ["flag"])] * (name == "a choice")
    source = embedding(*before, IN_RANGE[name], index="i")
    model = onnx.load_from_string(source)
    if name == "a place":
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 1
    compiled = compile_model(model.SerializeToString())
    assert opcodes(compiled).count(Opcode.GATHER) == 1
    assert opcodes(compiled).count(Opcode.WHERE) == CHOICES[name]


def test_bytes_into_a_table_of_256() -> None:
    source = source_model(
        [
            helper.make_node("Cast", ["x"], ["wide"], to=INT32),
            helper.make_node("Gather", ["table", "wide"], ["y"]),
        ],
        features=(5,),
        outputs=[("y", FLOAT, ["N", 5])],
        stored={"table": np.arange(256, dtype=np.float32)},
        element=TensorProto.UINT8,
    )
    assert opcodes(compile_model(source))[:2] == [Opcode.CAST, Opcode.GATHER]


def test_two_readers_of_one_index_share_its_clamp() -> None:
    source = source_model(
        [
            helper.make_node("Gather", ["table", "x"], ["first"]),
            helper.make_node("Gather", ["other", "x"], ["second"]),
            helper.make_node("Add", ["first", "second"], ["y"]),
        ],
        features=(5,),
        outputs=[("y", FLOAT, ["N", 5, 4])],
        stored={"table": TABLE, "other": -TABLE},
        element=INT64,
    )
    assert opcodes(compile_model(source)).count(Opcode.WHERE) == 2


def test_a_foreign_program_whose_runs_could_fail_is_refused() -> None:
    model = onnx.load_from_string(compile_model(embedding()).file)
    (gather,) = [node for node in model.graph.node if node.op_type == "Gather"]
    gather.input[1] = "x"
    with pytest.raises(ProgramError, match="could make the run fail"):
        load_program(model.SerializeToString())


@pytest.mark.parametrize("divisor", [0, -1])
def test_a_foreign_program_that_divides_by_what_may_be_zero_is_refused(divisor: int) -> None:
    source = source_model(
        [helper.make_node("Div", ["x", "by"], ["y"])],
        outputs=[("y", INT64, ["N", 3])],
        stored={"by": np.array(3, np.int64)},
        element=INT64,
    )
    compiled = compile_model(source)
    load_program(compiled.file)
    model = onnx.load_from_string(compiled.file)
    name = next(node.input[1] for node in model.graph.node if node.op_type == "Div")
    (stored,) = [entry for entry in model.graph.initializer if entry.name == name]
    stored.CopyFrom(numpy_helper.from_array(np.array(divisor, np.int64), name))
    with pytest.raises(ProgramError, match="divisor other than 0 and -1"):
        load_program(model.SerializeToString())


REFUSED = {
    "Div": helper.make_node("Div", ["x", "x"], ["y"], name="here"),
    "Mod": helper.make_node("Mod", ["x", "x"], ["y"], name="here"),
    "Range": helper.make_node("Range", ["nought", "x", "step"], ["y"], name="here"),
    "Reshape": helper.make_node("Reshape", ["row", "x"], ["y"], name="here"),
    "Expand": helper.make_node("Expand", ["step", "x"], ["y"], name="here"),
    "Slice": helper.make_node("Slice", ["row", "x", "x"], ["y"], name="here"),
    "Tile": helper.make_node("Tile", ["row", "x"], ["y"], name="here"),
    "TopK": helper.make_node("TopK", ["row", "x"], ["y", "z"], name="here"),
    "OneHot": helper.make_node("OneHot", ["whole", "x", "pair"], ["y"], name="here"),
    "Pad": helper.make_node("Pad", ["row", "x"], ["y"], name="here"),
    "Split": helper.make_node("Split", ["row", "x"], ["y"], name="here"),
    "ScatterND": helper.make_node("ScatterND", ["row", "x", "step"], ["y"], name="here"),
    "GatherND": helper.make_node("GatherND", ["row", "x"], ["y"], name="here"),
    "ConstantOfShape": helper.make_node("ConstantOfShape", ["x"], ["y"], name="here"),
}


@pytest.mark.parametrize("operator", sorted(REFUSED))
def test_what_fails_for_some_data_is_refused_by_name(operator: str) -> None:
    source = source_model(
        [REFUSED[operator]],
        features=(),
        outputs=[("y", INT64, ["N"])],
        stored={
            "row": np.float32([1, 2, 3]),
            "whole": np.int64([1, 2, 3]),
            "pair": np.float32([0, 1]),
            "step": np.array(1, np.int64),
            "nought": np.array(0, np.int64),
        },
        element=INT64,
    )
    with pytest.raises(ProgramError, match=f"{operator} at 'here'"):
        compile_model(source)
