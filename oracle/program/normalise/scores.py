"""What classifiers and regressors of ai.onnx.ml do with raw scores: post transforms and labels.

The conventions are onnxruntime's, where ONNX leaves them open; its single score stands for two
classes in two ways. Knows nothing of where the scores come from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise.elementwise import choose, scalar
from oracle.program.normalise.rule import SourceNode

_NEAR_ZERO = 1e-7
"""Scores that SOFTMAX_ZERO counts as zero."""


def post_transform(node: SourceNode) -> str:
    """The transform's name. Raises ProgramError for PROBIT."""
    name = str(node.get("post_transform", "NONE"))
    if name not in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"):
        raise ProgramError(
            f"the post transform {name} has no rule", hint="use LOGISTIC or SOFTMAX instead"
        )
    return name


def integer_labels(node: SourceNode, name: str) -> list[int]:
    """Class labels. Raises ProgramError where they are text."""
    if node.get("classlabels_strings"):
        raise ProgramError(
            "its labels are text", hint="train on integer classes, or export the class number"
        )
    return [int(label) for label in node.get(name, ())]


def transformed(builder: Builder, scores: Value, transform: str) -> Value:
    """The transform of [1, n] scores. onnxruntime leaves a single score as it is."""
    if scores.shape[-1] == 1 or transform == "NONE":
        return scores
    if transform == "LOGISTIC":
        return builder.emit("Sigmoid", scores)
    largest = builder.emit("ReduceMax", scores, _last(builder, scores), keepdims=1)
    powers = builder.emit("Exp", builder.emit("Sub", scores, largest))
    if transform == "SOFTMAX":
        total = builder.total("ReduceSum", powers, [-1])
        return builder.emit("Div", powers, total)
    size = builder.emit("Abs", scores)
    counts = builder.emit("Less", scalar(builder, _NEAR_ZERO, size), size)
    kept = choose(builder, counts, powers, scalar(builder, 0.0, powers))
    total = builder.total("ReduceSum", kept, [-1])
    small = builder.emit("Mul", scores, builder.emit("Exp", builder.emit("Neg", largest)))
    return builder.emit("Div", choose(builder, counts, powers, small), total)


def two_from_one(builder: Builder, score: Value, transform: str, *, complement: bool) -> Value:
    """Both classes' scores from the second one's [1, 1] score.

    `complement`: the first is 1 - score; else it is -score. LOGISTIC does away with the difference.
    """
    if transform == "LOGISTIC":
        pair = builder.emit("Concat", builder.emit("Neg", score), score, axis=1)
        return builder.emit("Sigmoid", pair)
    if complement:
        other = builder.emit("Sub", scalar(builder, 1.0, score), score)
    else:
        other = builder.emit("Neg", score)
    return builder.emit("Concat", other, score, axis=1)


def best_label(builder: Builder, scores: Value, labels: Sequence[int]) -> Value:
    """The label of the largest of [1, n] scores, the first one on ties: [1]."""
    position = builder.emit("ArgMax", scores, axis=1, keepdims=0, select_last_index=0)
    if list(labels) == list(range(len(labels))):
        return position
    table = builder.constant(np.array(labels, dtype=np.int64))
    return builder.emit("Gather", table, position, axis=0)


def label_above(builder: Builder, score: Value, threshold: float, labels: tuple[int, int]) -> Value:
    """`labels[1]` where the [1, 1] score is above the threshold, else `labels[0]`: [1]."""
    axis = builder.constant(np.array([1], dtype=np.int64))
    flat = builder.emit("Squeeze", score, axis)
    above = builder.emit("Less", scalar(builder, threshold, flat), flat)
    negative, positive = (builder.constant(np.array(label, dtype=np.int64)) for label in labels)
    return choose(builder, above, positive, negative)


def _last(builder: Builder, value: Value) -> Value:
    return builder.constant(np.array([value.rank - 1], dtype=np.int64))
