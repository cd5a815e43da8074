"""Operators that cheat in other ways than by cheaper weights: a lie in the middle, a moved element.

Each is an instrument for `open_node`: it stands between the services and an adapter. Cheaper
weights are `scripts.dishonest_operator`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar, cast

import numpy as np

from oracle.core.schema import ModelSchema
from oracle.core.types import Tier
from oracle.court.commitment import commit
from oracle.court.screen import values as honest_values
from oracle.court.screen_matrix import Memory
from oracle.court.screen_nest import bind
from oracle.errors import OracleError
from oracle.inference.model_library import ModelLibrary
from oracle.ports.inference import CommittedTrace, Inference, InferenceEngine, Tensors
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


class _Lying(_Altering):
    def __init__(self, engine: InferenceEngine, models: ModelLibrary, instruction: int) -> None:
        super().__init__(engine)
        self._models = models
        self._instruction = instruction

    def altered(self, run: Inference) -> Inference:
        assert run.trace is not None
        root = run.trace.program_root
        program = load_program(self._models.read_program(root))
        row = list(run.trace.trace.rows[0])
        for number, step in enumerate(program.instructions):
            if number > self._instruction:
                found = honest_values(bind(program, step, 1, row), Memory())
                row[step.output] = np.ascontiguousarray(found).reshape(-1)
            elif number == self._instruction:
                row[step.output] = row[step.output].copy()
                row[step.output][: step.size // 2] *= -1
        forged = Trace((tuple(row),))
        outputs = {
            name: program.tensors[number].unflatten(row[number]).reshape(values.shape)
            for number, (name, values) in zip(program.outputs, run.outputs.items(), strict=True)
        }
        commitment = commit(program, root, forged)
        committed = CommittedTrace(commitment.trace_root, root, forged)
        return replace(run, outputs=outputs, trace=committed)


class Lying:
    """Half of one step's elements are turned round, and all that follows is computed on from it: of
    one row, with a trace that explains every number but those."""

    def __init__(self, models: ModelLibrary, instruction: int) -> None:
        self._models = models
        self._instruction = instruction

    def __call__(self, name: str, adapter: Adapter, /) -> Adapter:
        if name != "engine":
            return adapter
        engine = cast("InferenceEngine", adapter)
        return cast("Adapter", _Lying(engine, self._models, self._instruction))


class Moving:
    """The right result, and a trace with one element moved, committed to and served as it is."""

    def __init__(self, models: ModelLibrary) -> None:
        self._models = models

    def __call__(self, name: str, adapter: Adapter, /) -> Adapter:
        if name == "engine":
            return cast("Adapter", _Moving(cast("InferenceEngine", adapter), self._models))
        return adapter
