"""The sample models as programs, and their runs on held-out rows. Each is run once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
from onnx import numpy_helper

from oracle.core.conversion import Array
from oracle.core.types import Tier
from oracle.inference.program_session import LoadedProgram, open_program
from oracle.inference.provider import CPU
from oracle.inference.session import SessionSettings
from oracle.program.compile import CompiledProgram, compile_model, load_program
from oracle.program.encoding import program_root
from oracle.program.instruction import Program, Space, Trace
from tests.inference.graphs import MODELS

ROWS = 2


@dataclass(frozen=True)
class Sample:
    """A compiled model with the honest trace of its first rows."""

    compiled: CompiledProgram
    loaded: LoadedProgram
    inputs: dict[str, Array]
    trace: Trace

    @property
    def program(self) -> Program:
        return self.loaded.program

    @property
    def root(self) -> bytes:
        return self.loaded.root


@cache
def sample(name: str, tier: Tier | None = None) -> Sample:
    """A model of the repository, run."""
    source = (MODELS / f"{name}.onnx").read_bytes()
    compiled = compile_model(source, name=name, tier=tier)
    loaded = opened(compiled, compiled.file)
    inputs = held_out(loaded, name, range(ROWS))
    return Sample(compiled, loaded, inputs, traced(loaded, inputs))


def opened(compiled: CompiledProgram, file: bytes) -> LoadedProgram:
    """A program file of the interface of a compiled one."""
    root = program_root(load_program(file))
    return open_program(
        "sample", file, root, compiled.schema, provider=CPU, settings=SessionSettings()
    )


def held_out(loaded: LoadedProgram, name: str, rows: Sequence[int]) -> dict[str, Array]:
    """Rows that the model did not learn from."""
    with np.load(MODELS / "heldout" / f"{name}.npz") as arrays:
        return {loaded.schema.inputs[0].name: arrays["x"][list(rows)]}


def traced(loaded: LoadedProgram, inputs: dict[str, Array]) -> Trace:
    """The trace of a run."""
    trace = loaded.run(inputs, len(next(iter(inputs.values())))).trace
    assert trace is not None
    return trace


def input_bytes(program: Program, trace: Trace) -> bytes:
    """What the request's input must equal, for a program of one batched input."""
    (number,) = program.inputs
    info = program.tensors[number]
    return b"".join(
        np.ascontiguousarray(info.unflatten(row[number])).tobytes() for row in trace.rows
    )


def readers(program: Program, tensor: int) -> set[int]:
    """The instructions that read a committed tensor."""
    return {
        number
        for number, step in enumerate(program.instructions)
        if any(access.space is Space.TRACE and access.tensor == tensor for access in step.operands)
    }


def constant_readers(program: Program, constant: int) -> list[int]:
    """The instructions that read a constant."""
    return [
        number
        for number, step in enumerate(program.instructions)
        if any(
            access.space is Space.CONSTANT and access.tensor == constant for access in step.operands
        )
    ]


def initializer(file: bytes, name: str) -> Array:
    """A stored tensor of a program file."""
    (found,) = [
        entry for entry in onnx.load_model_from_string(file).graph.initializer if entry.name == name
    ]
    return numpy_helper.to_array(found)


def with_initializer(file: bytes, name: str, values: Array) -> bytes:
    """The program file with another initializer of the same shape and type."""
    model = onnx.load_model_from_string(file)
    (found,) = [entry for entry in model.graph.initializer if entry.name == name]
    found.CopyFrom(numpy_helper.from_array(values, name))
    return bytes(model.SerializeToString())
