"""The committed sample models are what their cards say."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnxruntime
import pytest

from oracle.inference.model_file import inspect
from tests.inference.graphs import MODELS, SAMPLES


def held_out(card: dict[str, Any]) -> tuple[Any, Any]:
    """The held-out rows, split again from the data set that the card names."""
    datasets = pytest.importorskip("sklearn.datasets")
    selection = pytest.importorskip("sklearn.model_selection")
    data = getattr(datasets, card["data_set"].rpartition(".")[2])()
    _, features, _, labels = selection.train_test_split(
        data.data.astype(np.float32),
        data.target,
        test_size=0.25,
        random_state=card["seed"],
        stratify=data.target,
    )
    return features, labels


@pytest.mark.parametrize("name", SAMPLES)
def test_held_out_accuracy_is_reproduced(name: str) -> None:
    card = json.loads((MODELS / f"{name}.json").read_text())
    features, labels = held_out(card)
    session = onnxruntime.InferenceSession(
        MODELS / f"{name}.onnx", providers=["CPUExecutionProvider"]
    )
    found, probabilities = session.run(
        ["label", "probabilities"], {session.get_inputs()[0].name: features}
    )
    assert len(labels) == card["held_out_rows"]
    assert int((found == labels).sum()) == card["held_out_correct"]
    assert card["held_out_accuracy"] == round(card["held_out_correct"] / len(labels), 4)
    assert np.array_equal(found, probabilities.argmax(axis=1))
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    kept = np.load(MODELS / "heldout" / f"{name}.npz")
    assert np.array_equal(kept["x"], features[: len(kept["x"])])
    assert np.array_equal(kept["y"], labels[: len(kept["y"])])


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_small_and_described(name: str) -> None:
    card = json.loads((MODELS / f"{name}.json").read_text())
    found = inspect(MODELS / f"{name}.onnx")
    assert found.size < 500_000
    assert (MODELS / "heldout" / f"{name}.npz").stat().st_size < 100_000
    assert card["name"] == name
    assert [spec.name for spec in found.schema.outputs] == ["label", "probabilities"]
    assert found.schema.outputs[1].row_shape == (len(card["labels"]),)
    assert card["held_out_accuracy"] > 0.95
