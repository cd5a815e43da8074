"""The generator of a ResNet, and the table of sample models in the README."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from models.describe import FOLDER, table
from models.resnet18 import resnet18

SMALL = {"classes": 10, "side": 64}


def test_the_readme_holds_the_table() -> None:
    assert table() in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize(("folded", "kinds"), [(True, set()), (False, {"BatchNormalization"})])
def test_resnet_is_of_the_size_it_claims(folded: bool, kinds: set[str]) -> None:
    model = resnet18(folded=folded)
    assert 46_000_000 < model.ByteSize() < 47_000_000
    assert sum(node.op_type == "Conv" for node in model.graph.node) == 20
    assert {node.op_type for node in model.graph.node} == kinds | {
        "Add",
        "Conv",
        "Flatten",
        "Gemm",
        "GlobalAveragePool",
        "MaxPool",
        "Relu",
    }


def test_resnet_folded_answers_as_unfolded() -> None:
    images = np.random.default_rng(1).normal(size=(2, 3, 64, 64)).astype(np.float32)
    found = []
    for folded in (False, True):
        model = resnet18(folded=folded, **SMALL)
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        found.append(session.run(["logits"], {"image": images})[0])
    assert found[0].shape == (2, 10)
    assert np.allclose(found[0], found[1], atol=1e-4)
    assert 0.1 < found[0].std() < 100


def test_resnet_is_drawn_from_its_seed() -> None:
    first, again, other = (
        resnet18(seed=seed, **SMALL).SerializeToString(deterministic=True) for seed in (1, 1, 2)
    )
    assert first == again != other
