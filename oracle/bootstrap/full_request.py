"""How long a full request of a model takes on this machine: made-up rows, run and timed.

As a node runs it: in an inference process, with the node's provider and memory. That process can be
ended, so what hangs or breaks there costs the time that it was given, and nothing else. Leaves to
`offer_advice` what to make of it, and raises nothing for what cannot be measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import numpy as np

from oracle.bootstrap.inference import process_settings
from oracle.bootstrap.offer_advice import (
    Advice,
    FullRequest,
    NotDone,
    NotTimed,
    of_not_done,
    of_not_timed,
    of_places,
    of_run_time,
    of_traces,
    seconds_to_run,
)
from oracle.core.model import Model
from oracle.core.operator import Offer
from oracle.core.schema import ModelSchema
from oracle.core.types import Tier
from oracle.court.message import MAX_RESULT_BYTES
from oracle.errors import OracleError, ProviderUnavailable, RunCrashed, UnusableOutput
from oracle.inference.engine import ModelSource
from oracle.inference.probe_rows import probe_rows
from oracle.inference.supervised import SupervisedEngine
from oracle.ports.inference import Inference, Tensors
from oracle.settings import Settings

EACH_SECONDS: Final = 30.0
"""So long the runs of a model are waited for. Loading it has the time that a node gives it."""

_ENOUGH_SECONDS: Final = 0.1
"""A run as long as this is measured well: what a call costs by itself is lost in it."""

_TRACE_BYTES: Final = 64 << 20
"""Most bytes of the traces of one run that is timed, unless it is a single row."""

_KINDS_OF_ROWS: Final = 5
_NEVER_SECONDS: Final = 86_400.0

Found = FullRequest | NotDone | NotTimed
"""What came of timing a model."""


def full_rows(schema: ModelSchema) -> int:
    """The rows of the largest request: as many as the schema allows and an input has room for."""
    row = sum(spec.row_bytes for spec in schema.inputs if spec.batched)
    if not row:
        return 1
    whole = sum(spec.row_bytes for spec in schema.inputs if not spec.batched)
    return max(1, min(schema.max_batch, (MAX_RESULT_BYTES - whole) // row))


@dataclass(slots=True)
class _Timing:
    """How far the timing of a model has come: the run in progress, and one row's trace."""

    rows: int = 0
    since: float = 0.0
    row_trace_bytes: int = 0


