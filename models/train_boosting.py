"""Trains the XGBoost sample models: wine-xgboost (classes) and diabetes-xgboost (a quantity).

    python models/train_boosting.py [--library lightgbm]

Data: the wine and diabetes sets of scikit-learn. Needs the `train-boosting` extra; seconds.
XGBoost is what is kept, as its export is one node in the end. `--library lightgbm` trains the same
tasks with LightGBM and prints what its export holds, without writing anything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import onnx
import xgboost
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from sample_files import SEED, Sample, Split, finished, keep, predict, split
from sklearn.datasets import load_diabetes, load_wine

IR_VERSION = 8
OPSET = 15


@dataclass(frozen=True)
class Task:
    """A data set and what is said of the model trained on it; `classes` or a quantity."""

    task: str
    description: str
    load: Callable[[], Any]
    trees: int
    depth: int
    classes: bool


TASKS = {
    "wine": Task(
        task="classification of wines by cultivar from chemical analysis",
        description=(
            "Input `features`: the 13 measurements of the wine recognition data set in their "
            "original order and units, as float32 [N, 13]. Output `label`: the cultivar, int64 "
            "[N]. Output `probabilities`: float32 [N, 3], in the order of `labels`. "
            "Three times 40 boosted trees of depth 3, by XGBoost."
        ),
        load=load_wine,
        trees=40,
        depth=3,
        classes=True,
    ),
    "diabetes": Task(
        task="regression of diabetes progression from ten measurements",
        description=(
            "Input `features`: the 10 measurements of the diabetes data set as scikit-learn scales "
            "them, float32 [N, 10]. Output `variable`: disease progression after one year, about "
            "25 to 346, float32 [N, 1]. 60 boosted trees of depth 2, by XGBoost. "
            "For demonstration; not a medical device."
        ),
        load=load_diabetes,
        trees=60,
        depth=2,
        classes=False,
    ),
}


def estimator(library: str, task: Task) -> Any:
    """A model of either library to fit."""
    common = {
        "n_estimators": task.trees,
        "max_depth": task.depth,
        "learning_rate": 0.1,
        "subsample": 0.8,
        "colsample_bytree": 0.5,
        "random_state": SEED,
        "n_jobs": 1,
    }
    if library == "xgboost":
        return (xgboost.XGBClassifier if task.classes else xgboost.XGBRegressor)(**common)
    kind = lightgbm.LGBMClassifier if task.classes else lightgbm.LGBMRegressor
    return kind(**common, subsample_freq=1, verbose=-1)


def train(library: str, task: Task, rows: Split) -> bytes:
    """Fit on the training rows and export to the bytes of an ONNX file."""
    fitted = estimator(library, task).fit(rows.train_x, rows.train_y)
    inputs = [("features", FloatTensorType([None, rows.train_x.shape[1]]))]
    if library == "xgboost":
        model = convert_xgboost(fitted, initial_types=inputs, target_opset=OPSET)
    else:
        plain = {"zipmap": False} if task.classes else {}
        model = convert_lightgbm(fitted, initial_types=inputs, target_opset=OPSET, **plain)
    # XGBoost's converter names the graph at random.
    model.graph.name = f"{task.load.__name__.removeprefix('load_')}-{library}"
    model.ir_version = IR_VERSION
    exported = finished(model)
    expected = fitted.predict_proba if task.classes else fitted.predict
    found = predict(exported, rows.held_out_x)[-1].reshape(expected(rows.held_out_x).shape)
    # LightGBM's thresholds are doubles; the export rounds them, so a row may take another branch.
    tolerance = 1e-5 if library == "xgboost" else 1e-3
    if not np.allclose(found, expected(rows.held_out_x), rtol=tolerance, atol=tolerance):
        raise RuntimeError(f"{model.graph.name}: the export differs from what was trained")
    return exported


def show(model: bytes) -> None:
    """Print the nodes of a model and how many different values each attribute takes."""
    graph = onnx.load_from_string(model).graph
    for node in graph.node:
        print(f"  {node.domain}.{node.op_type}".replace(" .", " "))
        for attribute in node.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            if not isinstance(value, list | tuple):
                print(f"    {attribute.name} = {value!r}")
                continue
            kinds = sorted(set(value))
            print(f"    {attribute.name}: {len(value)}, {len(kinds)} different, {kinds[:3]}")


def main() -> None:
    """Train both tasks; write them if XGBoost's, print them if LightGBM's."""
    library = "lightgbm" if sys.argv[1:] == ["--library", "lightgbm"] else "xgboost"
    for name, task in TASKS.items():
        rows = split(task.load, classes=task.classes)
        model = train(library, task, rows)
        if library != "xgboost":
            print(f"{name}-{library}: {len(model):,} bytes")
            show(model)
            continue
        labels = task.load().target_names if task.classes else ()
        sample = Sample(
            name=f"{name}-xgboost",
            task=task.task,
            description=task.description,
            labels=tuple(str(label) for label in labels),
            training_command="python models/train_boosting.py",
            data_set=task.load.__name__,
            trained_with={"xgboost": xgboost.__version__},
        )
        keep(sample, rows, model)


if __name__ == "__main__":
    main()
