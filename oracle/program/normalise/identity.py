"""Operators that change nothing about their input: an output's name, and dropout at inference."""

from __future__ import annotations

from oracle.errors import ProgramError
from oracle.program.builder import Builder, Value
from oracle.program.normalise.rule import SourceNode, rewrites


@rewrites("Identity")
def identity(builder: Builder, node: SourceNode) -> Value:
    return node.input(0)


@rewrites("Dropout")
def dropout(builder: Builder, node: SourceNode) -> tuple[Value | None, ...]:
    training = node.optional(2)
    if training is not None and (training.constant is None or bool(training.constant)):
        raise ProgramError("it is in training mode", hint="export the model for inference")
    if any(node.outputs[1:]):
        raise ProgramError("its mask is read", hint="export the model for inference")
    return (node.input(0),)
