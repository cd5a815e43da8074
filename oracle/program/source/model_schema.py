"""From an ONNX graph's declared inputs and outputs to a `ModelSchema`.

Responsible for refusing interfaces that have no fixed meaning as bytes, each with what to change
at export. It does not check that the graph itself is sound, and runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import onnx

from oracle.core.schema import DEFAULT_MAX_BATCH, ElementType, ModelSchema, TensorSpec
from oracle.errors import ModelFileError, SchemaError

_ELEMENTS: Final[Mapping[int, ElementType]] = {
    onnx.TensorProto.FLOAT: ElementType.FLOAT32,
    onnx.TensorProto.DOUBLE: ElementType.FLOAT64,
    onnx.TensorProto.INT8: ElementType.INT8,
    onnx.TensorProto.INT16: ElementType.INT16,
    onnx.TensorProto.INT32: ElementType.INT32,
    onnx.TensorProto.INT64: ElementType.INT64,
    onnx.TensorProto.UINT8: ElementType.UINT8,
    onnx.TensorProto.UINT16: ElementType.UINT16,
    onnx.TensorProto.UINT32: ElementType.UINT32,
    onnx.TensorProto.UINT64: ElementType.UINT64,
    onnx.TensorProto.BOOL: ElementType.BOOL,
}

_FIX_AXES = (
    "fix it at export (of scikit-learn, a model whose result has no fixed shape cannot be judged: "
    "docs/your-own-model.md lists those that can), or, of an input, with "
    "`python -m onnxruntime.tools.make_dynamic_shape_fixed --input_name NAME --input_shape SHAPE`"
)
_ZIPMAP = "export with zipmap=False (skl2onnx: options={'zipmap': False})"


def read_schema(model: onnx.ModelProto, *, max_batch: int = DEFAULT_MAX_BATCH) -> ModelSchema:
    """The schema that the graph declares, in the graph's order.

    A leading axis that is symbolic or unknown is the batch; it must be the same one everywhere.
    Initializers that old exporters also list as inputs are not inputs.

    Raises `ModelFileError` for maps, sequences, optionals and strings, for element types without a
    wire format, for an undeclared shape, and for any other axis that is not a positive constant.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    batch_names = {name for value in inputs if (name := _batch_name(value))}
    if len(batch_names) > 1:
        raise ModelFileError(
            f"the inputs have different leading axes ({', '.join(sorted(batch_names))}), "
            "but one message has one batch size",
            hint=f"give them one symbolic name, or {_FIX_AXES}",
        )
    try:
        return ModelSchema(
            inputs=tuple(_spec("input", value) for value in inputs),
            outputs=tuple(_spec("output", value) for value in model.graph.output),
            max_batch=max_batch,
        )
    except SchemaError as error:
        raise ModelFileError(f"the model's interface: {error}", hint=error.hint) from error


def _spec(side: str, value: onnx.ValueInfoProto) -> TensorSpec:
    where = f"{side} {value.name!r}"
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise ModelFileError(
            f"{where} is a {(kind or 'value of unknown type').removesuffix('_type')}, not a tensor",
            hint=_ZIPMAP if kind in ("sequence_type", "map_type") else "export plain tensors only",
        )
    tensor = value.type.tensor_type
    element = _ELEMENTS.get(tensor.elem_type)
    if element is None:
        raise _refused_element(where, tensor.elem_type)
    if not tensor.HasField("shape"):
        raise ModelFileError(
            f"{where} declares no shape", hint="run onnx.shape_inference, or declare it at export"
        )
    shape = [_axis(where, axis, entry) for axis, entry in enumerate(tensor.shape.dim)]
    return TensorSpec(name=value.name, element=element, shape=tuple(shape))


def _axis(where: str, axis: int, entry: onnx.TensorShapeProto.Dimension) -> int | None:
    if entry.WhichOneof("value") == "dim_value":
        if entry.dim_value < 1:
            raise ModelFileError(f"{where}: axis {axis} is {entry.dim_value}, not positive")
        return int(entry.dim_value)
    if axis:
        name = entry.dim_param or "unnamed"
        raise ModelFileError(
            f"{where}: axis {axis} ({name}) varies, but only axis 0, the batch, may",
            hint=_FIX_AXES,
        )
    return None


def _refused_element(where: str, code: int) -> ModelFileError:
    known = onnx.TensorProto.DataType.values()
    name = onnx.TensorProto.DataType.Name(code).lower() if code in known else f"type {code}"
    hints = {
        "string": "encode text as numbers before the model, and labels as integers: "
        "train on integer classes, or export the class index",
        "float16": "cast to float32 at the model's boundary",
        "bfloat16": "cast to float32 at the model's boundary",
    }
    listed = ", ".join(member.value for member in ElementType)
    return ModelFileError(f"{where} is {name}", hint=hints.get(name, f"use one of {listed}"))


def _batch_name(value: onnx.ValueInfoProto) -> str:
    dimensions = value.type.tensor_type.shape.dim
    return dimensions[0].dim_param if dimensions else ""
