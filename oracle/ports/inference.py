"""Models at work: their files, a run, and what it commits to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from oracle.core.schema import ModelSchema
from oracle.core.types import Tier
from oracle.errors import OracleError
from oracle.program.instruction import Trace

Tensors: TypeAlias = Mapping[str, NDArray[Any]]
"""Named arrays, in a schema's names."""


@dataclass(frozen=True, slots=True)
class CommittedTrace:
    """Every tensor of a run of a program, and the root that commits to them."""

    root: bytes
    program_root: bytes
    trace: Trace


@dataclass(frozen=True, slots=True)
class Inference:
    """One run: outputs by name, seconds in the model, and the session's facts as JSON.

    `trace` is None for a model that is not a program. The outputs of a program may hold NaN.
    """

    outputs: Tensors
    seconds: float
    session: str
    trace: CommittedTrace | None = None


class InferenceEngine(Protocol):
    async def load(
        self, program_root: bytes, schema: ModelSchema, tier: Tier = Tier.UNPROVEN
    ) -> object:
        """Makes a model ready to run. Raises ModelFileError where it cannot be run like this.

        An UNPROVEN model is a file with this SHA-256; any other is a program with this root.
        """
        ...

    async def run_each(
        self,
        program_root: bytes,
        schema: ModelSchema,
        inputs: Sequence[Tensors],
        tier: Tier = Tier.UNPROVEN,
    ) -> Sequence[Inference | OracleError]:
        """Runs each input, batching where that changes no bit; off the event loop.

        Each input has its own result or error: UnusableOutput where the model ran and its output is
        of no use (NaN is, unless it is a program's), InferenceError where it failed.

        Raises:
            ModelFileError: the model cannot be loaded.
        """
        ...


class ModelFiles(Protocol):
    """Model files by their SHA-256 and programs by their root: the tier says which it is."""

    def has(self, digest: bytes, tier: Tier) -> bool: ...
