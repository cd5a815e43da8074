"""Trains the sample models and writes them, their descriptions and their held-out samples.

    python models/train.py

Both learn from data that ships inside scikit-learn, with fixed seeds, so that anyone can train them
again. The held-out quarter is never used to choose anything. The files this writes are committed;
the service needs none of the packages imported here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import sklearn
from numpy.typing import NDArray
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler

SEED = 2026
HELD_OUT_SHARE = 0.25
SAMPLES_KEPT = 200
FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Split:
    """Rows of float32 features and int64 labels, for training and held out."""

    train_x: NDArray[np.float32]
    train_y: NDArray[np.int64]
    held_out_x: NDArray[np.float32]
    held_out_y: NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """A sample model to be: where its data comes from and how it is fitted."""

    name: str
    task: str
    description: str
    input_name: str
    load: Callable[[], Any]
    estimator: Callable[[], Pipeline | GradientBoostingClassifier]


TASKS = (
    Task(
        name="digits-mlp",
        task="classification of handwritten digits",
        description=(
            "Input `pixels`: 8x8 grey values from 0 to 16, row by row, as float32 [N, 64]. "
            "Output `label`: the digit, int64 [N]. Output `probabilities`: float32 [N, 10], "
            "in the order of `labels`. Min-max scaling and a multilayer perceptron 64-128-64-10."
        ),
        input_name="pixels",
        load=load_digits,
        estimator=lambda: make_pipeline(
            MinMaxScaler(),
            MLPClassifier((128, 64), alpha=1e-4, max_iter=400, random_state=SEED),
        ),
    ),
    Task(
        name="breast-cancer-gbt",
        task="classification of breast tumours from cell-nucleus measurements",
        description=(
            "Input `features`: the 30 measurements of the Wisconsin diagnostic data set in their "
            "original order and units, as float32 [N, 30]. Output `label`: 0 malignant, 1 benign, "
            "int64 [N]. Output `probabilities`: float32 [N, 2], in the order of `labels`. "
            "150 gradient-boosted trees of depth 2. For demonstration; not a medical device."
        ),
        input_name="features",
        load=load_breast_cancer,
        estimator=lambda: GradientBoostingClassifier(
            n_estimators=150, max_depth=2, subsample=0.8, random_state=SEED
        ),
    ),
)


@dataclass(frozen=True)
class Card:
    """What `<name>.json` says; accuracy is that of the ONNX file on all held-out rows."""

    name: str
    task: str
    description: str
    labels: tuple[str, ...]
    held_out_accuracy: float
    held_out_correct: int
    held_out_rows: int
    training_rows: int
    held_out_split: str
    training_command: str
    seed: int
    scikit_learn: str
    data_set: str


def split(task: Task) -> Split:
    """The training and held-out rows of a task, always the same ones."""
    data = task.load()
    features = data.data.astype(np.float32)
    labels = data.target.astype(np.int64)
    train_x, held_out_x, train_y, held_out_y = train_test_split(
        features, labels, test_size=HELD_OUT_SHARE, random_state=SEED, stratify=labels
    )
    return Split(train_x, train_y, held_out_x, held_out_y)


def train(task: Task, rows: Split) -> bytes:
    """Fit on the training rows and export to the bytes of an ONNX file."""
    estimator = task.estimator().fit(rows.train_x, rows.train_y)
    model = to_onnx(
        estimator,
        name=task.name,
        initial_types=[(task.input_name, FloatTensorType([None, rows.train_x.shape[1]]))],
        options={"zipmap": False},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    # The exporter lists the opsets in the order of a set, which varies from process to process.
    opsets = sorted(model.opset_import, key=lambda entry: entry.domain)
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    exported = bytes(model.SerializeToString(deterministic=True))
    labels, probabilities = predict(exported, rows.held_out_x)
    if not np.allclose(probabilities, estimator.predict_proba(rows.held_out_x), atol=1e-5):
        raise RuntimeError(f"{task.name}: the export differs from what was trained")
    if not np.array_equal(labels, estimator.predict(rows.held_out_x)):
        raise RuntimeError(f"{task.name}: the export labels differ from what was trained")
    return exported


def predict(model: bytes, features: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels and probabilities of an exported model."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    labels, probabilities = session.run(
        ["label", "probabilities"], {session.get_inputs()[0].name: features}
    )
    return labels, probabilities


def describe(task: Task, rows: Split, model: bytes) -> Card:
    """Measure the exported model on the held-out rows and write its card."""
    labels, _ = predict(model, rows.held_out_x)
    correct = int((labels == rows.held_out_y).sum())
    return Card(
        name=task.name,
        task=task.task,
        description=task.description,
        labels=tuple(str(name) for name in task.load().target_names),
        held_out_accuracy=round(correct / len(labels), 4),
        held_out_correct=correct,
        held_out_rows=len(labels),
        training_rows=len(rows.train_y),
        held_out_split=(
            f"train_test_split(test_size={HELD_OUT_SHARE}, random_state={SEED}, stratify=labels)"
        ),
        training_command="python models/train.py",
        seed=SEED,
        scikit_learn=sklearn.__version__,
        data_set=f"sklearn.datasets.{task.load.__name__}",
    )


def main() -> None:
    """Train and write every sample model."""
    for task in TASKS:
        rows = split(task)
        model = train(task, rows)
        card = describe(task, rows, model)
        (FOLDER / f"{task.name}.onnx").write_bytes(model)
        (FOLDER / f"{task.name}.json").write_text(json.dumps(asdict(card), indent=2) + "\n")
        np.savez_compressed(
            FOLDER / "heldout" / f"{task.name}.npz",
            x=rows.held_out_x[:SAMPLES_KEPT],
            y=rows.held_out_y[:SAMPLES_KEPT],
        )
        print(
            f"{task.name}: {card.held_out_correct} of {card.held_out_rows} held-out rows right "
            f"({card.held_out_accuracy:.2%}), {len(model):,} bytes"
        )


if __name__ == "__main__":
    main()
