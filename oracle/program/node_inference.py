"""One ONNX node by itself: what it gives of stored operands, and the types of what it gives.

Responsible for the operator sets that program files use. Knows no graph and no tier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from oracle.core.schema import ElementType
from oracle.errors import ProgramError

OPSETS: Final = (helper.make_operatorsetid("", 18), helper.make_operatorsetid("ai.onnx.ml", 3))
"""Of program files; reductions take their axes as an input since 18."""

IR_VERSION: Final = 10


def fold(
    node: onnx.NodeProto,
    operands: Mapping[str, NDArray[Any]],
    opsets: Sequence[onnx.OperatorSetIdProto],
) -> list[NDArray[Any]]:
    """The outputs of a node whose operands are all stored; raises whatever the reference raises."""
    graph = helper.make_graph(
        [node],
        "fold",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in operands.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in node.output if name],
    )
    model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=list(opsets))
    with np.errstate(all="ignore"):
        results = ReferenceEvaluator(model).run(None, dict(operands))
    return [np.asarray(result) for result in results]


def infer(
    node: onnx.NodeProto,
    operands: Sequence[onnx.ValueInfoProto],
    stored: Mapping[str, NDArray[Any]],
) -> list[tuple[ElementType, tuple[int, ...]]]:
    """Element type and shape of every output; `stored` are the operands whose values are known.

    Raises:
        ProgramError: ONNX's own inference finds the node wrong, or a shape depends on data.
    """
    versions = {entry.domain: entry.version for entry in OPSETS}
    version = versions[node.domain]
    try:
        inferred = shape_inference.infer_node_outputs(
            onnx.defs.get_schema(node.op_type, version, node.domain),
            node,
            {entry.name: entry.type for entry in operands},
            {name: numpy_helper.from_array(value, name) for name, value in stored.items()},
            opset_imports=[helper.make_operatorsetid(node.domain, version)],
            ir_version=IR_VERSION,
        )
    except Exception as error:  # the inference raises several unrelated types
        shapes = [
            [axis.dim_value for axis in entry.type.tensor_type.shape.dim] for entry in operands
        ]
        raise ProgramError(f"{node.op_type} of {shapes}: {error}") from error
    return [_typed(node, inferred[name]) for name in node.output]


def element_of(dtype: np.dtype[Any]) -> ElementType:
    """Raises ProgramError for what the court cannot judge."""
    try:
        return ElementType(dtype.name)
    except ValueError as error:
        raise ProgramError(
            f"{dtype.name} tensors cannot be judged", hint="export the model in float32"
        ) from error


def _typed(node: onnx.NodeProto, found: onnx.TypeProto) -> tuple[ElementType, tuple[int, ...]]:
    tensor = found.tensor_type
    if any(not axis.HasField("dim_value") for axis in tensor.shape.dim):
        raise ProgramError(f"{node.op_type}: the shape of its result is not static")
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return element_of(dtype), tuple(axis.dim_value for axis in tensor.shape.dim)
