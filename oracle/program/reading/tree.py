"""TreeEnsembleRegressor as programs write it: one committed leaf value per tree and target."""

from __future__ import annotations

import onnx

from oracle.core.schema import ElementType
from oracle.errors import ProgramError
from oracle.program import tree_table
from oracle.program.instruction import Access
from oracle.program.opcode import Opcode
from oracle.program.reading.reader import Reading, reads


@reads("ai.onnx.ml.TreeEnsembleRegressor")
def trees(reading: Reading, node: onnx.NodeProto) -> None:
    attributes = {
        name: [text.decode() for text in value] if name == "nodes_modes" else value
        for name, value in reading.attributes(node).items()
    }
    forest = tree_table.read(attributes)
    output = node.output[0]
    features = reading.view(node.input[0])
    if features.element is not ElementType.FLOAT32 or reading.shape(node.input[0])[:-1] != (1,):
        raise ProgramError("the features of trees are one row of float32")
    asked = forest.nodes[forest.nodes[:, 0] != tree_table.LEAF, 1]
    if asked.size and asked.max() >= features.shape[-1]:
        raise ProgramError("a tree asks for a feature that there is not")
    domain = (forest.trees, forest.values)
    nodes = reading.add_constant(f"{output}#nodes", forest.nodes)
    leaves = reading.add_constant(f"{output}#leaves", forest.leaves)
    roots = reading.add_constant(f"{output}#roots", forest.roots)
    reading.step(
        Opcode.TREE,
        output,
        [
            Access(features.space, features.tensor, features.offset, (0, 0)),
            Access(nodes.space, nodes.tensor, 0, (0, 0)),
            Access(leaves.space, leaves.tensor, 0, (0, 0)),
            Access(roots.space, roots.tensor, 0, (1, 0)),
        ],
        domain=domain,
        attributes=(features.strides[-1], forest.values),
    )