class FullRequests:
    """Times models, each once. Use `full_requests`."""

    def __init__(
        self, settings: Settings, models: ModelSource, each_seconds: float, all_seconds: float
    ) -> None:
        wanted = process_settings(settings)
        # No limit of the process's own: what takes longer than the node allows is to be timed, too.
        engine = replace(
            wanted.engine, timeout_seconds=_NEVER_SECONDS, batching=False, allow_nan=True
        )
        self._wanted = replace(wanted, engine=engine)
        self._models = models
        self._each_seconds = each_seconds
        self._until = time.monotonic() + all_seconds
        self._engine: SupervisedEngine | None = None
        self._found: dict[tuple[bytes, bytes], Found] = {}

    async def of(self, model: Model) -> Found:
        """A full request of a model whose file is here, or why its time is not known."""
        key = (model.terms.program_root, model.schema.schema_hash)
        if key not in self._found:
            self._found[key] = await self._within_time(model)
        return self._found[key]

    async def close(self) -> None:
        """Ends the process."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()

    async def _within_time(self, model: Model) -> Found:
        if time.monotonic() >= self._until:
            return NotTimed("timing the others took too long")
        if self._engine is None:
            self._engine = SupervisedEngine(self._models, self._wanted)
        engine, full = self._engine, full_rows(model.schema)
        try:
            await engine.load(model.terms.program_root, model.schema, model.terms.tier)
            return await self._waited_for(engine, model, full)
        except ProviderUnavailable as error:
            return NotTimed(error.message)
        except OracleError as error:
            ends = isinstance(error, RunCrashed)
            return NotTimed(error.message, broken=True, ends_process=ends)
        except (OSError, MemoryError) as error:
            return NotTimed(str(error) or type(error).__name__, broken=True)

    async def _waited_for(self, engine: SupervisedEngine, model: Model, full: int) -> Found:
        timing = _Timing()
        try:
            async with asyncio.timeout(self._each_seconds):
                return await self._timed(engine, model, full, timing)
        except TimeoutError:
            waited = time.monotonic() - timing.since
            await self.close()  # and with it what hangs there; the next model has a new process
            return NotDone(full, timing.rows, waited)

    async def _timed(
        self, engine: SupervisedEngine, model: Model, full: int, timing: _Timing
    ) -> FullRequest:
        row = await self._warmed_up(engine, model, timing)
        rows = full if model.terms.tier is Tier.UNPROVEN else 1
        while True:
            seconds, _ = await self._run(engine, model, _rows_of(model, row, rows), timing)
            more = min(4 * rows, full)  # rows of a program are run one by one
            if (
                rows == full
                or seconds >= _ENOUGH_SECONDS
                or more * timing.row_trace_bytes > _TRACE_BYTES
            ):
                return FullRequest(full, seconds * full / rows, full * timing.row_trace_bytes)
            rows = more

    async def _warmed_up(self, engine: SupervisedEngine, model: Model, timing: _Timing) -> Tensors:
        """The first of the made-up rows that the model takes, which it has then run once."""
        refused: UnusableOutput | None = None
        for row in islice(probe_rows(model.schema), _KINDS_OF_ROWS):
            try:
                _, ran = await self._run(engine, model, row, timing)
            except UnusableOutput as error:
                refused = error
                continue
            if ran.trace is not None:
                timing.row_trace_bytes = sum(tensor.nbytes for tensor in ran.trace.trace.rows[0])
            return row
        assert refused is not None
        raise refused

    async def _run(
        self, engine: SupervisedEngine, model: Model, inputs: Tensors, timing: _Timing
    ) -> tuple[float, Inference]:
        spec = next((one for one in model.schema.inputs if one.batched), None)
        timing.rows = 1 if spec is None else len(inputs[spec.name])
        timing.since = time.monotonic()
        (outcome,) = await engine.run_each(
            model.terms.program_root, model.schema, [inputs], model.terms.tier
        )
        if not isinstance(outcome, Inference):
            raise outcome
        return time.monotonic() - timing.since, outcome


def _rows_of(model: Model, row: Tensors, count: int) -> Tensors:
    return {
        spec.name: np.repeat(row[spec.name], count, axis=0) if spec.batched else row[spec.name]
        for spec in model.schema.inputs
    }


@asynccontextmanager
async def full_requests(
    settings: Settings,
    models: ModelSource,
    *,
    each_seconds: float = EACH_SECONDS,
    all_seconds: float = _NEVER_SECONDS,
) -> AsyncIterator[FullRequests]:
    """What times models with a node's settings; its process is gone when the context ends.

    Args:
        each_seconds: so long the runs of one model are waited for.
        all_seconds: after so long no other model is begun with.
    """
    timed = FullRequests(settings, models, each_seconds, all_seconds)
    try:
        yield timed
    finally:
        await timed.close()


def advice_on(
    model: Model,
    offer: Offer,
    free: int,
    timed: Found,
    settings: Settings,
    *,
    short_on_purpose: bool = False,
) -> list[Advice]:
    """What a node with these settings will not keep of an offer, by what was measured.

    Args:
        short_on_purpose: whether to be silent about its shortest time.
    """
    if isinstance(timed, NotTimed):
        return [of_not_timed(model, timed, full_rows(model.schema))]
    margin, confirmations = settings.answer_margin_seconds, settings.confirmations
    if isinstance(timed, NotDone):
        left = None if short_on_purpose else seconds_to_run(offer, margin, confirmations)
        return [of_not_done(model, offer, timed, settings.inference_timeout_seconds, left)]
    found = (
        of_run_time(model, timed, settings.inference_timeout_seconds),
        None if short_on_purpose else of_places(model, offer, timed, margin, confirmations),
        of_traces(model, offer, free, timed, settings.trace_budget_bytes),
    )
    return [one for one in found if one is not None]
