"""The committed sample models are what their cards say.

Needs the committed files and onnxruntime; where scikit-learn is installed, the held-out rows are
also compared with a fresh split of the data set.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from oracle.inference.model_file import inspect
from tests.inference.graphs import MODELS

NAMES = sorted(file.stem for file in MODELS.glob("*.onnx"))
CARDS: dict[str, dict[str, Any]] = {
    name: json.loads((MODELS / f"{name}.json").read_text()) for name in NAMES
}
CLASSIFIERS = [name for name in NAMES if "labels" in CARDS[name]]
REGRESSORS = [name for name in NAMES if "labels" not in CARDS[name]]
QUANTISED, FLOAT = "digits-lenet-int8", "digits-lenet"


def held_out(name: str) -> tuple[Any, Any]:
    """The rows that the card's measures are of."""
    with np.load(MODELS / "heldout" / f"{name}.npz") as arrays:
        return arrays["x"], arrays["y"]


def answers(name: str) -> list[Any]:
    """All outputs of a model on its held-out rows."""
    session = onnxruntime.InferenceSession(
        MODELS / f"{name}.onnx", providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, {session.get_inputs()[0].name: held_out(name)[0]}))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_held_out_accuracy_is_reproduced(name: str) -> None:
    card, (_, truth) = CARDS[name], held_out(name)
    found, probabilities = answers(name)
    assert len(truth) == card["held_out_rows"]
    assert int((found == truth).sum()) == card["held_out_correct"]
    assert card["held_out_accuracy"] == round(card["held_out_correct"] / len(truth), 4)
    assert np.array_equal(found, probabilities.argmax(axis=1))
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", REGRESSORS)
def test_held_out_error_is_reproduced(name: str) -> None:
    card, (_, truth) = CARDS[name], held_out(name)
    error = answers(name)[0][:, 0].astype(np.float64) - truth
    spread = truth - truth.mean()
    assert len(truth) == card["held_out_rows"]
    found = 1 - (error**2).sum() / (spread.astype(np.float64) ** 2).sum()
    assert found == pytest.approx(card["held_out_r_squared"], abs=1e-4)
    assert np.abs(error).mean() == pytest.approx(card["held_out_mean_absolute_error"], abs=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_held_out_rows_are_those_of_the_data_set(name: str) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    selection = pytest.importorskip("sklearn.model_selection")
    card, (rows, truth) = CARDS[name], held_out(name)
    data = getattr(datasets, card["data_set"].rpartition(".")[2])()
    _, features, _, labels = selection.train_test_split(
        data.data.astype(np.float32),
        data.target,
        test_size=0.25,
        random_state=card["seed"],
        stratify=data.target if "labels" in card else None,
    )
    assert np.array_equal(rows, features)
    assert np.array_equal(truth, labels)


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_small_and_described(name: str) -> None:
    card, found = CARDS[name], inspect(MODELS / f"{name}.onnx")
    assert found.size < 600 * 1024
    assert (MODELS / "heldout" / f"{name}.npz").stat().st_size < 100_000
    assert card["name"] == name
    assert found.schema.inputs[0].row_shape == held_out(name)[0].shape[1:]
    if name in REGRESSORS:
        assert [spec.row_shape for spec in found.schema.outputs] == [(1,)]
        return
    assert [spec.name for spec in found.schema.outputs] == ["label", "probabilities"]
    assert found.schema.outputs[1].row_shape == (len(card["labels"]),)
    assert card["held_out_accuracy"] > 0.93


@pytest.mark.parametrize("name", NAMES)
def test_samples_stay_within_the_opsets_that_are_read(name: str) -> None:
    model = onnx.load(MODELS / f"{name}.onnx")
    domains = [entry.domain for entry in model.opset_import]
    assert len(domains) == len(set(domains))
    assert set(domains) <= {"", "ai.onnx.ml"}
    assert all(entry.version <= 21 for entry in model.opset_import)
    assert model.ir_version <= 10


@pytest.mark.parametrize("name", NAMES)
def test_a_row_alone_is_answered_as_among_others(name: str) -> None:
    rows, _ = held_out(name)
    session = onnxruntime.InferenceSession(
        MODELS / f"{name}.onnx", providers=["CPUExecutionProvider"]
    )
    together = answers(name)[-1][:3]
    alone = [
        session.run(None, {session.get_inputs()[0].name: rows[i : i + 1]})[-1] for i in (0, 1, 2)
    ]
    assert np.allclose(np.concatenate(alone), together, atol=1e-5)


def test_eight_bits_answer_as_floats_do() -> None:
    card, other = CARDS[QUANTISED], CARDS[FLOAT]
    assert abs(card["held_out_accuracy"] - other["held_out_accuracy"]) < 0.01
    (label, probabilities), (float_label, float_probabilities) = answers(QUANTISED), answers(FLOAT)
    assert (label == float_label).mean() > 0.99
    assert np.abs(probabilities - float_probabilities).mean() < 0.01
