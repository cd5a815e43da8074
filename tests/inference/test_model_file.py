"""A model file is described truly, or refused with a reason and a next step."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from oracle.core.schema import ElementType, TensorSpec
from oracle.errors import ModelFileError
from oracle.inference.model_file import inspect
from oracle.program.source.model_schema import read_schema
from tests.inference import graphs
from tests.inference.graphs import model, node, stored, value, write


def refused(path: Path, match: str, **options: int) -> ModelFileError:
    with pytest.raises(ModelFileError, match=match) as caught:
        inspect(path, **options)
    return caught.value


def test_the_digits_model_is_described() -> None:
    path = graphs.MODELS / "digits-mlp.onnx"
    found = inspect(path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).digest()
    assert found.size == path.stat().st_size
    assert found.schema.inputs == (TensorSpec("pixels", ElementType.FLOAT32, (None, 64)),)
    assert found.schema.outputs == (
        TensorSpec("label", ElementType.INT64, (None,)),
        TensorSpec("probabilities", ElementType.FLOAT32, (None, 10)),
    )
    assert found.schema.max_batch == 1024
    assert inspect(path, max_batch=7).schema.max_batch == 7
    assert found.opsets[""] == 18
    assert found.producer.startswith("skl2onnx 1.")
    assert {"MatMul", "Softmax", "ai.onnx.ml.ArrayFeatureExtractor"} <= set(found.operators)
    weights = 64 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10
    assert weights <= found.parameter_count <= weights + 200


def test_the_tree_model_is_described() -> None:
    found = inspect(graphs.MODELS / "breast-cancer-gbt.onnx")
    assert found.schema.inputs == (TensorSpec("features", ElementType.FLOAT32, (None, 30)),)
    assert "ai.onnx.ml.TreeEnsembleClassifier" in found.operators
    assert found.parameter_count > 1000


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.onnx", "no file").hint
    refused(tmp_path, "not a regular file")
    os.mkfifo(tmp_path / "pipe.onnx")
    refused(tmp_path / "pipe.onnx", "not a regular file")
    (tmp_path / "loop.onnx").symlink_to(tmp_path / "loop.onnx")
    refused(tmp_path / "loop.onnx", "cannot be opened")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    assert refused(write(tmp_path, b""), "is empty").hint


def test_a_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, graphs.relu())
    size = path.stat().st_size
    assert inspect(path, max_bytes=size).size == size
    assert refused(path, f"{size} bytes; the limit is {size - 1}", max_bytes=size - 1).hint


@pytest.mark.parametrize("name", graphs.SAMPLES)
@pytest.mark.parametrize("share", [0.0001, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(tmp_path: Path, name: str, share: float) -> None:
    data = (graphs.MODELS / f"{name}.onnx").read_bytes()
    refused(write(tmp_path, data[: max(1, int(len(data) * share))]), "ONNX|load|interface")


def test_every_truncation_of_a_small_model_is_refused_or_still_whole(tmp_path: Path) -> None:
    data = graphs.relu().SerializeToString()
    for length in range(1, len(data)):
        path = write(tmp_path, data[:length])
        try:
            found = inspect(path)
        except ModelFileError:
            continue
        # Only trailing fields may be missing; what is left has another hash and says the same.
        assert found.operators == ("Relu",)
        assert found.sha256 != hashlib.sha256(data).digest()


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    generator = random.Random(0)
    for length in (1, 2, 10, 100, 1000, 10_000):
        for _ in range(10):
            refused(write(tmp_path, generator.randbytes(length)), "ONNX|is a")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG image"),
        (b"PK\x03\x04" + bytes(100), "ZIP archive"),
        (b"\x80\x04\x95" + bytes(100), "pickle"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(100), "TensorFlow Lite"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"hello, this is no model\n", "not ONNX"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, content: bytes, what: str) -> None:
    assert refused(write(tmp_path, content), what).hint


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    large = model([node("Add", "x w")], initializers=[stored("w", np.zeros(3))])
    path = tmp_path / "model.onnx"
    onnx.save(large, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    error = refused(path, "'w' in another file .'w.bin'.")
    assert error.hint is not None
    assert "onnx.save" in error.hint


def test_weights_in_another_file_are_found_in_subgraphs_and_attributes(tmp_path: Path) -> None:
    away = stored("w", np.zeros(3))
    away.ClearField("raw_data")
    away.data_location = TensorProto.EXTERNAL
    away.external_data.add(key="location", value="/etc/passwd")
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["b"], value=away)], "branch", [], [value("b", [3])]
    )
    nested = model(
        [helper.make_node("If", ["flag"], ["y"], then_branch=branch, else_branch=branch)],
        inputs=[value("flag", [], TensorProto.BOOL)],
        outputs=[value("y", [3])],
    )
    refused(write(tmp_path, nested), "another file .'/etc/passwd'.")


def test_zipmap_is_refused_with_the_option_that_avoids_it(tmp_path: Path) -> None:
    entry = helper.make_map_type_proto(
        TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    )
    maps = helper.make_value_info("y", helper.make_sequence_type_proto(entry))
    zipped = model([node("ai.onnx.ml.ZipMap", "x", classlabels_int64s=[0, 1, 2])], outputs=[maps])
    error = refused(write(tmp_path, zipped), "'y' is a sequence, not a tensor")
    assert error.hint is not None
    assert "zipmap" in error.hint


@pytest.mark.parametrize(
    ("element", "match"),
    [(TensorProto.STRING, "is string"), (TensorProto.FLOAT16, "is float16")],
)
def test_elements_without_a_wire_format_are_refused(
    tmp_path: Path, element: int, match: str
) -> None:
    shape: graphs.Axes = ["N", 3]
    path = write(
        tmp_path,
        model([node("Identity", "x")], [value("x", shape, element)], [value("y", shape, element)]),
    )
    assert refused(path, match).hint


def test_string_labels_are_refused(tmp_path: Path) -> None:
    text = model(
        [node("Cast", "x", to=TensorProto.STRING)],
        outputs=[value("y", ["N", 3], TensorProto.STRING)],
    )
    assert refused(write(tmp_path, text), "output 'y' is string").hint


@pytest.mark.parametrize("shape", [["N", "M"], ["N", None], [3, "N"]])
def test_variable_inner_axes_are_refused(tmp_path: Path, shape: graphs.Axes) -> None:
    path = write(tmp_path, model([node("Relu", "x")], [value("x", shape)], [value("y", shape)]))
    assert refused(path, "axis 1 .* varies").hint


def test_different_leading_axes_are_refused(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        model(
            [node("Identity", "x"), node("Identity", "z", "u")],
            [value("x", ["N", 3]), value("z", ["M", 3])],
            [value("y", ["N", 3]), value("u", ["M", 3])],
        ),
    )
    assert refused(path, "different leading axes .M, N.").hint


def test_an_undeclared_shape_is_refused(tmp_path: Path) -> None:
    shapeless = model([node("Relu", "x")], outputs=[value("y", None)])
    assert refused(write(tmp_path, shapeless), "shape").hint
    with pytest.raises(ModelFileError, match="'y' declares no shape"):
        read_schema(shapeless)


def test_unknown_leading_axes_are_the_batch(tmp_path: Path) -> None:
    shape: graphs.Axes = [None, 3]
    found = inspect(
        write(tmp_path, model([node("Relu", "x")], [value("x", shape)], [value("y", shape)]))
    )
    assert found.schema.fully_batched


def test_listed_initializers_are_no_inputs(tmp_path: Path) -> None:
    old = model(
        [node("Add", "x w")],
        inputs=[value("x", ["N", 3]), value("w", [3])],
        initializers=[stored("w", np.zeros(3))],
    )
    assert [spec.name for spec in inspect(write(tmp_path, old)).schema.inputs] == ["x"]


def test_an_unknown_domain_is_refused(tmp_path: Path) -> None:
    strange = model([node("com.example.Magic", "x")])
    strange.opset_import.append(helper.make_opsetid("com.example", 1))
    assert refused(write(tmp_path, strange), "com.example").hint


def test_an_unknown_operator_is_refused(tmp_path: Path) -> None:
    assert refused(write(tmp_path, model([node("Magic", "x")])), "Magic").hint


def test_a_future_opset_is_refused(tmp_path: Path) -> None:
    assert refused(write(tmp_path, model([node("Relu", "x")], opset=999)), "ONNX|load").hint


def test_random_operators_are_refused(tmp_path: Path) -> None:
    noisy = model([node("RandomNormalLike", "x", "r"), node("Add", "x r")])
    assert refused(write(tmp_path, noisy), "RandomNormalLike").hint


def test_a_graph_that_does_not_connect_is_refused(tmp_path: Path) -> None:
    assert refused(write(tmp_path, model([node("Relu", "nowhere")])), "nowhere").hint
