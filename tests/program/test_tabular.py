"""Tabular operators and the tabular sample models, compared with onnxruntime."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.compile import compile_model, load_program
from tests.program.models import SAMPLES, TABULAR, check_same, source_model

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
TRANSFORMS = ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")
ML = "ai.onnx.ml"


def single(
    operator: str, *, shape: tuple[Any, ...], kind: int = FLOAT, features: int = 3,
    element: int = FLOAT, ml_opset: int = 3, **attributes: Any,
) -> bytes:  # fmt: skip
    node = helper.make_node(operator, ["x"], ["y"], domain=ML, **attributes)
    return source_model(
        [node], features=(features,), outputs=[("y", kind, ("N", *shape))], element=element,
        ml_opset=ml_opset,
    )  # fmt: skip


@pytest.fixture
def rows() -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(11)
    drawn = generator.normal(size=(40, 3)).astype(np.float32)
    special = [[0, 0, 0], [1, -2, 4], [-1, -2, -4], [1, 1, 1], [0.5, 0.5, -0.5]]
    return np.concatenate([drawn, np.array(special, dtype=np.float32)])


@pytest.mark.parametrize("name", TABULAR)
@pytest.mark.parametrize("tier", [Tier.ROUNDED, Tier.NATIVE])
def test_sample_models(name: str, tier: Tier) -> None:
    data = (SAMPLES / f"{name}.onnx").read_bytes()
    x = np.load(SAMPLES / "heldout" / f"{name}.npz")["x"]
    compiled, worst = check_same(data, x, tier=tier)
    print(f"{name} {tier.name.lower()}: largest difference {worst:.2e} on {len(x)} rows")
    assert compiled.single_only is None
    assert compiled.schema.max_batch > 1
    check_graph(compiled.file)


@pytest.mark.parametrize("name", [name for name in TABULAR if "digits" not in name])
def test_sample_trees_take_missing_values(name: str) -> None:
    data = (SAMPLES / f"{name}.onnx").read_bytes()
    x = np.load(SAMPLES / "heldout" / f"{name}.npz")["x"][:30].copy()
    x[np.random.default_rng(3).random(x.shape) < 0.3] = np.nan
    check_same(data, x)


def check_graph(file: bytes) -> None:
    """Every committed tensor is one of the graph, with the same shape."""
    model = onnx.load_from_string(file)
    onnx.checker.check_model(model, full_check=True)
    graph = model.graph
    made = {name for node in graph.node for name in node.output} | {i.name for i in graph.input}
    program = load_program(file)
    assert {info.name for info in program.tensors} <= made
    assert [info.name for info in program.tensors] == list(
        dict.fromkeys(info.name for info in program.tensors)
    )


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("labels", [[7, 9], None])
def test_classifier_with_one_score(
    rows: np.ndarray[Any, Any], transform: str, labels: list[int] | None
) -> None:
    given = {"classlabels_ints": labels} if labels else {}
    node = helper.make_node(
        "LinearClassifier", ["x"], ["label", "scores"], domain=ML, post_transform=transform,
        coefficients=[0.5, -1.0, 0.25], intercepts=[0.0], **given,
    )  # fmt: skip
    outputs = [("label", INT64, ["N"]), ("scores", FLOAT, ["N", 2 if labels else 1])]
    check_same(source_model([node], outputs=outputs), rows)


@pytest.mark.parametrize(("transform", "classes"), list(product(TRANSFORMS, [2, 4])))
def test_classifier_with_ties(rows: np.ndarray[Any, Any], transform: str, classes: int) -> None:
    """The second class' weights repeat the first one's, so that every row ties."""
    weights = np.random.default_rng(2).normal(size=(classes, 3)).astype(np.float32)
    weights[1] = weights[0]
    node = helper.make_node(
        "LinearClassifier", ["x"], ["label", "scores"], domain=ML, post_transform=transform,
        coefficients=weights.reshape(-1).tolist(), intercepts=[0.0] * classes,
        classlabels_ints=[9, 7, 5, 3][:classes],
    )  # fmt: skip
    outputs = [("label", INT64, ["N"]), ("scores", FLOAT, ["N", classes])]
    check_same(source_model([node], outputs=outputs), rows)


@pytest.mark.parametrize(("transform", "targets"), list(product(TRANSFORMS[:3], [1, 2])))
def test_regressor(rows: np.ndarray[Any, Any], transform: str, targets: int) -> None:
    data = single(
        "LinearRegressor", shape=(targets,), targets=targets, post_transform=transform,
        coefficients=np.arange(3.0 * targets).tolist(), intercepts=[0.5] * targets,
    )  # fmt: skip
    check_same(data, rows)


@pytest.mark.parametrize("norm", ["L1", "L2", "MAX"])
def test_normalizer(rows: np.ndarray[Any, Any], norm: str) -> None:
    check_same(single("Normalizer", shape=(3,), norm=norm), rows)


@pytest.mark.parametrize("count", [1, 3])
def test_scaler(rows: np.ndarray[Any, Any], count: int) -> None:
    offset, scale = [0.5, -1.0, 3.0][:count], [2.0, 0.1, -1.0][:count]
    _, worst = check_same(single("Scaler", shape=(3,), offset=offset, scale=scale), rows)
    assert worst == 0.0


@pytest.mark.parametrize("replaced", [0.0, float("nan")])
@pytest.mark.parametrize("count", [1, 3])
def test_imputer(rows: np.ndarray[Any, Any], replaced: float, count: int) -> None:
    rows[::3, 1] = replaced
    data = single(
        "Imputer", shape=(3,), imputed_value_floats=[5.0, 6.0, 7.0][:count],
        replaced_value_float=replaced,
    )  # fmt: skip
    check_same(data, rows)


def test_imputer_of_integers() -> None:
    x = np.array([[1, 2, 3], [-1, 0, -1]], dtype=np.int64)
    data = single(
        "Imputer", shape=(3,), kind=INT64, element=INT64, imputed_value_int64s=[9],
        replaced_value_int64=-1,
    )  # fmt: skip
    compiled, _ = check_same(data, x)
    assert compiled.program.tier is Tier.EXACT


def test_binarizer(rows: np.ndarray[Any, Any]) -> None:
    check_same(single("Binarizer", shape=(3,), threshold=0.5), rows)


@pytest.mark.parametrize("ml_opset", [2, 3, 4])
def test_label_encoder(rows: np.ndarray[Any, Any], ml_opset: int) -> None:
    rows[0] = np.nan
    keys, values = [0.0, 1.0, float("nan"), 1.0, -4.0], [5.0, 6.0, 7.0, 8.0, 9.0]
    data = single(
        "LabelEncoder", shape=(3,), keys_floats=keys, values_floats=values, default_float=-2.0,
        ml_opset=ml_opset,
    )  # fmt: skip
    check_same(data, rows)


@pytest.mark.parametrize("values", ["values_int64s", "values_floats"])
def test_label_encoder_of_integers(values: str) -> None:
    x = np.array([[3, 1, 3], [7, 0, -5]], dtype=np.int64)
    kind = INT64 if values == "values_int64s" else FLOAT
    data = single(
        "LabelEncoder", shape=(3,), element=INT64, kind=kind, keys_int64s=[1, 3, -5],
        **{values: [10, 20, 30] if kind == INT64 else [0.5, 1.5, 2.5]},
    )  # fmt: skip
    check_same(data, x)


def test_label_encoder_by_tensors() -> None:
    x = np.array([[3, 1, 3], [7, 0, -5]], dtype=np.int64)
    data = single(
        "LabelEncoder", shape=(3,), element=INT64, kind=FLOAT, ml_opset=4,
        keys_tensor=numpy_helper.from_array(np.array([1, 3], dtype=np.int64)),
        values_tensor=numpy_helper.from_array(np.array([0.5, 1.5], dtype=np.float32)),
        default_tensor=numpy_helper.from_array(np.array([-1], dtype=np.float32)),
    )  # fmt: skip
    check_same(data, x)


def test_feature_extractor_and_vectorizer(rows: np.ndarray[Any, Any]) -> None:
    nodes = [
        helper.make_node("ArrayFeatureExtractor", ["x", "columns"], ["some"], domain=ML),
        helper.make_node(
            "FeatureVectorizer", ["some", "x"], ["y"], domain=ML, inputdimensions=[2, 3]
        ),
    ]
    stored = {"columns": np.array([2, 0], dtype=np.int64)}
    data = source_model(nodes, outputs=[("y", FLOAT, ["N", 5])], stored=stored)
    _, worst = check_same(data, rows)
    assert worst == 0.0


@pytest.mark.parametrize("alpha", [1.0, 0.5, -3.0])
@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(rows: np.ndarray[Any, Any], alpha: float, beta: float, transposed: int) -> None:
    weights = np.random.default_rng(4).normal(size=(3, 4)).astype(np.float32)
    stored = {
        "w": np.ascontiguousarray(weights.T) if transposed else weights,
        "c": np.array([1, 2, 3, 4], dtype=np.float32),
    }
    node = helper.make_node(
        "Gemm", ["x", "w", "c"], ["y"], alpha=alpha, beta=beta, transB=transposed
    )
    check_same(source_model([node], outputs=[("y", FLOAT, ["N", 4])], stored=stored), rows)


def test_product_with_a_vector(rows: np.ndarray[Any, Any]) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    stored = {"w": np.array([1, 2, 3], dtype=np.float32)}
    check_same(source_model([node], outputs=[("y", FLOAT, ["N"])], stored=stored), rows)


@pytest.mark.parametrize(
    ("operator", "attributes", "message"),
    [
        ("LinearRegressor", {"coefficients": [1.0] * 3, "post_transform": "PROBIT"}, "PROBIT"),
        ("LabelEncoder", {"keys_strings": ["a"], "values_floats": [1.0]}, "text"),
        ("SVMRegressor", {"coefficients": [1.0] * 3, "support_vectors": [1.0] * 3}, "SVMRegressor"),
    ],
)
def test_refusals_say_what_to_do(operator: str, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(ProgramError, match=message) as refusal:
        compile_model(single(operator, shape=(1,), **attributes))
    assert refusal.value.hint
