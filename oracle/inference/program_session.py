"""A program in memory: run row by row, every committed tensor kept.

Responsible for exposing the registered intermediates (which keeps the runtime from fusing them
away), and for gathering and committing them. Judges nothing, keeps nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import onnx
import onnxruntime
from onnx import helper
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from oracle.core.conversion import Array
from oracle.core.schema import ModelSchema
from oracle.core.tensor import Tensors
from oracle.court.commit_plan import CommitPlan
from oracle.court.commitment import commit
from oracle.errors import InferenceError, ModelFileError, UnusableOutput
from oracle.inference.provider import CPU, Provider
from oracle.inference.run import Run, first_line, native
from oracle.inference.session import OpenSession, SessionSettings, open_session
from oracle.ports.inference import CommittedTrace
from oracle.program.compile import load_program
from oracle.program.instruction import Program, TensorInfo, Trace
from oracle.program.profile import OPTIMISATION

_CORES: Final = os.cpu_count() or 1
"""Asked once: the system takes as long to say as a small trace to be hashed."""


@dataclass(frozen=True)
class LoadedProgram:
    """A session of a program that gives every committed tensor, and the program itself."""

    schema: ModelSchema
    session: OpenSession
    program: Program
    root: bytes
    single_only: str = "a program runs row by row"

    def run(
        self,
        inputs: Mapping[str, Array],
        batch: int,
        *,
        options: onnxruntime.RunOptions | None = None,
    ) -> Run:
        """Runs each row; the outputs are the rows' outputs one after another.

        Raises `UnusableOutput` where the program rejects the values of a row, and `InferenceError`
        where the run fails in another way or is stopped.
        """
        rows: list[tuple[Array, ...]] = []
        started = time.perf_counter()
        for row in range(batch):
            rows.append(self._run_row(self._row(inputs, row), options))
        seconds = time.perf_counter() - started
        return Run(self._outputs(rows, batch), seconds, Trace(tuple(rows)))

    def committed(self, run: Run) -> CommittedTrace | None:
        """The run's trace under its root. Hashing takes time; not for the event loop."""
        if run.trace is None:
            return None
        commitment = commit(
            self.program, self.root, run.trace, threads=_CORES, plan=self._commit_plan
        )
        return CommittedTrace(commitment.trace_root, self.root, run.trace)

    @cached_property
    def _commit_plan(self) -> CommitPlan:
        return CommitPlan(self.program)

    @cached_property
    def _given(self) -> list[str]:
        return [info.name for info in self.program.tensors[: len(self.program.inputs)]]

    @cached_property
    def _fetched(self) -> list[str]:
        return [info.name for info in self.program.tensors[len(self.program.inputs) :]]

    @cached_property
    def _flattened(self) -> list[Callable[[Array], Array] | None]:
        """How each tensor gets into its committed order; None where it is in it."""
        return [None if _lies_flat(info) else info.flatten for info in self.program.tensors]

    def _row(self, inputs: Mapping[str, Array], row: int) -> dict[str, Array]:
        """One row of every batched input, the whole of any other."""
        return {
            spec.name: native(
                inputs[spec.name][row : row + 1] if spec.batched else inputs[spec.name]
            )
            for spec in self.schema.inputs
        }

    def _run_row(
        self, feed: dict[str, Array], options: onnxruntime.RunOptions | None
    ) -> tuple[Array, ...]:
        try:
            values = self.session.runtime.run(self._fetched, feed, options)
        except InvalidArgument as error:
            raise UnusableOutput(f"the model rejects this input: {first_line(error)}") from error
        except Exception as error:  # the runtime's exceptions share no base class of their own
            raise InferenceError(f"the model failed: {first_line(error)}") from error
        given = [feed[name] for name in self._given]
        return tuple(
            [
                value.reshape(-1) if flatten is None else flatten(np.asarray(value))
                for flatten, value in zip(self._flattened, (*given, *values), strict=True)
            ]
        )

    def _outputs(self, rows: list[tuple[Array, ...]], batch: int) -> Tensors:
        outputs: Tensors = {}
        for spec, number in zip(self.schema.outputs, self.program.outputs, strict=True):
            if spec.batched and batch != 1:
                flat = np.concatenate([row[number] for row in rows])
            else:
                flat = rows[0][number]
            outputs[spec.name] = flat.reshape(spec.shape_for(batch))
        return outputs


def open_program(
    name: str,
    data: bytes,
    root: bytes,
    schema: ModelSchema,
    *,
    provider: Provider,
    settings: SessionSettings,
) -> LoadedProgram:
    """Open a program file whose root has been checked.

    Raises `ModelFileError` where it is no program, or its interface is not `schema`.
    """
    program = load_program(data)
    _check_interface(name, program, schema)
    if provider == CPU and settings.optimisation == "basic":
        settings = replace(settings, optimisation=OPTIMISATION[program.tier])
    session = open_session(exposed(data, program), provider, settings)
    return LoadedProgram(schema=schema, session=session, program=program, root=root)


def exposed(data: bytes, program: Program) -> bytes:
    """The program file with every committed tensor as an output."""
    model = onnx.load_model_from_string(data)
    present = {entry.name for entry in model.graph.output}
    for info in program.tensors[len(program.inputs) :]:
        if info.name not in present:
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(info.element.value))
            model.graph.output.append(helper.make_tensor_value_info(info.name, kind, info.shape))
    return bytes(model.SerializeToString())


def _lies_flat(info: TensorInfo) -> bool:
    """Whether the runtime's arrays are in committed order, and of the committed type."""
    real = [axis for axis in info.layout if info.shape[axis] != 1]
    return real == sorted(real) and info.element.dtype.isnative


_SCHEMA_OF_COMPILING: Final = "register the schema that compiling this model reports"


def _check_interface(name: str, program: Program, schema: ModelSchema) -> None:
    for side, specs, numbers in (
        ("input", schema.inputs, program.inputs),
        ("output", schema.outputs, program.outputs),
    ):
        found = [program.tensors[number] for number in numbers]
        if [(info.name, info.element, info.shape) for info in found] != [
            (spec.name, spec.element, spec.shape_for(1)) for spec in specs
        ]:
            raise ModelFileError(
                f"{name} has other {side}s than the registered schema: "
                + ", ".join(
                    f"{info.name} {info.element.value}{list(info.shape)}" for info in found
                ),
                hint=_SCHEMA_OF_COMPILING,
            )
    # An honest answer by a schema that counts rows otherwise than the court would be convicted.
    if schema.max_batch != program.max_rows:
        raise ModelFileError(
            f"{name} takes up to {program.max_rows} rows, by the registered schema up to "
            f"{schema.max_batch}",
            hint=_SCHEMA_OF_COMPILING,
        )
    if program.max_rows > 1 and not schema.fully_batched:
        raise ModelFileError(
            f"{name} takes up to {program.max_rows} rows, and by the registered schema not each of "
            "its inputs and outputs has as many",
            hint=_SCHEMA_OF_COMPILING,
        )
