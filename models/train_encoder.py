"""Trains digits-encoder: a small transformer encoder that reads a digit as 64 tokens.

    python models/train_encoder.py

Data: the 8x8 digits of scikit-learn; each pixel's grey value, 0 to 16, is a token of a vocabulary
of 17, looked up in an embedding table. Two layers, pre-normalised, four heads, GELU, and learned
positions. Needs the `train-networks` extra; a few minutes on one CPU core.
"""

from __future__ import annotations

import numpy as np
import torch
from networks import SIDE, exported, fit, seed
from sample_files import Sample, Split, keep, split
from sklearn.datasets import load_digits
from torch import Tensor, nn

VOCABULARY = 17
LENGTH = SIDE * SIDE
WIDTH = 48
HEADS = 4
LAYERS = 2
EPOCHS = 150
LEARNING_RATE = 8e-3


class Attention(nn.Module):
    """Multi-head self-attention, spelled out so that the graph holds nothing but its arithmetic."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.merge = nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            part(tokens).reshape(-1, LENGTH, HEADS, WIDTH // HEADS)
            for part in (self.query, self.key, self.value)
        )
        scores = query.permute(0, 2, 1, 3) @ key.permute(0, 2, 3, 1)
        weights = (scores * (WIDTH // HEADS) ** -0.5).softmax(dim=3)
        heads = weights @ value.permute(0, 2, 1, 3)
        return self.merge(heads.permute(0, 2, 1, 3).reshape(-1, LENGTH, WIDTH))


class Layer(nn.Module):
    """Attention and a feed-forward network, each normalised before and added to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.before_expansion = nn.LayerNorm(WIDTH)
        self.expansion = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.before_attention(tokens))
        return tokens + self.expansion(self.before_expansion(tokens))


class Encoder(nn.Module):
    """Tokens to logits; the mean over the sequence is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.position = nn.Parameter(torch.randn(LENGTH, WIDTH))
        self.layers = nn.Sequential(*(Layer() for _ in range(LAYERS)))
        self.normalise = nn.LayerNorm(WIDTH)
        self.classify = nn.Linear(WIDTH, 10)

    def forward(self, tokens: Tensor) -> Tensor:
        embedded = self.layers(self.embedding(tokens) + self.position)
        return self.classify(self.normalise(embedded).mean(dim=1))


def tokens(rows: Split) -> Split:
    """The same rows with each grey value as an int64 token."""
    return Split(
        rows.train_x.astype(np.int64),
        rows.train_y,
        rows.held_out_x.astype(np.int64),
        rows.held_out_y,
    )


def main() -> None:
    """Train and write the encoder."""
    rows = tokens(split(load_digits))
    seed()
    network = fit(Encoder(), rows, epochs=EPOCHS, learning_rate=LEARNING_RATE)
    sample = Sample(
        name="digits-encoder",
        task="classification of handwritten digits",
        description=(
            "Input `tokens`: 8x8 grey values from 0 to 16, row by row, as int64 [N, 64]; no other "
            "value is in the vocabulary. Output `label`: the digit, int64 [N]. Output "
            "`probabilities`: float32 [N, 10], in the order of `labels`. A transformer encoder of "
            f"{LAYERS} layers, width {WIDTH}, {HEADS} heads, over the sequence of pixels."
        ),
        labels=tuple(str(digit) for digit in range(10)),
        training_command="python models/train_encoder.py",
        data_set="load_digits",
        trained_with={"torch": torch.__version__},
    )
    keep(sample, rows, exported(network, rows.held_out_x, "tokens"))


if __name__ == "__main__":
    main()
