"""Trains the convolutional sample models: digits-lenet and digits-residual.

    python models/train_convolutions.py [name...]

Data: the 8x8 digits of scikit-learn, as rows of 64 pixels that the graph itself turns into images,
so that both take what every other digits model takes. Needs the `train-networks` extra; two
minutes on one CPU core. `quantize_lenet.py` makes the int8 version of the first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from networks import SIDE, exported, fit, seed
from sample_files import Sample, keep, split
from sklearn.datasets import load_digits
from torch import Tensor, nn

PIXEL_RANGE = 16.0
INPUT = "Input `pixels`: 8x8 grey values from 0 to 16, row by row, as float32 [N, 64]. "
OUTPUT = (
    "Output `label`: the digit, int64 [N]. Output `probabilities`: float32 [N, 10], "
    "in the order of `labels`. "
)


class Images(nn.Module):
    """Rows of 64 pixels from 0 to 16 as one-channel images from 0 to 1."""

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels / PIXEL_RANGE).reshape(-1, 1, SIDE, SIDE)


def lenet() -> nn.Sequential:
    """LeNet-5 with padded convolutions for the small image, wider, and batch normalisation."""
    return nn.Sequential(
        Images(),
        nn.Conv2d(1, 16, kernel_size=5, padding=2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


class Block(nn.Module):
    """Two convolutions, the second depthwise or dilated, around which the input is added."""

    def __init__(self, inner: nn.Conv2d, activation: nn.Module, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(channels),
            activation,
            inner,
            nn.BatchNorm2d(channels),
        )
        self.activation = activation

    def forward(self, images: Tensor) -> Tensor:
        return self.activation(images + self.branch(images))


class Strided(nn.Module):
    """Halves the image and changes the channels; a strided 1x1 convolution goes around it."""

    def __init__(self, channels: int, wider: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, wider, kernel_size=3, stride=2, padding=1, groups=2, bias=False),
            nn.BatchNorm2d(wider),
            nn.ReLU6(),
            nn.Conv2d(wider, wider, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(wider),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels, wider, kernel_size=1, stride=2, bias=False), nn.BatchNorm2d(wider)
        )
        self.activation = nn.ReLU6()

    def forward(self, images: Tensor) -> Tensor:
        return self.activation(self.shortcut(images) + self.branch(images))


def residual() -> nn.Sequential:
    """Depthwise with HardSwish, strided and grouped with ReLU6, dilated with HardSwish."""
    depthwise = nn.Conv2d(24, 24, kernel_size=3, padding=1, groups=24, bias=False)
    dilated = nn.Conv2d(48, 48, kernel_size=3, padding=2, dilation=2, bias=False)
    return nn.Sequential(
        Images(),
        nn.Conv2d(1, 24, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(24),
        nn.Hardswish(),
        Block(depthwise, nn.Hardswish(), 24),
        Strided(24, 48),
        Block(dilated, nn.Hardswish(), 48),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(48, 10),
    )


@dataclass(frozen=True)
class Task:
    """A network, and what its card says of it."""

    network: Callable[[], nn.Module]
    epochs: int
    description: str


TASKS = {
    "digits-lenet": Task(
        network=lenet,
        epochs=60,
        description=(
            f"{INPUT}{OUTPUT}A convolutional network of LeNet size: two 5x5 convolutions, the "
            "first batch-normalised, each with ReLU and 2x2 max pooling, then layers of 84 and 10."
        ),
    ),
    "digits-residual": Task(
        network=residual,
        epochs=60,
        description=(
            f"{INPUT}{OUTPUT}A residual network of three blocks, batch-normalised throughout: "
            "depthwise with HardSwish, strided and grouped with ReLU6, dilated with HardSwish; "
            "then global average pooling."
        ),
    ),
}


def main() -> None:
    """Train and write the models named, or both."""
    rows = split(load_digits)
    for name in sys.argv[1:] or TASKS:
        task = TASKS[name]
        seed()
        network = fit(task.network(), rows, epochs=task.epochs)
        sample = Sample(
            name=name,
            task="classification of handwritten digits",
            description=task.description,
            labels=tuple(str(digit) for digit in range(10)),
            training_command=f"python models/train_convolutions.py {name}",
            data_set="load_digits",
            trained_with={"torch": torch.__version__},
        )
        keep(sample, rows, exported(network, rows.held_out_x, "pixels"))


if __name__ == "__main__":
    main()
