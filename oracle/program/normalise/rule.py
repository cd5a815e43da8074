"""The registry of rewriting rules, and what a rule is given.

A rule says one source operator in dialect operators, through the builder. It never sees names or
protobufs, and the registry knows no operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value


@dataclass(frozen=True)
class SourceNode:
    """A node of the source model: inputs as values of the program (None where left out).

    `version` is the opset version of its domain in the source model; `outputs` are its outputs'
    names, "" where unused. Attributes are plain: text as str (not bytes), tensors as arrays. Stored
    operands carry their value in `Value.constant`; a node of stored operands alone never comes.
    """

    operator: str
    version: int
    inputs: tuple[Value | None, ...]
    attributes: Mapping[str, Any]
    outputs: tuple[str, ...]

    def input(self, position: int) -> Value:
        """An input that must be there. Raises ProgramError."""
        value = self.optional(position)
        if value is None:
            raise ProgramError(f"{self.operator} lacks its input {position}")
        return value

    def optional(self, position: int) -> Value | None:
        return self.inputs[position] if position < len(self.inputs) else None

    def get(self, attribute: str, default: Any = None) -> Any:
        return self.attributes.get(attribute, default)


Rule: TypeAlias = Callable[[Builder, SourceNode], Value | Sequence[Value | None]]
"""Writes the node; returns one value per output (None for an output that nobody can have)."""

RULES: Final[dict[str, Rule]] = {}


def rewrites(*operators: str) -> Callable[[Rule], Rule]:
    """Registers the rule for source operators, named `Op` or `ai.onnx.ml.Op`."""

    def register(rule: Rule) -> Rule:
        for operator in operators:
            if operator in RULES:
                raise ValueError(f"two rules rewrite {operator}")
            RULES[operator] = rule
        return rule

    return register
