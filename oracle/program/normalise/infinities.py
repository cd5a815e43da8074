"""Where infinities that a model stores can get to: harmless choices, or arithmetic.

The court judges choices, moves and comparisons of infinities, but is silent about arithmetic with
them. Knows the dialect's operators, and nothing of how an infinity could be taken out (`masks`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from oracle.program.source.row_rules import attribute

DOWN: Final = "-"
UP: Final = "+"
NAN: Final = "?"

Signs = frozenset[str]
"""Which of -inf, +inf and NaN a tensor may hold, for having been stored."""

MOVES: Final[Mapping[str, tuple[int, ...]]] = {
    **dict.fromkeys(("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze"), (0,)),
    **dict.fromkeys(("Transpose", "Expand", "Slice", "Gather", "GatherElements"), (0,)),
    "Pad": (0, 2),
    "Where": (1, 2),
}
"""Operators that pass elements on as they are, and the operands that they come from."""

_CHOICES: Final = frozenset({"Max", "Min", "ReduceMax", "ReduceMin", "MaxPool", "TopK"})
_BLIND: Final = frozenset({"ArgMax", "ArgMin", "Less", "LessOrEqual", "Equal", "Not"})
"""Their result says which, not how much."""
_TREES: Final = frozenset({"ai.onnx.ml.TreeEnsembleRegressor"})


@dataclass(frozen=True)
class Use:
    """An operand of a node: the place where a stored tensor enters the graph."""

    node: int
    position: int


def moved_operands(node: onnx.NodeProto) -> tuple[int, ...] | None:
    """The operands whose elements a node passes on; None if it does anything else."""
    if node.op_type == "Concat":
        return tuple(range(len(node.input)))
    return MOVES.get(node.op_type)


def signs_of(values: NDArray[Any]) -> Signs:
    """What of an array is not finite."""
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return frozenset()
    tests = ((DOWN, np.isneginf(values)), (UP, np.isposinf(values)), (NAN, np.isnan(values)))
    return frozenset(sign for sign, found in tests if found.any())


def reaching_arithmetic(graph: onnx.GraphProto) -> tuple[Use, ...]:
    """The uses of stored tensors from which an infinity or NaN gets into arithmetic."""
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
    stored = {
        entry.name: signs_of(numpy_helper.to_array(entry))
        for entry in graph.initializer
        if entry.data_type in floats
    }
    signs = {name: found for name, found in stored.items() if found}
    if not signs:
        return ()
    for node in graph.node:
        for name in node.output:
            found = _passed(node, [signs.get(source, frozenset()) for source in node.input])
            if found:
                signs[name] = found
    harmful: set[str] = set()
    uses: list[Use] = []
    for number in range(len(graph.node) - 1, -1, -1):
        node = graph.node[number]
        leads = harmful.intersection(node.output)
        for position, name in enumerate(node.input):
            if name not in signs:
                continue
            if not _computes(node, position, signs[name]) and not (
                leads and _gets_out(node, position, signs)
            ):
                continue
            if name in stored:
                uses.append(Use(number, position))
            else:
                harmful.add(name)
    return tuple(reversed(uses))


def _computes(node: onnx.NodeProto, position: int, found: Signs) -> bool:
    """Whether the court's rule for a node is silent about such an operand."""
    if node.op_type in _CHOICES:
        return NAN in found
    if node.op_type in _BLIND or moved_operands(node) is not None:
        return False
    if node.op_type in ("Neg", "Abs", "Sign"):
        return node.op_type == "Sign" and NAN in found
    if node.op_type == "Cast":
        return NAN in found or attribute(node, "to", 0) != onnx.TensorProto.BOOL
    return f"{node.domain}.{node.op_type}" not in _TREES


def _gets_out(node: onnx.NodeProto, position: int, signs: Mapping[str, Signs]) -> bool:
    """Whether what is not finite in an operand can be in the node's result."""
    found = signs[node.input[position]]
    if node.op_type in _CHOICES:
        return bool(found & signs.get(node.output[0], frozenset()))
    nothing: Signs = frozenset()
    lone = [found if number == position else nothing for number in range(len(node.input))]
    return bool(_passed(node, lone))


def _passed(node: onnx.NodeProto, operands: Sequence[Signs]) -> Signs:
    """What of its operands' infinities a node's result may hold, if it does not compute."""
    moved = moved_operands(node)
    if moved is not None:
        return frozenset().union(*(operands[n] for n in moved if n < len(operands)))
    every: Signs = frozenset().union(*operands) if operands else frozenset()
    match node.op_type:
        case "Max" | "Min":
            # One finite candidate is above -inf, and below +inf.
            losing = DOWN if node.op_type == "Max" else UP
            return every if all(losing in signs for signs in operands) else every - {losing}
        case "ReduceMax" | "ReduceMin" | "MaxPool" | "TopK":
            return every
        case "Neg":
            swapped = {DOWN: UP, UP: DOWN, NAN: NAN}
            return frozenset(swapped[sign] for sign in every)
        case "Abs":
            return frozenset(UP if sign == DOWN else sign for sign in every)
        case _:
            return frozenset()
