"""Reading an ONNX graph: every node, tensor and constant, wherever it is nested.

Responsible for walking a parsed model, subgraphs and local functions included, so that a check
cannot be dodged by hiding something in a branch. It judges nothing and runs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import onnx

ONNX_DOMAINS = ("", "ai.onnx")
"""Two spellings of the standard operator domain."""


def all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node of the graph, its subgraphs and the local functions."""
    yield from _nodes(model.graph.node)
    for function in model.functions:
        yield from _nodes(function.node)


def all_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every stored tensor: initializers, sparse initializers and node attributes."""
    yield from _initializers(model.graph)
    for node in all_nodes(model):
        for attribute in node.attribute:
            yield from _attribute_tensors(attribute)
            for graph in _subgraphs(attribute):
                yield from _initializers(graph)


def operator_names(model: onnx.ModelProto) -> tuple[str, ...]:
    """The distinct operators, sorted; those outside the standard domain as `domain.Name`."""
    return tuple(sorted({operator_name(node) for node in all_nodes(model)}))


def operator_name(node: onnx.NodeProto) -> str:
    """`Name` for the standard domain, `domain.Name` for any other."""
    return node.op_type if node.domain in ONNX_DOMAINS else f"{node.domain}.{node.op_type}"


def parameter_count(model: onnx.ModelProto) -> int:
    """Numbers that the file holds as weights.

    Counts the elements of all stored tensors and of float-list attributes, which is where tree
    ensembles, scalers and linear models of `ai.onnx.ml` keep their parameters. Integer-list
    attributes (axes, node numbers) are structure and do not count.
    """
    stored: int = sum(math.prod(tensor.dims) for tensor in all_tensors(model))
    listed = sum(len(attribute.floats) for node in all_nodes(model) for attribute in node.attribute)
    return stored + listed


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in _subgraphs(attribute):
                yield from _nodes(graph.node)


def _subgraphs(attribute: onnx.AttributeProto) -> Iterator[onnx.GraphProto]:
    if attribute.HasField("g"):
        yield attribute.g
    yield from attribute.graphs


def _initializers(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)


def _attribute_tensors(attribute: onnx.AttributeProto) -> Iterator[onnx.TensorProto]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
    for entry in [*sparse, *attribute.sparse_tensors]:
        yield from (entry.values, entry.indices)
