"""Whether a graph computes each row of a batch from that row alone.

Requests of strangers may share a batched run only if none can influence another's answer. Having a
batch axis does not show that: a model may average over it, or behave differently once any row
crosses a threshold. Responsible for proving independence operator by operator, with everything it
does not recognise counted as dependent. It says nothing about rounding (see `batch_probe`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference

from oracle.program.source import graph
from oracle.program.source.row_products import PRODUCTS
from oracle.program.source.row_rules import BATCH, RULES, Shape, Unproven, Walk, row_blocked


def dependence(model: onnx.ModelProto) -> str | None:
    """Why rows of a batch might influence each other, or None where they provably do not.

    The model must have passed the ONNX checker.
    """
    try:
        _prove(model)
    except Unproven as unproven:
        return str(unproven)
    return None


def _prove(model: onnx.ModelProto) -> None:
    if model.functions:
        raise Unproven("the model has local functions")
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    walk = Walk(constants=dict(stored), shapes={}, inferred=_infer(model))
    for value in model.graph.input:
        if value.name not in stored:
            walk.shapes[value.name] = row_blocked(_declared(value))
    for node in model.graph.node:
        name = graph.operator_name(node)
        try:
            _step(walk, node, name)
        except (Unproven, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise Unproven(f"{name} ({node.name or node.output[0]}): {error}") from error
    for value in model.graph.output:
        if walk.shapes.get(value.name, (0,))[0] != BATCH:
            raise Unproven(f"output {value.name!r} is not led by the batch")


def _step(walk: Walk, node: onnx.NodeProto, name: str) -> None:
    """Record the outputs of one node, or raise."""
    if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
        raise Unproven("has a subgraph")
    if not walk.dynamic(node):
        values: dict[str, np.ndarray[Any, Any] | None] = dict.fromkeys(node.output)
        if name == "Constant" and node.attribute[0].name == "value":
            values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        walk.constants |= values
        return
    rule = PRODUCTS.get(name) or RULES.get(name)
    if rule is None:
        raise Unproven("not known to keep rows apart")
    for output, shape in zip((out for out in node.output if out), rule(walk, node), strict=True):
        walk.shapes[output] = row_blocked(shape)


def _declared(value: onnx.ValueInfoProto) -> Shape:
    dimensions = value.type.tensor_type.shape.dim
    return tuple(entry.dim_value or (0 if axis else BATCH) for axis, entry in enumerate(dimensions))


def _infer(model: onnx.ModelProto) -> dict[str, Shape]:
    """The shapes that ONNX infers at a batch of `BATCH` rows; unknown ones are left out."""
    bound = onnx.ModelProto()
    bound.CopyFrom(model)
    for value in [*bound.graph.input, *bound.graph.output]:
        if value.type.tensor_type.shape.dim and not value.type.tensor_type.shape.dim[0].dim_value:
            value.type.tensor_type.shape.dim[0].dim_value = BATCH
    del bound.graph.value_info[:]
    inferred = shape_inference.infer_shapes(bound)
    return {
        value.name: tuple(entry.dim_value for entry in value.type.tensor_type.shape.dim)
        for value in [*inferred.graph.value_info, *inferred.graph.output]
    }
