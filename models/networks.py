"""Training and exporting small PyTorch classifiers, for the scripts that define one.

Needs the `train-networks` extra. Responsible for the loop, the augmentation and the export; what a
network looks like and which rows it sees is the caller's. Seeds are fixed and one thread is used,
so one machine gives the same network again; another version of PyTorch may round otherwise.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
import onnx
import torch
from sample_files import SEED, Array, Split, finished, predict
from torch import Tensor, nn
from torch.nn import functional

OPSET = 18
SIDE = 8
"""Digits are 8x8 pixels, row by row."""


class Answering(nn.Module):
    """A network that returns logits, as one that returns label and probabilities."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(rows)
        return logits.argmax(dim=1), logits.softmax(dim=1)


def seed() -> None:
    """The same weights, batches and augmentation every time."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def fit(
    network: nn.Module,
    rows: Split,
    *,
    epochs: int,
    batch: int = 64,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-2,
) -> nn.Module:
    """Train by AdamW on one learning-rate cycle; images are shifted by up to a pixel."""
    images = torch.from_numpy(rows.train_x)
    labels = torch.from_numpy(rows.train_y)
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    steps = len(labels) // batch
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, epochs=epochs, steps_per_epoch=steps
    )
    network.train()
    for _ in range(epochs):
        order = torch.randperm(len(labels))
        for step in range(steps):
            chosen = order[step * batch : (step + 1) * batch]
            logits = network(_shifted(images[chosen]))
            loss = functional.cross_entropy(logits, labels[chosen], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            cycle.step()
    return network.eval()


def _shifted(rows: Tensor) -> Tensor:
    """Each image moved by -1, 0 or 1 pixel along both axes; zeros come in at the edge."""
    images = rows.reshape(-1, SIDE, SIDE)
    padded = functional.pad(images, (1, 1, 1, 1))
    down, right = torch.randint(0, 3, (2, len(rows)))
    line = torch.arange(SIDE)
    moved = padded[
        torch.arange(len(rows))[:, None, None],
        (down[:, None] + line)[:, :, None],
        (right[:, None] + line)[:, None, :],
    ]
    return moved.reshape(rows.shape)


def exported(network: nn.Module, rows: Array, input_name: str) -> bytes:
    """The ONNX file of a trained network, checked against PyTorch on these rows.

    The graph is kept as it was trained: batch normalisation is not folded into convolutions.
    """
    answering = Answering(network).eval()
    names = (input_name, "label", "probabilities")
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            answering,
            (torch.from_numpy(rows[:2]),),
            target,
            dynamo=False,
            opset_version=OPSET,
            training=torch.onnx.TrainingMode.PRESERVE,
            input_names=[input_name],
            output_names=["label", "probabilities"],
            dynamic_axes={name: {0: "N"} for name in names},
        )
    model = finished(onnx.load_from_string(target.getvalue()))
    with torch.inference_mode():
        labels, probabilities = answering(torch.from_numpy(rows))
    found_labels, found_probabilities = predict(model, rows)
    if not np.allclose(found_probabilities, probabilities.numpy(), atol=1e-5):
        raise RuntimeError("the export differs from what was trained")
    if not np.array_equal(found_labels, labels.numpy()):
        raise RuntimeError("the export labels differ from what was trained")
    return model
