"""Products: MatMul, Gemm, and the linear models of ai.onnx.ml."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oracle.core.schema import ElementType
from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise import scores
from oracle.program.normalise.elementwise import cast, scalar
from oracle.program.normalise.rule import SourceNode, rewrites
from oracle.program.normalise.shape import reshaped


@rewrites("MatMul")
def matmul(builder: Builder, node: SourceNode) -> Value:
    """A vector takes part as a matrix of one row or column."""
    a, b = _floats(node, 0), _floats(node, 1)
    if a.rank > 1 and b.rank > 1:
        return builder.dot(a, b)
    left = a if a.rank > 1 else reshaped(builder, a, (1, *a.shape))
    right = b if b.rank > 1 else reshaped(builder, b, (*b.shape, 1))
    product = builder.dot(left, right)
    shape = [*product.shape[:-2]]
    shape += [product.shape[-2]] if a.rank > 1 else []
    shape += [product.shape[-1]] if b.rank > 1 else []
    return reshaped(builder, product, tuple(shape))


@rewrites("Gemm")
def gemm(builder: Builder, node: SourceNode) -> Value:
    """alpha and beta go into stored operands where there are any."""
    a, b, c = _floats(node, 0), _floats(node, 1), node.optional(2)
    alpha, beta = float(node.get("alpha", 1.0)), float(node.get("beta", 1.0))
    a = builder.emit("Transpose", a, perm=[1, 0]) if node.get("transA", 0) else a
    b = builder.emit("Transpose", b, perm=[1, 0]) if node.get("transB", 0) else b
    c = None if beta == 0.0 else c
    if c is not None and beta != 1.0:
        c = builder.emit("Mul", c, scalar(builder, beta, c))
    if alpha == 1.0:
        return builder.dot(a, b, c)
    if b.constant is not None:
        return builder.dot(a, builder.emit("Mul", b, scalar(builder, alpha, b)), c)
    product = builder.emit("Mul", builder.dot(a, b), scalar(builder, alpha, a))
    return product if c is None else builder.emit("Add", product, c)


@rewrites("ai.onnx.ml.LinearRegressor")
def regressor(builder: Builder, node: SourceNode) -> Value:
    targets = int(node.get("targets", 1))
    result = _scores(builder, node, targets)
    return scores.transformed(builder, result, scores.post_transform(node))


@rewrites("ai.onnx.ml.LinearClassifier")
def classifier(builder: Builder, node: SourceNode) -> Sequence[Value]:
    """Label and scores. The label is chosen before the transform, as onnxruntime does."""
    labels = scores.integer_labels(node, "classlabels_ints")
    transform = scores.post_transform(node)
    count = len(node.get("intercepts", ())) or len(labels)
    raw = _scores(builder, node, count)
    if count > 1:
        if len(labels) != count:
            raise ProgramError(f"it has {len(labels)} labels for {count} scores")
        label = scores.best_label(builder, raw, labels)
        return label, scores.transformed(builder, raw, transform)
    pair = (labels[0], labels[1]) if len(labels) == 2 else (0, 1)
    label = scores.label_above(builder, raw, 0.0, pair)
    if len(labels) != 2:
        return label, raw
    return label, scores.two_from_one(builder, raw, transform, complement=True)


def _scores(builder: Builder, node: SourceNode, count: int) -> Value:
    """`x · coefficients^T + intercepts`, [1, count]."""
    x = cast(builder, node.input(0), ElementType.FLOAT32)
    x = reshaped(builder, x, (1, -1)) if x.rank == 1 else x
    weights = np.array(node.get("coefficients", ()), dtype=np.float32)
    features = x.shape[-1]
    if x.rank != 2 or count < 1 or weights.size != count * features:
        raise ProgramError(f"{weights.size} coefficients do not fit {features} features")
    b = builder.constant(np.ascontiguousarray(weights.reshape(count, features).T))
    given = node.get("intercepts")
    c = builder.constant(np.array(given, dtype=np.float32)) if given else None
    return builder.dot(x, b, c)


def _floats(node: SourceNode, position: int) -> Value:
    value = node.input(position)
    if value.element is not ElementType.FLOAT32:
        raise ProgramError(
            f"a product of {value.element.value} has no rule",
            hint="use float32, or MatMulInteger for 8-bit integers",
        )
    return value
