"""Infinite masks before a softmax become finite ones where that provably changes no output.

The court is silent about arithmetic with infinities, so a masked score would be anybody's. Masks
are followed from where they are stored to the exponentials that make them 0; an infinity that
leads anywhere else is refused, with what could take its place. The proof is in docs/program.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import onnx
from onnx import numpy_helper

from oracle.errors import ProgramError
from oracle.program.normalise.infinities import (
    DOWN,
    Use,
    moved_operands,
    reaching_arithmetic,
    signs_of,
)
from oracle.program.source.row_rules import attribute

MASK: Final = -(2.0**120)
"""What stands for -inf: so far from any score that its exponential is 0, and room to add masks."""

LARGEST_SCORE: Final = 2.0**100
"""Scores are taken to be below this in magnitude. A program in which they are not has float32
sums on the verge of overflow."""

_VANISHES: Final = 150.0
"""exp(-104) is below half the least float32."""
_OVERFLOWS: Final = 2.0**127
_HINT: Final = (
    "a mask of -inf may be added to, or chosen by Where among, the scores of a Softmax; elsewhere "
    "use a large finite number such as -1e9, and the pads of MaxPool instead of a Pad; or register "
    "the model as unproven"
)


@dataclass(frozen=True)
class _Masked:
    """A tensor each of whose elements is the source's own, or lies in [-high, -low] where the
    source's is -inf."""

    low: float
    high: float

    def moved(self, other: float) -> _Masked:
        """With at most so much added or taken away."""
        return _Masked(self.low - other, self.high + other)

    def joined(self, other: _Masked) -> _Masked:
        """Of one or the other."""
        return _Masked(min(self.low, other.low), max(self.high, other.high))


def with_finite_masks(
    model: onnx.ModelProto, readers: Mapping[str, Sequence[str]]
) -> onnx.ModelProto:
    """The model with finite masks; itself where no stored infinity gets into arithmetic.

    `readers` tells, for a stored tensor, who reads it in the source: for the error's words.

    Raises:
        ProgramError: an infinity gets into arithmetic, and not by way of a softmax alone.
    """
    uses = reaching_arithmetic(model.graph)
    if not uses:
        return model
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    walk = _Walk(changed.graph, readers)
    for use in uses:
        walk.replace(use)
    walk.prove()
    return changed


