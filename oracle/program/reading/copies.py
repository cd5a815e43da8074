"""Puts an Identity before every reshape that is no view, so that its source is committed anew.

Only then can it be read: the elements lie in row-major order in the copy.
"""

from __future__ import annotations

import onnx
from onnx import helper

from oracle.errors import ProgramError
from oracle.program.reading.program_file import read_program
from oracle.program.reading.reader import NotAView


def commit_for_views(model: onnx.ModelProto) -> onnx.ModelProto:
    """The program file with the copies that its reshapes need; read without layouts."""
    for _ in range(len(model.graph.node) + 1):
        try:
            read_program(model, layouts={})
        except NotAView as fault:
            _insert(model, fault.source, fault.target)
        else:
            return model
    raise ProgramError("copies do not help the reshapes of this program")


def _insert(model: onnx.ModelProto, source: str, target: str) -> None:
    """Lets the node that makes `target` read a committed copy of `source`."""
    nodes = model.graph.node
    position = next(n for n, node in enumerate(nodes) if target in node.output)
    taken = {name for node in nodes for name in (*node.input, *node.output)}
    copied = f"{target}_source"
    while copied in taken:
        copied += "_"
    node = nodes[position]
    for place, name in enumerate(node.input):
        if name == source:
            node.input[place] = copied
    nodes.insert(position, helper.make_node("Identity", [source], [copied]))
    for entry in model.graph.value_info:
        if entry.name == source:
            model.graph.value_info.add().CopyFrom(entry)
            model.graph.value_info[-1].name = copied
            return
