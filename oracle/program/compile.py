"""From an ONNX file to a program: prepared, normalised, laid out, and read back.

Responsible for the choice of the tier and for the interface of what comes out. The same bytes in
give the same bytes out. Runs no model.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Final

import onnx
from onnx import helper

from oracle.core.schema import DEFAULT_MAX_BATCH, ModelSchema
from oracle.core.types import Tier
from oracle.errors import ProgramError
from oracle.program.admission import check_program
from oracle.program.instruction import Program
from oracle.program.layout import choose_layouts
from oracle.program.leaf_size import choose_leaf_bytes
from oracle.program.most_rows import choose_most_rows
from oracle.program.normalise.pipeline import normalise
from oracle.program.reading.clamps import clamp_indices
from oracle.program.reading.copies import commit_for_views
from oracle.program.reading.program_file import read_program, write_layouts
from oracle.program.sizes import inexact_instructions, multiply_adds
from oracle.program.source.model_schema import read_schema
from oracle.program.source.prepare import prepare
from oracle.program.source.row_independence import dependence

NATIVE_FROM: Final = 1_000_000_000
"""Multiply-adds a row from which accumulating in float64 costs more than it gains in bounds."""


@dataclass(frozen=True)
class CompiledProgram:
    """A program and its interface; `single_only` says why rows come alone, or is None."""

    file: bytes
    program: Program
    schema: ModelSchema
    single_only: str | None


def compile_model(
    data: bytes,
    *,
    name: str = "the model",
    tier: Tier | None = None,
    leaf_bytes: int | None = None,
    max_batch: int | None = None,
) -> CompiledProgram:
    """Compiles an ONNX file. Without a tier: EXACT where it can be, else ROUNDED, else NATIVE.

    Without a leaf size or a largest batch, they are chosen by the bytes of a row's trace.

    Raises:
        ModelFileError: the bytes are not a model, or its interface has no fixed meaning.
        ProgramError: an operator cannot be judged (all are named), or not in the wished tier.
    """
    source = prepare(data, name=name)
    most = DEFAULT_MAX_BATCH if max_batch is None else max_batch
    interface = read_schema(source, max_batch=most)
    reason = dependence(source) if interface.fully_batched else "an output has no batch axis"
    schema = interface if reason is None else replace(interface, max_batch=1)
    choose_rows = max_batch is None and schema.max_batch > 1
    job = _Job(source, schema, hashlib.sha256(data).hexdigest(), leaf_bytes, choose_rows)
    file, program = job.compile(Tier.NATIVE if tier is None else tier)
    if tier is None and not inexact_instructions(program):
        file, program = job.compile(Tier.EXACT)
    elif tier is None and multiply_adds(program) < NATIVE_FROM:
        file, program = job.compile(Tier.ROUNDED)
    _check_outputs(program, schema)
    return CompiledProgram(file, program, replace(schema, max_batch=program.max_rows), reason)


def load_program(file: bytes) -> Program:
    """The program in a file that `compile_model` wrote, whoever kept it meanwhile.

    Raises:
        ProgramError: the bytes are not a program file.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(file)
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # protobuf, the checker and the inference raise unrelated types
        raise ProgramError(f"the file is not a program: {error}") from error
    try:
        program = read_program(model)
        check_program(program)
    except (TypeError, KeyError, ValueError, IndexError, AttributeError) as error:
        raise ProgramError(f"the file is not a program: {error!r}") from error
    return program


@dataclass(frozen=True, eq=False)
class _Job:
    """A prepared source model, to be compiled in one tier or another."""

    source: onnx.ModelProto
    schema: ModelSchema
    source_sha256: str
    leaf_bytes: int | None
    choose_rows: bool

    def compile(self, tier: Tier) -> tuple[bytes, Program]:
        """The program file and what it reads as. Raises ProgramError."""
        if tier is Tier.UNPROVEN:
            raise ProgramError(f"there are no programs of the tier {tier.name.lower()}")
        metadata = {
            "oracle.leaf_bytes": str(self.leaf_bytes or choose_leaf_bytes(0)),
            "oracle.max_rows": str(self.schema.max_batch),
            "oracle.source_sha256": self.source_sha256,
            "oracle.tier": str(int(tier)),
        }
        model = commit_for_views(normalise(self.source, self.schema, tier, metadata))
        clamp_indices(model)
        metadata["oracle.layouts"] = write_layouts(choose_layouts(model))
        helper.set_model_props(model, dict(sorted(metadata.items())))
        program = read_program(model)
        # Only now is it known how long a row's trace is.
        if self.leaf_bytes is None:
            program = replace(program, leaf_bytes=choose_leaf_bytes(program.row_trace_bytes))
        if self.choose_rows:
            program = replace(program, max_rows=choose_most_rows(program.row_trace_bytes))
        metadata["oracle.leaf_bytes"] = str(program.leaf_bytes)
        metadata["oracle.max_rows"] = str(program.max_rows)
        helper.set_model_props(model, dict(sorted(metadata.items())))
        check_program(program)
        return model.SerializeToString(deterministic=True), program


def _check_outputs(program: Program, schema: ModelSchema) -> None:
    """Raises ProgramError where the program has not the interface that the source declares."""
    for number, spec in zip(program.outputs, schema.outputs, strict=True):
        info = program.tensors[number]
        if info.element is not spec.element or info.shape != spec.shape_for(1):
            raise ProgramError(
                f"the output {info.name!r} is {info.element.value} {list(info.shape)}, "
                f"but the model declares {spec.element.value} {list(spec.shape)}",
                hint="declare the output as it is, with a symbolic leading axis for the batch",
            )
