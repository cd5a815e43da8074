"""Trains the scikit-learn sample models: linear, perceptron, boosted trees and forest.

    python models/train.py

They learn from data that ships inside scikit-learn, with fixed seeds, so that anyone can train them
again, and are exported by skl2onnx. The files this writes are committed; the service needs none of
the packages imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sample_files import SEED, Sample, Split, finished, keep, predict, split
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler


@dataclass(frozen=True)
class Task:
    """A sample model to be: where its data comes from and how it is fitted.

    The leading axis is called `N`, unless not `named_batch`, as in the two oldest files.
    """

    name: str
    task: str
    description: str
    input_name: str
    load: Callable[[], Any]
    estimator: Callable[[], Any]
    named_batch: bool = True


TASKS = (
    Task(
        name="digits-logistic",
        task="classification of handwritten digits",
        description=(
            "Input `pixels`: 8x8 grey values from 0 to 16, row by row, as float32 [N, 64]. "
            "Output `label`: the digit, int64 [N]. Output `probabilities`: float32 [N, 10], "
            "in the order of `labels`. Standard scaling and logistic regression."
        ),
        input_name="pixels",
        load=load_digits,
        estimator=lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500)),
    ),
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
        named_batch=False,
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
        named_batch=False,
    ),
    Task(
        name="wine-forest",
        task="classification of wines by cultivar from chemical analysis",
        description=(
            "Input `features`: the 13 measurements of the wine recognition data set in their "
            "original order and units, as float32 [N, 13]. Output `label`: the cultivar, int64 "
            "[N]. Output `probabilities`: float32 [N, 3], in the order of `labels`. "
            "A random forest of 50 trees of depth at most 6."
        ),
        input_name="features",
        load=load_wine,
        estimator=lambda: RandomForestClassifier(n_estimators=50, max_depth=6, random_state=SEED),
    ),
)


def train(task: Task, rows: Split) -> bytes:
    """Fit on the training rows and export to the bytes of an ONNX file."""
    estimator: Pipeline = task.estimator().fit(rows.train_x, rows.train_y)
    model = to_onnx(
        estimator,
        name=task.name,
        initial_types=[(task.input_name, FloatTensorType([None, rows.train_x.shape[1]]))],
        options={"zipmap": False},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    exported = finished(model, named_batch=task.named_batch)
    labels, probabilities = predict(exported, rows.held_out_x)
    if not np.allclose(probabilities, estimator.predict_proba(rows.held_out_x), atol=1e-5):
        raise RuntimeError(f"{task.name}: the export differs from what was trained")
    if not np.array_equal(labels, estimator.predict(rows.held_out_x)):
        raise RuntimeError(f"{task.name}: the export labels differ from what was trained")
    return exported


def main() -> None:
    """Train and write every scikit-learn model."""
    for task in TASKS:
        rows = split(task.load)
        sample = Sample(
            name=task.name,
            task=task.task,
            description=task.description,
            labels=tuple(str(name) for name in task.load().target_names),
            training_command="python models/train.py",
            data_set=task.load.__name__,
        )
        keep(sample, rows, train(task, rows))


if __name__ == "__main__":
    main()