@dataclass
class _Walk:
    """What is masked so far, in the order of the graph."""

    graph: onnx.GraphProto
    readers: Mapping[str, Sequence[str]]
    masked: dict[str, _Masked] = field(default_factory=dict)
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a masked tensor: the stored tensors whose infinities it has."""

    maxima: dict[str, str] = field(default_factory=dict)
    """Of a largest element along axes: the tensor that it is of."""

    def replace(self, use: Use) -> None:
        """Gives one use of a stored tensor a finite copy of it."""
        node = self.graph.node[use.node]
        name = node.input[use.position]
        (stored,) = [entry for entry in self.graph.initializer if entry.name == name]
        values = numpy_helper.to_array(stored)
        if signs_of(values) != {DOWN}:
            raise self._refusal((name,), "holds NaN or +inf, and arithmetic reads it")
        finite = f"{name}_finite"
        if finite not in self.masked:
            filled = np.where(np.isneginf(values), np.float32(MASK), values).astype(values.dtype)
            self.graph.initializer.append(numpy_helper.from_array(filled, finite))
            self.masked[finite] = _Masked(-MASK, -MASK)
            self.sources[finite] = (name,)
        node.input[use.position] = finite

    def prove(self) -> None:
        """Raises ProgramError unless every masked tensor ends in exponentials that are 0."""
        for node in self.graph.node:
            masked = [name for name in node.input if name in self.masked]
            if not masked or self._asks_for_infinity(node):
                continue
            found = self._result(node)
            if found is None or found.high >= _OVERFLOWS or found.low < _VANISHES:
                raise self._refusal(self._sources(masked), f"reaches {node.op_type}")
            if node.op_type != "Exp":
                for name in node.output:
                    self.masked[name] = found
                    self.sources[name] = self._sources(masked)
        for entry in self.graph.output:
            if entry.name in self.masked:
                sources = self.sources[entry.name]
                raise self._refusal(sources, f"reaches the output {entry.name!r}")
        self._drop_unread()

    def _asks_for_infinity(self, node: onnx.NodeProto) -> bool:
        """`Equal` to a stored -inf, as models ask whether a row is masked throughout: written anew
        as being below every score."""
        if node.op_type != "Equal":
            return False
        masked = [name for name in node.input if name in self.masked]
        others = [entry for entry in self.graph.initializer if entry.name in node.input]
        if len(masked) != 1 or len(others) != 1 or self.masked[masked[0]].low <= 2 * LARGEST_SCORE:
            return False
        values = numpy_helper.to_array(others[0])
        if others[0].name in self.masked or not np.isneginf(values).all():
            return False
        name = f"{others[0].name}_below"
        if all(entry.name != name for entry in self.graph.initializer):
            below = np.full_like(values, -2 * LARGEST_SCORE)
            self.graph.initializer.append(numpy_helper.from_array(below, name))
        node.op_type = "LessOrEqual"
        del node.input[:]
        node.input.extend([masked[0], name])
        return True

    def _result(self, node: onnx.NodeProto) -> _Masked | None:
        """What a node with a masked operand makes of it; None where nothing is proved."""
        operands = [self.masked.get(name) for name in node.input]
        moved = moved_operands(node)
        if moved is not None:
            found: _Masked | None = None
            for number in moved:
                part = operands[number] if number < len(operands) else None
                if part is not None:
                    found = part if found is None else found.joined(part)
            return found
        match node.op_type:
            case "Exp":
                return operands[0]
            case "ReduceMax" if attribute(node, "keepdims", 1):
                self.maxima[node.output[0]] = node.input[0]
                return operands[0]
            case "Add":
                return _sum(*operands)
            case "Sub" if operands[0] is not None:
                # A score less the largest of its row: the row's is masked only where all are.
                if operands[1] is None or self.maxima.get(node.input[1]) == node.input[0]:
                    return operands[0].moved(LARGEST_SCORE)
                return None
            case "Mul" | "Div":
                return self._scaled(node, operands)
            case _:
                return None

    def _scaled(self, node: onnx.NodeProto, operands: Sequence[_Masked | None]) -> _Masked | None:
        """Times, or divided by, stored positive numbers."""
        number = 0 if operands[0] is not None else 1
        masked = operands[number]
        factors = [
            entry for entry in self.graph.initializer if entry.name == node.input[1 - number]
        ]
        if masked is None or not factors or (node.op_type == "Div" and number == 1):
            return None
        factor = numpy_helper.to_array(factors[0]).astype(np.float64)
        if node.op_type == "Div":
            with np.errstate(divide="ignore"):
                factor = 1 / factor
        if factors[0].name in self.masked or not factor.size or not np.isfinite(factor).all():
            return None
        least, most = float(factor.min()), float(factor.max())
        return _Masked(masked.low * least, masked.high * most) if least > 0 else None

    def _sources(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(source for name in names for source in self.sources[name]))

    def _refusal(self, sources: Sequence[str], fault: str) -> ProgramError:
        told = [text for name in sources for text in self.readers.get(name, (repr(name),))]
        listed = ", ".join(dict.fromkeys(told))
        return ProgramError(
            "the model cannot be judged: a stored tensor that is not finite "
            f"({listed}) {fault}, and the court cannot judge arithmetic with it",
            hint=_HINT,
        )

    def _drop_unread(self) -> None:
        read = {name for node in self.graph.node for name in node.input}
        kept = [entry for entry in self.graph.initializer if entry.name in read]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)


def _sum(first: _Masked | None, second: _Masked | None) -> _Masked | None:
    """Of which one may be a score."""
    if first is None or second is None:
        masked = first or second
        return None if masked is None else masked.moved(LARGEST_SCORE)
    low = min(first.low, second.low) - LARGEST_SCORE
    return _Masked(low, first.high + second.high + LARGEST_SCORE)
