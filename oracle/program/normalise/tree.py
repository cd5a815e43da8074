"""Tree ensembles: every tree's leaf as an element of its own, then a sum over the trees.

The scores follow onnxruntime where ONNX is vague: which base values count, and what one or two
scores mean for two classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oracle.core.schema import ElementType
from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise import scores
from oracle.program.normalise.elementwise import cast, scalar
from oracle.program.normalise.rule import SourceNode, rewrites
from oracle.program.normalise.shape import reshaped, sliced
from oracle.program.normalise.tree_source import (
    SourceForest,
    base_values,
    ensemble,
    ensemble5,
)
from oracle.program.tree_table import Forest, write

_VERSION_5_AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
_VERSION_5_TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")


@rewrites("ai.onnx.ml.TreeEnsembleRegressor")
def regressor(builder: Builder, node: SourceNode) -> Value:
    targets = int(node.get("n_targets", 1))
    transform = scores.post_transform(node)
    source = ensemble(node, "target", targets)
    aggregate = str(node.get("aggregate_function", "SUM"))
    base = base_values(node)
    total = _aggregated(builder, node, source.forest, aggregate)
    if len(base) not in (0, targets):
        raise ProgramError(f"it has {len(base)} base values for {targets} targets")
    total = _plus(builder, total, base) if base else total
    return scores.transformed(builder, total, transform)


@rewrites("ai.onnx.ml.TreeEnsemble")
def any_ensemble(builder: Builder, node: SourceNode) -> Value:
    """The operator of version 5: a regressor without base values."""
    transform = _VERSION_5_TRANSFORMS[int(node.get("post_transform", 0))]
    if transform == "PROBIT":
        raise ProgramError("the post transform PROBIT has no rule", hint="use LOGISTIC instead")
    forest = ensemble5(node, int(node.get("n_targets", 1)))
    aggregate = _VERSION_5_AGGREGATES[int(node.get("aggregate_function", 1))]
    return scores.transformed(builder, _aggregated(builder, node, forest, aggregate), transform)


@rewrites("ai.onnx.ml.TreeEnsembleClassifier")
def classifier(builder: Builder, node: SourceNode) -> Sequence[Value]:
    """Label and scores."""
    labels = scores.integer_labels(node, "classlabels_int64s")
    if len(labels) < 2:
        raise ProgramError(f"it has {len(labels)} classes", hint="export it with two labels")
    source = ensemble(node, "class", len(labels))
    if source.given - source.certain:
        raise ProgramError(
            f"some leaves have no weight for the classes {sorted(source.given - source.certain)}",
            hint="give every leaf a weight for its class, 0 where it has none",
        )
    if len(labels) == 2:
        return _binary(builder, node, source, (labels[0], labels[1]))
    base = base_values(node)
    total = _total(builder, node, source.forest)
    if base:
        if len(base) != len(labels):
            raise ProgramError(f"it has {len(base)} base values for {len(labels)} classes")
        total = _plus(builder, total, base)
    elif len(source.given) != len(labels):
        raise ProgramError("a class has no leaf", hint="leave it out of the labels")
    label = scores.best_label(builder, total, labels)
    return label, scores.transformed(builder, total, scores.post_transform(node))


def _binary(
    builder: Builder, node: SourceNode, source: SourceForest, labels: tuple[int, int]
) -> Sequence[Value]:
    """Two classes. `zero` and `one` are the scores of either, None where nothing gives it one."""
    transform, base = scores.post_transform(node), base_values(node)
    total = _total(builder, node, source.forest)
    zero = sliced(builder, total, 1, 0, 1) if 0 in source.given else None
    one = sliced(builder, total, 1, 1, 2) if 1 in source.given else None
    if len(base) == 2 and one is not None:
        # The second class' own sum is not used: so does the kernel.
        shift = [base[1]]
        one = _plus(builder, zero, shift) if zero else _row(builder, float(base[1]))
        zero = builder.emit("Neg", one) if zero else None
    elif base and zero is not None:
        zero = _plus(builder, zero, base[:1])
    deciding = one if one is not None else zero
    if deciding is None:
        raise ProgramError("none of its leaves has a weight")
    positive = bool((source.weights >= 0).all())
    if len(source.given) == 1:
        label = scores.label_above(builder, deciding, 0.5 if positive else 0.0, labels)
    else:
        label = scores.label_above(builder, deciding, 0.0, (0, 1))
    if one is None and len(base) < 2:
        return label, scores.two_from_one(builder, deciding, transform, complement=positive)
    none = _row(builder, 0.0)
    pair = builder.emit("Concat", zero or none, one or none, axis=1)
    return label, scores.transformed(builder, pair, transform)


def _aggregated(builder: Builder, node: SourceNode, forest: Forest, aggregate: str) -> Value:
    if aggregate not in ("SUM", "AVERAGE"):
        raise ProgramError(f"the aggregate {aggregate} has no rule", hint="use SUM or AVERAGE")
    total = _total(builder, node, forest)
    if aggregate == "SUM":
        return total
    return builder.emit("Div", total, scalar(builder, forest.trees, total))


def _total(builder: Builder, node: SourceNode, forest: Forest) -> Value:
    """The sum of the leaves that one row reaches, [1, values]."""
    x = cast(builder, node.input(0), ElementType.FLOAT32)
    x = reshaped(builder, x, (1, -1)) if x.rank == 1 else x
    if x.rank != 2 or x.shape[0] != 1:
        raise ProgramError(f"its input is {list(x.shape)}", hint="give it one row of features")
    branches = forest.nodes[forest.nodes[:, 0] != 0]
    if branches.size and not 0 <= branches[:, 1].min() <= branches[:, 1].max() < x.shape[1]:
        raise ProgramError(f"a tree asks for a feature beyond the {x.shape[1]} that there are")
    leaves = builder.emit("TreeEnsembleRegressor", x, domain="ai.onnx.ml", **write(forest))
    if forest.trees == 1:
        return leaves
    each = reshaped(builder, leaves, (1, forest.trees, forest.values))
    return builder.total("ReduceSum", each, [1], keep=False)


def _plus(builder: Builder, value: Value, numbers: Sequence[np.float32]) -> Value:
    return builder.emit("Add", value, builder.constant(np.array([numbers], dtype=np.float32)))


def _row(builder: Builder, number: float) -> Value:
    return builder.constant(np.array([[number]], dtype=np.float32))
