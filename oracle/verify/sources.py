"""What a verification needs from elsewhere, as protocols: files, traces, a machine, the court.

Implemented in bootstrap out of inference, client and court; tests replace them. Does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from oracle.core.schema import ModelSchema
from oracle.core.types import Tier
from oracle.court.check import CheckReport
from oracle.ports.inference import Inference, Tensors
from oracle.program.instruction import Program, Trace


class FileSource(Protocol):
    """A place that may have a model's file: a folder, a URI, an operator's endpoint.

    `named` is true where the caller named the very file, so that another one is an error.
    """

    @property
    def name(self) -> str: ...

    @property
    def named(self) -> bool: ...

    async def read(self, root: bytes, tier: Tier) -> bytes | None:
        """The file; None where this place has none. Raises OracleError and says why not."""
        ...


class TraceSource(Protocol):
    """A place that may have a trace: a file, or an operator's endpoint."""

    @property
    def name(self) -> str: ...

    async def read(self, trace_root: bytes, program: Program, rows: int) -> Trace:
        """The trace.

        Raises:
            TraceUnavailable: it cannot be had; says why.
            TraceError: what was given is no trace of this root or program.
        """
        ...


class Runner(Protocol):
    """Runs models on this machine, within a time limit."""

    async def run(
        self, file: bytes, root: bytes, schema: ModelSchema, tier: Tier, inputs: Tensors
    ) -> Inference:
        """One run; with its trace where the file is a program.

        Raises:
            UnusableOutput: the model gives no output for this input.
            OracleError: it cannot be run here, or took too long.
        """
        ...


class Judge(Protocol):
    """The court's rules over a whole trace: `court.check.check_trace`."""

    def __call__(self, program: Program, trace: Trace, /) -> CheckReport:
        """How its elements fare. Takes its time. Raises OracleError for a trace it cannot read."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything a verification may use. What is None, or not there, leaves a step unchecked.

    Attributes:
        source: the ONNX file that the program is said to be compiled from.
    """

    files: Sequence[FileSource] = ()
    traces: Sequence[TraceSource] = ()
    runner: Runner | None = None
    judge: Judge | None = None
    source: bytes | None = None
