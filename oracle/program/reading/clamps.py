"""Puts a clamp before every Gather whose index could lie outside of its axis.

onnxruntime refuses such an index, and a run that fails leaves nothing to defend. In the program the
nearest row is answered instead; where the source has an answer, it is the same.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from oracle.program.admission import unsafe_gathers
from oracle.program.reading.program_file import read_program

_GATHERS = ("Gather", "GatherElements")


def clamp_indices(model: onnx.ModelProto) -> None:
    """Changes the program file, which must be readable without layouts."""
    stored = {entry.name for entry in model.graph.initializer}
    if not any(
        node.op_type in _GATHERS and node.input[1] not in stored for node in model.graph.node
    ):
        return
    program = read_program(model, layouts={})
    lengths = {step.name: step.attributes[1] for step in unsafe_gathers(program)}
    clamps = _Clamps(model.graph)
    for node in list(model.graph.node):
        if node.output[0] in lengths:
            node.input[1] = clamps.clamped(node, lengths[node.output[0]])


class _Clamps:
    """The clamps of one graph: one for each index and length."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._taken = {name for node in graph.node for name in (*node.input, *node.output)}
        self._taken |= {entry.name for entry in graph.initializer}
        self._made: dict[tuple[str, int], str] = {}
        self._types = {entry.name: entry.type for entry in (*graph.input, *graph.value_info)}

    def clamped(self, reader: onnx.NodeProto, length: int) -> str:
        """The name of the reader's index, clamped, which is written in front of the reader."""
        index = reader.input[1]
        if (index, length) not in self._made:
            low = self._limited(reader, index, -length, below=True)
            self._made[index, length] = self._limited(reader, low, length - 1, below=False)
        return self._made[index, length]

    def _limited(self, reader: onnx.NodeProto, index: str, number: int, *, below: bool) -> str:
        """The limit where the index is below (or above) it: Max and Min of int64 are not to be
        relied on (see `normalise.whole`)."""
        tensor = self._types[index].tensor_type
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        limit, beyond, result = map(self._fresh, ("limit", "beyond", f"{reader.output[0]}_index"))
        self._graph.initializer.append(numpy_helper.from_array(np.array(number, dtype), limit))
        place = next(n for n, node in enumerate(self._graph.node) if node == reader)
        compared = [index, limit] if below else [limit, index]
        self._graph.node.insert(place, helper.make_node("Where", [beyond, limit, index], [result]))
        self._graph.node.insert(place, helper.make_node("Less", compared, [beyond]))
        shape = [axis.dim_value for axis in tensor.shape.dim]
        for name, kind in ((beyond, onnx.TensorProto.BOOL), (result, tensor.elem_type)):
            entry = helper.make_tensor_value_info(name, kind, shape)
            self._types[name] = entry.type
            self._graph.value_info.append(entry)
        return result

    def _fresh(self, wish: str) -> str:
        name = wish
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name
