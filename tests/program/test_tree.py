"""Tree ensembles as programs: the same leaves and the same conventions as onnxruntime's kernels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program import tree_table
from oracle.program.compile import compile_model, load_program
from oracle.program.opcode import Opcode
from tests.program.models import check_same, source_model

SCORES = [("label", TensorProto.INT64, ["N"]), ("scores", TensorProto.FLOAT, ["N", 2])]
MODES = tuple(tree_table.MODES)
X = np.array([[-1, 0, 3], [0.5, 0, 3], [1, 1, 1], [2, -2, 3]], dtype=np.float32)
HOLES = np.array([[np.nan, 0, 3], [0.5, np.nan, 1], [np.nan, np.nan, np.nan]], dtype=np.float32)


def stumps(given: Sequence[int], *, positive: bool, offset: int = 0) -> dict[str, Any]:
    """Attributes of two trees of one branch each, whose leaves weigh for the classes `given`."""
    weights = {0: ((0.2, 0.5), (0.3, 0.4)), 1: ((0.1, 0.35), (0.3, 0.45)), 2: ((0, 1), (0.5, 0))}
    leaves = [
        (tree, leaf, value, weights[value][tree][leaf] * (1 if positive or leaf else -1))
        for tree, leaf, value in product(range(2), range(2), given)
    ]
    return {
        "nodes_treeids": [0, 0, 0, 1, 1, 1],
        "nodes_nodeids": [0, 1, 2] * 2,
        "nodes_featureids": [0] * 6,
        "nodes_values": [0.0, 0, 0, 1, 0, 0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"] * 2,
        "nodes_truenodeids": [1, 0, 0] * 2,
        "nodes_falsenodeids": [2, 0, 0] * 2,
        "class_treeids": [tree for tree, _, _, _ in leaves],
        "class_nodeids": [1 + leaf for _, leaf, _, _ in leaves],
        "class_ids": [value + offset for _, _, value, _ in leaves],
        "class_weights": [float(weight) for _, _, _, weight in leaves],
    }


def classifier(attributes: dict[str, Any], classes: int = 2) -> bytes:
    node = helper.make_node(
        "TreeEnsembleClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", **attributes
    )
    outputs = [SCORES[0], ("scores", TensorProto.FLOAT, ["N", classes])]
    return source_model([node], outputs=outputs)


def regressor(attributes: dict[str, Any], *, ml_opset: int = 3) -> bytes:
    renamed = {name.replace("class_", "target_"): value for name, value in attributes.items()}
    targets = renamed.setdefault("n_targets", 1)
    node = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", **renamed)
    return source_model(
        [node], outputs=[("y", TensorProto.FLOAT, ["N", targets])], ml_opset=ml_opset
    )


@pytest.mark.parametrize("given", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("base", [None, [0.05], [0.05, 0.15], [-0.9]])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"])
def test_two_classes(
    given: tuple[int, ...], base: list[float] | None, positive: bool, transform: str
) -> None:
    extra = {} if base is None else {"base_values": base}
    attributes = stumps(given, positive=positive) | extra
    data = classifier(attributes | {"classlabels_int64s": [7, 9], "post_transform": transform})
    check_same(data, X)


@pytest.mark.parametrize("base", [None, [0.1, -0.2, 0.3]])
@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_three_classes(base: list[float] | None, transform: str) -> None:
    extra = {} if base is None else {"base_values": base}
    attributes = stumps((0, 1, 2), positive=False) | extra
    labels = {"classlabels_int64s": [5, 3, 4], "post_transform": transform}
    check_same(classifier(attributes | labels, 3), X)


@pytest.mark.parametrize("based", [False, True])
@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE"])
@pytest.mark.parametrize("given", [(0,), (0, 1)])
def test_regression(given: tuple[int, ...], aggregate: str, transform: str, based: bool) -> None:
    extra: dict[str, Any] = {"base_values": [0.25, 0.5][: len(given)]} if based else {}
    extra |= {"post_transform": transform, "aggregate_function": aggregate}
    check_same(regressor(stumps(given, positive=False) | {"n_targets": len(given)} | extra), X)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tracks", [0, 1])
def test_modes_and_missing_values(mode: str, tracks: int) -> None:
    attributes = stumps((0,), positive=False)
    attributes["nodes_modes"] = [mode, "LEAF", "LEAF"] * 2
    attributes["nodes_missing_value_tracks_true"] = [tracks, 0, 0] * 2
    compiled, worst = check_same(regressor(attributes), np.concatenate([X, HOLES]))
    assert worst == 0.0
    assert load_program(compiled.file).instructions == compiled.program.instructions


def test_mixed_modes_share_a_tree() -> None:
    data = regressor(
        {
            "nodes_treeids": [0] * 7,
            "nodes_nodeids": list(range(7)),
            "nodes_featureids": [0, 1, 2, 0, 0, 0, 0],
            "nodes_values": [0.5, 0.0, 3.0, 0, 0, 0, 0],
            "nodes_modes": ["BRANCH_LT", "BRANCH_GTE", "BRANCH_EQ", *["LEAF"] * 4],
            "nodes_truenodeids": [1, 3, 5, 0, 0, 0, 0],
            "nodes_falsenodeids": [2, 4, 6, 0, 0, 0, 0],
            "class_treeids": [0] * 4,
            "class_nodeids": [3, 4, 5, 6],
            "class_ids": [0] * 4,
            "class_weights": [1.0, 2.0, 3.0, 4.0],
        }
    )
    _, worst = check_same(data, np.concatenate([X, HOLES]))
    assert worst == 0.0


def test_tree_that_is_a_leaf() -> None:
    attributes = stumps((0,), positive=False)
    for name, value in (("treeids", 2), ("nodeids", 0), ("featureids", 0), ("modes", "LEAF")):
        attributes[f"nodes_{name}"] += [value]
    for name in ("values", "truenodeids", "falsenodeids"):
        attributes[f"nodes_{name}"] += [0]
    for name, value in (("treeids", 2), ("nodeids", 0), ("ids", 0), ("weights", 0.125)):
        attributes[f"class_{name}"] += [value]
    check_same(regressor(attributes), X)


def test_single_tree_is_exact() -> None:
    attributes = {
        name: value[: len(value) // 2] for name, value in stumps((0,), positive=False).items()
    }
    compiled, worst = check_same(regressor(attributes), X)
    assert worst == 0.0
    assert compiled.program.tier is Tier.EXACT


def test_version_5() -> None:
    node = helper.make_node(
        "TreeEnsemble",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=2,
        aggregate_function=1,
        post_transform=0,
        tree_roots=[0, 2],
        nodes_featureids=[0, 1, 2],
        nodes_splits=numpy_helper.from_array(np.array([0.5, 0.0, 2.0], dtype=np.float32)),
        nodes_modes=numpy_helper.from_array(np.array([0, 3, 1], dtype=np.uint8)),
        nodes_truenodeids=[1, 0, 2],
        nodes_trueleafs=[0, 1, 1],
        nodes_falsenodeids=[3, 1, 2],
        nodes_falseleafs=[1, 1, 1],
        leaf_targetids=[0, 1, 0, 1],
        leaf_weights=numpy_helper.from_array(np.array([1.5, 2.5, -4, 8], dtype=np.float32)),
    )
    data = source_model([node], outputs=[("y", TensorProto.FLOAT, ["N", 2])], ml_opset=5)
    check_same(data, np.concatenate([X, HOLES]))


def test_tensor_attributes() -> None:
    """Floats are read as the lists are; doubles, for which the operators exist, are refused."""
    attributes = stumps((0,), positive=False)
    listed = compile_model(regressor(attributes)).program
    for name in ("nodes_values", "class_weights"):
        values = np.array(attributes.pop(name), dtype=np.float32)
        attributes[f"{name}_as_tensor"] = numpy_helper.from_array(values)
    stored = compile_model(regressor(attributes)).program
    assert stored.instructions == listed.instructions
    for mine, theirs in zip(stored.constant_values, listed.constant_values, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(ProgramError, match="float64"):
        compile_model(regressor(_as_doubles(attributes)))


def _as_doubles(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        name: numpy_helper.from_array(numpy_helper.to_array(value).astype(np.float64))
        if isinstance(value, onnx.TensorProto)
        else value
        for name, value in attributes.items()
    }


@pytest.mark.parametrize("aggregate", ["MIN", "MAX"])
def test_extremes_are_refused(aggregate: str) -> None:
    data = regressor(stumps((0,), positive=False) | {"aggregate_function": aggregate})
    with pytest.raises(ProgramError, match=aggregate) as refusal:
        compile_model(data)
    assert refusal.value.hint


def test_loops_are_refused() -> None:
    attributes = stumps((0,), positive=False)
    attributes["nodes_falsenodeids"][0] = 0
    with pytest.raises(ProgramError, match="leads back"):
        compile_model(regressor(attributes))


def test_program_file_with_a_loop_is_refused() -> None:
    model = onnx.load_from_string(compile_model(regressor(stumps((0,), positive=False))).file)
    node = next(node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor")
    jumps = next(entry for entry in node.attribute if entry.name == "nodes_falsenodeids")
    jumps.ints[0] = 0
    with pytest.raises(ProgramError, match="tree ensemble"):
        load_program(model.SerializeToString())


def test_random_forests_walk_as_the_kernel_does() -> None:
    """The table that the court walks gives, leaf by leaf, what onnxruntime commits."""
    sklearn = pytest.importorskip("sklearn.ensemble")
    skl2onnx = pytest.importorskip("skl2onnx")
    generator = np.random.default_rng(5)
    x = generator.normal(size=(200, 6)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(int) + 2 * (x[:, 2] > 0)
    forest = sklearn.RandomForestClassifier(12, max_depth=5, random_state=1).fit(x, y)
    model = skl2onnx.to_onnx(
        forest, x[:1], options={"zipmap": False}, target_opset={"": 18, "ai.onnx.ml": 3}
    )
    compiled, worst = check_same(model.SerializeToString(), x)
    print(f"random forest: largest difference {worst}")
    step = next(step for step in compiled.program.instructions if step.opcode is Opcode.TREE)
    values = [
        compiled.program.constant_values[access.tensor].reshape(
            compiled.program.constants[access.tensor].shape
        )
        for access in step.operands[1:]
    ]
    walked = walk(values[0], values[1], values[2], x[0])
    committed = leaves_of(compiled.file, compiled.program.tensors[step.output].name, x[:1])
    np.testing.assert_array_equal(walked.reshape(-1), committed.reshape(-1))


def walk(
    nodes: NDArray[Any], leaves: NDArray[Any], roots: NDArray[Any], x: NDArray[Any]
) -> NDArray[Any]:
    found = []
    for root in roots:
        node = nodes[root]
        while node[0]:
            assert node[0] == 1
            node = nodes[node[3] if x[node[1]] <= node[2:3].view(np.float32)[0] else node[4]]
        found.append(leaves[node[1]])
    return np.array(found)


def leaves_of(file: bytes, name: str, x: NDArray[Any]) -> NDArray[Any]:
    from tests.program.models import run

    model = onnx.load_from_string(file)
    model.graph.output.add().name = name
    return run(model.SerializeToString(), x, [name])[0]
