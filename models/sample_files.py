"""What every training script shares: the split, the card, and the files of a sample model.

A sample model is `<name>.onnx`, its card `<name>.json`, and `heldout/<name>.npz` with every row it
was measured on. The held-out quarter is the same for all models of a data set; variants are
compared on training rows only. Nothing here trains.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import sklearn
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

SEED = 2026
HELD_OUT_SHARE = 0.25
FOLDER = Path(__file__).resolve().parent
BATCH_AXIS = "N"

Array = NDArray[Any]


@dataclass(frozen=True)
class Split:
    """Rows of features and what to predict of them, for training and held out."""

    train_x: Array
    train_y: Array
    held_out_x: Array
    held_out_y: Array


@dataclass(frozen=True)
class Sample:
    """What a training script says of its model. `labels` is empty for a regression."""

    name: str
    task: str
    description: str
    labels: tuple[str, ...]
    training_command: str
    data_set: str
    trained_with: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Card:
    """What `<name>.json` says; the measures are those of the ONNX file on all held-out rows."""

    name: str
    task: str
    description: str
    labels: tuple[str, ...] | None
    held_out_accuracy: float | None
    held_out_correct: int | None
    held_out_r_squared: float | None
    held_out_mean_absolute_error: float | None
    held_out_rows: int
    training_rows: int
    held_out_split: str
    training_command: str
    seed: int
    scikit_learn: str
    trained_with: Mapping[str, str] | None
    data_set: str


def split(load: Callable[[], Any], *, classes: bool = True) -> Split:
    """The float32 training and held-out rows of a data set, always the same ones.

    The labels are int64 where they are classes and float32 where they are quantities.
    """
    data = load()
    features = data.data.astype(np.float32)
    labels = data.target.astype(np.int64 if classes else np.float32)
    train_x, held_out_x, train_y, held_out_y = train_test_split(
        features,
        labels,
        test_size=HELD_OUT_SHARE,
        random_state=SEED,
        stratify=labels if classes else None,
    )
    return Split(train_x, train_y, held_out_x, held_out_y)


def finished(model: onnx.ModelProto, *, named_batch: bool = True) -> bytes:
    """The bytes of a checked model, the same in every process.

    Exporters list opsets in the order of a set, some of them twice; and they leave the batch axis
    without a name or, for the label, claim that it is 1.
    """
    versions = {entry.domain: entry.version for entry in model.opset_import}
    del model.opset_import[:]
    for domain, version in sorted(versions.items()):
        model.opset_import.add(domain=domain, version=version)
    if named_batch:
        for value in [*model.graph.input, *model.graph.output]:
            value.type.tensor_type.shape.dim[0].dim_param = BATCH_AXIS
    model.doc_string = ""
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def predict(model: bytes, rows: Array) -> list[Array]:
    """All outputs of an exported model."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: rows}))


def keep(sample: Sample, rows: Split, model: bytes) -> Card:
    """Measure the model on the held-out rows, then write it, its card and these rows."""
    card = _measured(sample, rows, predict(model, rows.held_out_x)[0])
    stated = {name: value for name, value in asdict(card).items() if value is not None}
    (FOLDER / f"{sample.name}.onnx").write_bytes(model)
    (FOLDER / f"{sample.name}.json").write_text(json.dumps(stated, indent=2) + "\n")
    np.savez_compressed(
        FOLDER / "heldout" / f"{sample.name}.npz", x=rows.held_out_x, y=rows.held_out_y
    )
    found = (
        f"{card.held_out_correct} of {card.held_out_rows} held-out rows right "
        f"({card.held_out_accuracy:.2%})"
        if card.held_out_accuracy is not None
        else f"R² {card.held_out_r_squared} on {card.held_out_rows} held-out rows"
    )
    print(f"{sample.name}: {found}, {len(model):,} bytes")
    return card


def _measured(sample: Sample, rows: Split, found: Array) -> Card:
    truth, classes = rows.held_out_y, bool(sample.labels)
    found = found.reshape(truth.shape)
    correct = int((found == truth).sum())
    error = found.astype(np.float64) - truth
    r_squared = 1 - float((error**2).sum()) / float(((truth - truth.mean()) ** 2).sum())
    stratified = ", stratify=labels" if classes else ""
    return Card(
        name=sample.name,
        task=sample.task,
        description=sample.description,
        labels=sample.labels or None,
        held_out_accuracy=round(correct / len(truth), 4) if classes else None,
        held_out_correct=correct if classes else None,
        held_out_r_squared=None if classes else round(r_squared, 4),
        held_out_mean_absolute_error=None if classes else round(float(np.abs(error).mean()), 2),
        held_out_rows=len(truth),
        training_rows=len(rows.train_y),
        held_out_split=(
            f"train_test_split(test_size={HELD_OUT_SHARE}, random_state={SEED}{stratified})"
        ),
        training_command=sample.training_command,
        seed=SEED,
        scikit_learn=sklearn.__version__,
        trained_with=sample.trained_with,
        data_set=f"sklearn.datasets.{sample.data_set}",
    )
