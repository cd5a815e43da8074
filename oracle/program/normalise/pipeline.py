"""Walks a source model and writes it anew with the rewriting rules, batch axis bound to 1.

Responsible for the order, for constants (folded before any rule sees them) and for naming every
operator that stands in the way, all in one error. What an operator means is said by its rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from oracle.core.schema import ModelSchema
from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.node_inference import fold
from oracle.program.normalise import rule
from oracle.program.normalise.infinities import signs_of
from oracle.program.normalise.masks import with_finite_masks
from oracle.program.normalise.replacement import replacement
from oracle.program.source.graph import ONNX_DOMAINS, operator_name

_Known: TypeAlias = Value | NDArray[Any]
"""What a name of the source stands for: a tensor of the program, or a constant not yet in it."""

_NOT_FOLDED: Final = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform"}
    | {"RandomUniformLike", "If", "Loop", "Scan"}
)


_PLACES_TOLD: Final = 3
"""Nodes named in an error, per operator."""


def normalise(
    model: onnx.ModelProto, schema: ModelSchema, tier: Tier, metadata: Mapping[str, str]
) -> onnx.ModelProto:
    """The program file of a prepared source model (see `source.prepare`), without layouts.

    Raises:
        ProgramError: naming every operator that cannot be judged, where it stands, and what could
            replace it.
    """
    walk = _Walk(Builder(tier), {entry.domain: entry.version for entry in model.opset_import})
    for spec in schema.inputs:
        walk.known[spec.name] = walk.builder.input(spec.name, spec.element, spec.shape_for(1))
    for entry in model.graph.output:
        if entry.name in walk.known:
            raise ProgramError(f"the output {entry.name!r} is an input", hint="leave it out")
        walk.builder.reserve(entry.name)
    for tensor in model.graph.initializer:
        walk.known[tensor.name] = numpy_helper.to_array(tensor)
    for node in _needed(model):
        walk.step(node)
    walk.refuse_what_failed()
    outputs = [(entry.name, walk.value(entry.name)) for entry in model.graph.output]
    return with_finite_masks(walk.builder.build(outputs, metadata), walk.infinite)


@dataclass
class _Walk:
    """What is known so far. Names whose node failed are `lost`, so that one fault is told once."""

    builder: Builder
    versions: Mapping[str, int]
    known: dict[str, _Known] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    faults: list[tuple[onnx.NodeProto, ProgramError]] = field(default_factory=list)
    infinite: dict[str, list[str]] = field(default_factory=dict)
    """Of stored tensors that are not finite: who reads them, in the source's names."""

    def step(self, node: onnx.NodeProto) -> None:
        if self.lost.intersection(node.input) and operator_name(node) in rule.RULES:
            self.lost.update(node.output)
            return
        try:
            self._write(node)
        except ProgramError as fault:
            self.faults.append((node, fault))
            self.lost.update(node.output)

    def refuse_what_failed(self) -> None:
        """Raises ProgramError where any node failed: each operator once per reason."""
        told: dict[tuple[str, str], list[str]] = {}
        for node, fault in self.faults:
            places = told.setdefault((operator_name(node), fault.message), [])
            places.append(node.name or node.output[0])
        if told:
            hints = dict.fromkeys(fault.hint for _, fault in self.faults if fault.hint)
            raise ProgramError(
                "the model cannot be judged: "
                + "; ".join(
                    f"{operator} at {_listed(places)}: {message}"
                    for (operator, message), places in told.items()
                ),
                hint="; ".join(hints) or None,
            )

    def value(self, name: str) -> Value:
        """A name as a tensor of the program; a constant enters it when it is first asked for."""
        found = self.known.get(name)
        if found is None:
            raise ProgramError(f"nothing makes the tensor {name!r}")
        if isinstance(found, Value):
            return found
        if found.dtype.kind in "OUS":
            raise ProgramError(
                f"{name!r} holds text", hint="encode text as integers before the model"
            )
        return self.builder.constant(found)

    def _write(self, node: onnx.NodeProto) -> None:
        operator = operator_name(node)
        if operator == "Constant":
            self.known[node.output[0]] = _constant(node)
        elif not self._fold(node):
            written = rule.RULES.get(operator)
            if written is None:
                raise ProgramError("the court has no rule for it", hint=replacement(operator))
            self._keep(node, written(self.builder, self._source(node, operator)))

    def _source(self, node: onnx.NodeProto, operator: str) -> rule.SourceNode:
        for name in filter(None, node.input):
            value = self.value(name)
            if value.constant is not None and signs_of(value.constant):
                place = f"{name!r}, read by {operator} at {node.name or node.output[0]!r}"
                self.infinite.setdefault(value.name, []).append(place)
        return rule.SourceNode(
            operator=operator,
            version=self._version(node),
            inputs=tuple(self.value(name) if name else None for name in node.input),
            attributes={entry.name: _plain(entry) for entry in node.attribute},
            outputs=tuple(node.output),
        )

    def _version(self, node: onnx.NodeProto) -> int:
        domain = "" if node.domain in ONNX_DOMAINS else node.domain
        spelled = [self.versions[name] for name in (domain, node.domain) if name in self.versions]
        return spelled[0] if spelled else 1

    def _keep(self, node: onnx.NodeProto, given: Value | Sequence[Value | None]) -> None:
        values = [given] if isinstance(given, Value) else given
        for name, value in zip(node.output, values, strict=False):
            if value is not None:
                self.known[name] = value

    def _fold(self, node: onnx.NodeProto) -> bool:
        """Carries out a node whose operands are all stored, in the source's own operator set."""
        operands = {name: self._stored(name) for name in node.input if name}
        if not operands or node.op_type in _NOT_FOLDED or any(v is None for v in operands.values()):
            return False
        stored = {name: value for name, value in operands.items() if value is not None}
        opset = helper.make_operatorsetid(node.domain, self._version(node))
        try:
            results = fold(node, stored, [opset])
        except Exception:  # what the reference lacks may still have a rule
            return False
        self.known.update(zip(filter(None, node.output), results, strict=True))
        return True

    def _stored(self, name: str) -> NDArray[Any] | None:
        found = self.known.get(name)
        return found.constant if isinstance(found, Value) else found


def _listed(places: Sequence[str]) -> str:
    more = len(places) - _PLACES_TOLD
    return ", ".join(map(repr, places[:_PLACES_TOLD])) + (f" and {more} more" if more > 0 else "")


def _plain(entry: onnx.AttributeProto) -> Any:
    """An attribute as rules see it: text as str, tensors as arrays."""
    if entry.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
        raise ProgramError("has a subgraph", hint="export without control flow")
    value = helper.get_attribute_value(entry)
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, list) and value and isinstance(value[0], bytes):
        return [text.decode(errors="replace") for text in value]
    return value


def _constant(node: onnx.NodeProto) -> NDArray[Any]:
    entry = node.attribute[0]
    value = _plain(entry)
    if entry.name == "value":
        return np.asarray(value)
    if entry.name in ("value_float", "value_floats"):
        return np.array(value, dtype=np.float32)
    if entry.name in ("value_int", "value_ints"):
        return np.array(value, dtype=np.int64)
    raise ProgramError(f"its attribute {entry.name!r} has no rule", hint="store a dense tensor")


def _needed(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes that an output depends on, in order."""
    wanted, kept = {entry.name for entry in model.graph.output}, []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    return kept[::-1]
