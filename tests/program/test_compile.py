"""Compiling: what is bound, bypassed, refused and named, and that it is deterministic."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from oracle.core.types import Tier
from oracle.errors import ModelFileError, ProgramError
from oracle.program import normalise, reading
from oracle.program.compile import compile_model, load_program
from oracle.program.leaf_size import choose_leaf_bytes
from oracle.program.opcode import Opcode
from oracle.program.profile import profile_hash, profile_json
from tests.program.models import SAMPLES, check_same, run_rows, source_model

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
ROWS = np.array([[1, -2, 3], [0.5, 0.25, -1]], dtype=np.float32)
Y = [("y", FLOAT, ["N", 3])]


def test_same_bytes_in_same_bytes_out() -> None:
    data = (SAMPLES / "digits-mlp.onnx").read_bytes()
    first, second = compile_model(data), compile_model(data)
    assert first.file == second.file
    assert load_program(first.file).instructions == first.program.instructions
    assert load_program(first.file).tensors == first.program.tensors


def test_batch_axis_is_bound_and_names_are_kept() -> None:
    compiled, _ = check_same(source_model([helper.make_node("Abs", ["x"], ["y"])], outputs=Y), ROWS)
    graph = onnx.load_from_string(compiled.file).graph
    assert [entry.name for entry in (*graph.input, *graph.output)] == ["x", "y"]
    assert compiled.program.tensors[0].shape == (1, 3)
    assert compiled.schema.inputs[0].shape == (None, 3)


def test_tier_is_what_the_model_is_made_of() -> None:
    movement = source_model([helper.make_node("Relu", ["x"], ["y"])], outputs=Y)
    assert compile_model(movement).program.tier is Tier.EXACT
    sums = source_model([helper.make_node("Softmax", ["x"], ["y"])], outputs=Y)
    assert compile_model(sums).program.tier is Tier.ROUNDED
    with pytest.raises(ProgramError, match="EXP") as refusal:
        compile_model(sums, tier=Tier.EXACT)
    assert refusal.value.hint
    with pytest.raises(ProgramError, match="unproven"):
        compile_model(sums, tier=Tier.UNPROVEN)


def test_leaves_suit_the_trace() -> None:
    data = (SAMPLES / "digits-encoder.onnx").read_bytes()
    compiled = compile_model(data)
    assert compiled.program.leaf_bytes == choose_leaf_bytes(compiled.program.row_trace_bytes)
    assert load_program(compiled.file).leaf_bytes == compiled.program.leaf_bytes
    assert compile_model(data, leaf_bytes=512).program.leaf_bytes == 512


def test_large_models_are_native(monkeypatch: pytest.MonkeyPatch) -> None:
    data = (SAMPLES / "digits-logistic.onnx").read_bytes()
    assert compile_model(data).program.tier is Tier.ROUNDED
    monkeypatch.setattr("oracle.program.compile.NATIVE_FROM", 640)
    assert compile_model(data).program.tier is Tier.NATIVE


def test_wrappers_are_bypassed() -> None:
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node("Dropout", ["a"], ["b"]),
        helper.make_node("Abs", ["b"], ["c"]),
        helper.make_node("Identity", ["c"], ["y"]),
    ]
    compiled, _ = check_same(source_model(nodes, outputs=Y), ROWS)
    assert [step.opcode for step in compiled.program.instructions] == [Opcode.ABS, Opcode.COPY]


def test_zip_map_gives_its_tensor() -> None:
    nodes = [
        helper.make_node("Abs", ["x"], ["scores"]),
        helper.make_node(
            "ZipMap", ["scores"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]
        ),
    ]
    model = onnx.load_from_string(source_model(nodes, outputs=Y))
    kind = helper.make_sequence_type_proto(
        helper.make_map_type_proto(INT64, helper.make_tensor_type_proto(FLOAT, None))
    )
    model.graph.output[0].type.CopyFrom(kind)
    compiled = compile_model(model.SerializeToString())
    np.testing.assert_array_equal(run_rows(compiled.file, ROWS)[0], np.abs(ROWS))
    assert compiled.schema.outputs[0].shape == (None, 3)


def test_local_functions_are_inlined() -> None:
    body = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_operatorsetid("", 18)],
    )  # fmt: skip
    node = helper.make_node("Twice", ["x"], ["y"], domain="mine")
    check_same(source_model([node], outputs=Y, functions=[body]), ROWS)


def test_stored_operands_are_folded() -> None:
    nodes = [
        helper.make_node("Constant", [], ["one"], value_floats=[1.0, 2.0, 3.0]),
        helper.make_node("Cast", ["doubles"], ["floats"], to=FLOAT),
        helper.make_node("Add", ["one", "floats"], ["sum"]),
        helper.make_node("Mul", ["x", "sum"], ["y"]),
    ]
    stored = {"doubles": np.array([0.5, 0.25, 0.125])}
    compiled, _ = check_same(source_model(nodes, outputs=Y, stored=stored), ROWS)
    assert [step.opcode for step in compiled.program.instructions] == [Opcode.MUL, Opcode.COPY]


def test_initializers_that_are_inputs_too_are_not_inputs() -> None:
    stored = {"w": np.array([1, 2, 3], dtype=np.float32)}
    data = source_model([helper.make_node("Add", ["x", "w"], ["y"])], outputs=Y, stored=stored)
    model = onnx.load_from_string(data)
    model.graph.input.append(helper.make_tensor_value_info("w", FLOAT, [3]))
    compiled, _ = check_same(model.SerializeToString(), ROWS)
    assert len(compiled.schema.inputs) == 1


def test_constant_output() -> None:
    nodes = [helper.make_node("Abs", ["x"], ["y"]), helper.make_node("Neg", ["w"], ["z"])]
    stored = {"w": np.array([[1, 2]], dtype=np.float32)}
    data = source_model(nodes, outputs=[*Y, ("z", FLOAT, [1, 2])], stored=stored)
    compiled = compile_model(data)
    assert compiled.schema.max_batch == 1
    np.testing.assert_array_equal(run_rows(compiled.file, ROWS[:1])[1], [[-1, -2]])


def test_reshape_that_is_no_view_is_copied() -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        helper.make_node("Reshape", ["t", "shape"], ["flat"]),
        helper.make_node("Neg", ["flat"], ["y"]),
    ]
    data = source_model(
        nodes,
        features=(2, 3),
        outputs=[("y", FLOAT, ["N", 6])],
        stored={"shape": np.array([-1, 6], dtype=np.int64)},
    )
    x = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    compiled, _ = check_same(data, x)
    opcodes = [step.opcode for step in compiled.program.instructions]
    assert opcodes == [Opcode.COPY, Opcode.NEG, Opcode.COPY]
    made = {
        name for node in onnx.load_from_string(compiled.file).graph.node for name in node.output
    }
    assert {info.name for info in compiled.program.tensors[1:]} <= made


def test_all_faults_are_told_at_once() -> None:
    nodes = [
        helper.make_node("NonZero", ["x"], ["a"], name="first"),
        helper.make_node("Det", ["x3"], ["b"], name="second"),
        helper.make_node("Reshape", ["x", "shape"], ["x3"]),
        helper.make_node("Cast", ["a"], ["c"], to=FLOAT),
        helper.make_node("Add", ["c", "b"], ["y"]),
    ]
    nodes = [nodes[0], nodes[2], nodes[1], *nodes[3:]]
    data = source_model(
        nodes, outputs=[("y", FLOAT, None)], stored={"shape": np.array([1, 1, 3], dtype=np.int64)}
    )
    model = onnx.load_from_string(data)
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.shape.dim.add().dim_param = "N"
    with pytest.raises(ProgramError) as refusal:
        compile_model(model.SerializeToString())
    for word in ("NonZero", "first", "Det", "second"):
        assert word in refusal.value.message
    assert "Where" in (refusal.value.hint or "")


def test_control_flow_is_refused() -> None:
    branch = helper.make_graph(
        [helper.make_node("Abs", ["x"], ["r"])], "b", [],
        [helper.make_tensor_value_info("r", FLOAT, None)],
    )  # fmt: skip
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Cast", ["m"], ["c"], to=TensorProto.BOOL),
        helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch),
    ]
    with pytest.raises(ProgramError, match="If") as refusal:
        compile_model(source_model(nodes, outputs=Y))
    assert "control flow" in (refusal.value.hint or "")


def test_doubles_are_refused() -> None:
    node = helper.make_node("Abs", ["x"], ["y"])
    data = source_model(
        [node], outputs=[("y", TensorProto.DOUBLE, ["N", 3])], element=TensorProto.DOUBLE
    )
    with pytest.raises(ProgramError, match="float64") as refusal:
        compile_model(data)
    assert "float32" in (refusal.value.hint or "")


def test_double_input_may_be_cast_at_once() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=FLOAT),
        helper.make_node("Abs", ["f"], ["y"]),
    ]
    data = source_model(nodes, outputs=Y, element=TensorProto.DOUBLE)
    _, worst = check_same(data, ROWS.astype(np.float64))
    assert worst == 0.0


def test_rows_that_depend_on_each_other_come_alone() -> None:
    nodes = [
        helper.make_node("ReduceMax", ["x", "axes"], ["m"], keepdims=1),
        helper.make_node("Sub", ["x", "m"], ["y"]),
    ]
    stored = {"axes": np.array([0], dtype=np.int64)}
    compiled = compile_model(source_model(nodes, outputs=Y, stored=stored))
    assert compiled.schema.max_batch == 1
    assert compiled.single_only is not None


@pytest.mark.parametrize("data", [b"", b"nonsense"])
def test_foreign_bytes(data: bytes) -> None:
    with pytest.raises(ModelFileError):
        compile_model(data)
    with pytest.raises(ProgramError):
        load_program(data)


def test_source_models_are_no_programs() -> None:
    with pytest.raises(ProgramError, match="metadata"):
        load_program((SAMPLES / "digits-mlp.onnx").read_bytes())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("oracle.tier", "0"),
        ("oracle.tier", "9"),
        ("oracle.tier", "one"),
        ("oracle.leaf_bytes", "0"),
        ("oracle.source_sha256", "00"),
        ("oracle.layouts", "zz=1"),
        ("oracle.layouts", f"{b'pixels'.hex()}=1,0"),
        ("oracle.layouts", f"{b'pixels'.hex()}=0,0"),
        ("oracle.layouts", f"{b'label'.hex()}=1"),
    ],
)
def test_changed_metadata_is_refused(key: str, value: str) -> None:
    file = compile_model((SAMPLES / "digits-mlp.onnx").read_bytes()).file
    model = onnx.load_from_string(file)
    for entry in model.metadata_props:
        entry.value = value if entry.key == key else entry.value
    with pytest.raises(ProgramError):
        load_program(model.SerializeToString())


def test_profiles_differ_by_tier() -> None:
    hashes = {profile_hash(tier) for tier in (Tier.EXACT, Tier.ROUNDED, Tier.NATIVE)}
    assert len(hashes) == 3
    assert '"use_tf32":"0"' in profile_json(Tier.NATIVE)
    with pytest.raises(ProgramError):
        profile_json(Tier.UNPROVEN)


@pytest.mark.parametrize("package", [normalise, reading])
def test_every_rule_is_imported(package: ModuleType) -> None:
    (folder,) = package.__path__
    with_rules = {
        path.stem
        for path in Path(folder).glob("*.py")
        if any(line.startswith(("@rewrites(", "@reads(")) for line in path.read_text().split("\n"))
    }
    assert with_rules <= set(package.__all__)
