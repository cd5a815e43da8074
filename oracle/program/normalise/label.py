"""LabelEncoder: a table from numbers to numbers, looked up by comparing with every key."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.core.schema import ElementType
from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise.elementwise import cast, choose
from oracle.program.normalise.rule import SourceNode, rewrites
from oracle.program.normalise.shape import reshaped

_DTYPES = {"int64": np.int64, "float": np.float32}


@rewrites("ai.onnx.ml.LabelEncoder")
def label_encoder(builder: Builder, node: SourceNode) -> Value:
    """Of equal keys the first counts. NaN is a key since version 4."""
    if node.version < 2:
        raise ProgramError("it maps text", hint="encode text as integers before the model")
    x, keys, values = node.input(0), _column(node, "keys"), _column(node, "values")
    if keys.size != values.size or not keys.size:
        raise ProgramError(f"it has {keys.size} keys for {values.size} values")
    if keys.dtype != x.element.dtype:
        raise ProgramError(f"its keys are {keys.dtype}, but its input is {x.element.value}")
    table = builder.constant(keys)
    wide = reshaped(builder, x, (*x.shape, 1))
    same = builder.emit("Equal", wide, table)
    nans = np.isnan(keys)
    if node.version >= 4 and nans.any():
        not_a_number = builder.emit("Not", builder.emit("Equal", wide, wide))
        same = builder.emit("Or", same, builder.emit("And", not_a_number, builder.constant(nans)))
    hits = cast(builder, same, ElementType.FLOAT32)
    first = builder.emit("ArgMax", hits, axis=x.rank, keepdims=0, select_last_index=0)
    value = builder.emit("Gather", builder.constant(values), first, axis=0)
    axes = builder.constant(np.array([x.rank], dtype=np.int64))
    hit = cast(builder, builder.emit("ReduceMax", hits, axes, keepdims=0), ElementType.BOOL)
    return choose(builder, hit, value, builder.constant(_default(node, values.dtype)))


def _column(node: SourceNode, name: str) -> NDArray[Any]:
    tensor = node.get(f"{name}_tensor")
    if node.get(f"{name}_strings") or (tensor is not None and tensor.dtype.kind in "OUS"):
        raise ProgramError("it maps text", hint="encode text as integers before the model")
    if tensor is not None:
        return np.asarray(tensor).reshape(-1)
    for kind, dtype in _DTYPES.items():
        if given := node.get(f"{name}_{kind}s"):
            return np.array(given, dtype=dtype)
    raise ProgramError(f"it has no {name}")


def _default(node: SourceNode, dtype: np.dtype[Any]) -> NDArray[Any]:
    tensor = node.get("default_tensor")
    if tensor is not None:
        return np.asarray(tensor, dtype=dtype).reshape(())
    if dtype.kind == "i":
        return np.array(node.get("default_int64", -1), dtype=dtype)
    return np.array(node.get("default_float", -0.0), dtype=dtype)
