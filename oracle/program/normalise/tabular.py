"""Preparing a row of features: Scaler, Normalizer, Imputer, Binarizer and their kin.

All of them work on float32 and on the last axis; integers are cast first, as onnxruntime does.
"""

from __future__ import annotations

import numpy as np

from oracle.core.schema import ElementType
from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise.elementwise import cast, choose, scalar
from oracle.program.normalise.rule import SourceNode, rewrites
from oracle.program.normalise.shape import reshaped


@rewrites("ai.onnx.ml.Scaler")
def scaler(builder: Builder, node: SourceNode) -> Value:
    """`(x - offset) · scale`, rounded after each step; what changes nothing is left out."""
    x = cast(builder, node.input(0), ElementType.FLOAT32)
    offset = np.array(node.get("offset", [0.0]), dtype=np.float32)
    scale = np.array(node.get("scale", [1.0]), dtype=np.float32)
    for numbers in (offset, scale):
        if numbers.size not in (1, x.shape[-1]):
            raise ProgramError(f"{numbers.size} numbers do not fit {x.shape[-1]} features")
    if offset.any():
        x = builder.emit("Sub", x, builder.constant(offset))
    return x if (scale == 1).all() else builder.emit("Mul", x, builder.constant(scale))


@rewrites("ai.onnx.ml.Normalizer")
def normalizer(builder: Builder, node: SourceNode) -> Value:
    """Each row over its norm; a row whose norm is zero stays. MAX is the signed maximum."""
    x = cast(builder, node.input(0), ElementType.FLOAT32)
    if x.rank > 2:
        raise ProgramError(f"its input has {x.rank} axes", hint="give it a batch of vectors")
    axis, norm = x.rank - 1, str(node.get("norm", "MAX"))
    if norm == "MAX":
        axes = builder.constant(np.array([axis], dtype=np.int64))
        size = builder.emit("ReduceMax", x, axes, keepdims=1)
    elif norm == "L1":
        size = builder.total("ReduceSum", builder.emit("Abs", x), [axis])
    elif norm == "L2":
        squares = builder.total("ReduceSum", builder.emit("Mul", x, x), [axis])
        size = builder.emit("Sqrt", squares)
    else:
        raise ProgramError(f"the norm {norm} has no rule", hint="use L1, L2 or MAX")
    empty = builder.emit("Equal", size, scalar(builder, 0.0, size))
    return builder.emit("Div", x, choose(builder, empty, scalar(builder, 1.0, size), size))


@rewrites("ai.onnx.ml.Imputer")
def imputer(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    whole = x.element is ElementType.INT64
    kind, dtype = ("int64", np.int64) if whole else ("float", np.float32)
    if x.element not in (ElementType.INT64, ElementType.FLOAT32):
        raise ProgramError(f"{x.element.value} features have no rule", hint="use float32 or int64")
    imputed = np.array(node.get(f"imputed_value_{kind}s", ()), dtype=dtype)
    if imputed.size not in (1, x.shape[-1]):
        raise ProgramError(f"{imputed.size} numbers do not fit {x.shape[-1]} features")
    wanted = node.get(f"replaced_value_{kind}", 0)
    found = builder.constant(imputed)
    if wanted != wanted:  # NaN is what does not equal itself
        return choose(builder, builder.emit("Equal", x, x), x, found)
    missing = builder.emit("Equal", x, scalar(builder, wanted, x))
    return choose(builder, missing, found, x)


@rewrites("ai.onnx.ml.Binarizer")
def binarizer(builder: Builder, node: SourceNode) -> Value:
    x = node.input(0)
    above = builder.emit("Less", scalar(builder, float(node.get("threshold", 0.0)), x), x)
    return choose(builder, above, scalar(builder, 1, x), scalar(builder, 0, x))


@rewrites("ai.onnx.ml.ArrayFeatureExtractor")
def extractor(builder: Builder, node: SourceNode) -> Value:
    """Columns by number, or a table of labels looked up by the row's number: always [.., n]."""
    x, positions = node.input(0), node.input(1)
    flat = reshaped(builder, positions, (-1,))
    if x.rank == 1:
        x = reshaped(builder, x, (1, -1))
    if x.shape[:-1] == (1,):
        row = builder.emit("Gather", reshaped(builder, x, (-1,)), flat, axis=0)
        return reshaped(builder, row, (1, -1))
    return builder.emit("Gather", x, flat, axis=x.rank - 1)


@rewrites("ai.onnx.ml.FeatureVectorizer")
def vectorizer(builder: Builder, node: SourceNode) -> Value:
    """The inputs as float32, side by side."""
    lengths = node.get("inputdimensions", ())
    parts = [cast(builder, node.input(n), ElementType.FLOAT32) for n in range(len(node.inputs))]
    parts = [reshaped(builder, part, (1, -1)) if part.rank == 1 else part for part in parts]
    if [part.shape[-1] for part in parts] != list(lengths):
        raise ProgramError(f"its inputs do not have {list(lengths)} features")
    return parts[0] if len(parts) == 1 else builder.emit("Concat", *parts, axis=1)
