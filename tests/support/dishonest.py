"""Operators that cheat in other ways than by cheaper weights: a moved element, and no trace at all.

Each is an instrument for `open_node`: it stands between the services and an adapter. Cheaper
weights are `scripts.dishonest_operator`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar, cast

from oracle.core.schema import ModelSchema
from oracle.core.types import Tier
from oracle.court.commitment import commit
from oracle.errors import OracleError
from oracle.inference.model_library import ModelLibrary
from oracle.ports import CommittedTrace, Inference, InferenceEngine, Tensors
from oracle.program.compile import load_program
from oracle.program.instruction import Trace

Adapter = TypeVar("Adapter")


class _Altering(ABC):
    """An engine whose runs are changed before anybody sees them."""

    def __init__(self, engine: InferenceEngine) -> None:
        self._engine = engine

    async def load(
        self, program_root: bytes, schema: ModelSchema, tier: Tier = Tier.UNPROVEN
    ) -> object:
        return await self._engine.load(program_root, schema, tier)

    async def run_each(
        self,
        program_root: bytes,
        schema: ModelSchema,
        inputs: Sequence[Tensors],
        tier: Tier = Tier.UNPROVEN,
    ) -> Sequence[Inference | OracleError]:
        found = await self._engine.run_each(program_root, schema, inputs, tier)
        return [self.altered(one) if isinstance(one, Inference) else one for one in found]

    @abstractmethod
    def altered(self, run: Inference) -> Inference: ...


class _Traceless(_Altering):
    def altered(self, run: Inference) -> Inference:
        return replace(run, trace=None)


class _Moving(_Altering):
    def __init__(self, engine: InferenceEngine, models: ModelLibrary) -> None:
        super().__init__(engine)
        self._models = models

    def altered(self, run: Inference) -> Inference:
        assert run.trace is not None
        root = run.trace.program_root
        program = load_program(self._models.read_program(root))
        tensor = program.instructions[0].output
        first, *others = run.trace.trace.rows
        values = first[tensor].copy()
        values[0] += 1
        forged = Trace(((*first[:tensor], values, *first[tensor + 1 :]), *others))
        commitment = commit(program, root, forged)
        return replace(run, trace=CommittedTrace(commitment.trace_root, root, forged))


def traceless(name: str, adapter: Adapter) -> Adapter:
    """The right result, and a commitment to nothing."""
    if name == "engine":
        return cast("Adapter", _Traceless(cast("InferenceEngine", adapter)))
    return adapter


class Moving:
    """The right result, and a trace with one element moved, committed to and served as it is."""

    def __init__(self, models: ModelLibrary) -> None:
        self._models = models

    def __call__(self, name: str, adapter: Adapter, /) -> Adapter:
        if name == "engine":
            return cast("Adapter", _Moving(cast("InferenceEngine", adapter), self._models))
        return adapter
