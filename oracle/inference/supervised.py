"""Inference that cannot take the node down: the engine in a process of its own, watched.

Responsible for starting that process, for ending it where a run exceeds its limit, for starting it
again when it ends, and for saying whose fault that was: the requests of the run in progress, and no
others. Models are loaded anew when they are asked for. It does not know what becomes of a failure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import structlog

from oracle.core.backoff import backoff_seconds
from oracle.core.conversion import Array
from oracle.core.schema import ModelSchema
from oracle.core.types import Tier
from oracle.errors import (
    InferenceError,
    ModelFileError,
    RunCrashed,
    RunCutShort,
    RunTimedOut,
    TensorError,
)
from oracle.inference.child import ChildOptions
from oracle.inference.child_process import ChildEnded, ChildProcess
from oracle.inference.engine import EngineSettings, ModelSource
from oracle.inference.messages import Document, Garbled, Message, decode_outcomes, packed
from oracle.inference.progress import SLOTS
from oracle.inference.provider import ProviderSetting
from oracle.inference.run_group import Outcome

_log = structlog.get_logger("oracle.inference")

_STARTING_SECONDS: Final = 60.0
_GRACE_SECONDS: Final = 5.0
"""How much longer than its limit a run may take before the process is killed; it stops by itself
in that time, unless it cannot."""

_LONGEST_PAUSE_SECONDS: Final = 30.0
_LOADS_ENDED_BY_A_MODEL: Final = 2
_NUMBERS: Final = "biuf"

_Key: TypeAlias = tuple[bytes, bytes, Tier]
"""A model, the interface it is loaded with, and the tier, which says what its name is of."""


@dataclass(frozen=True)
class ProcessSettings:
    """How the inference process is held.

    `memory_bytes` is the most it may take, None for no limit of its own; `load_seconds` bounds the
    loading of a model.
    """

    provider: ProviderSetting = "cpu"
    memory_bytes: int | None = None
    load_seconds: float = 300.0
    engine: EngineSettings = EngineSettings()  # noqa: RUF009 - frozen


class SupervisedEngine:
    """An engine in a process of its own. Use it from one event loop, and close it."""

    def __init__(self, models: ModelSource, settings: ProcessSettings | None = None) -> None:
        self._models = models
        self._settings = settings or ProcessSettings()
        self._child: ChildProcess | None = None
        self._beginning: ChildProcess | None = None
        self._provider: str | None = None
        self._starting = asyncio.Lock()
        self._loading = asyncio.Lock()
        self._slots = asyncio.Semaphore(SLOTS)
        self._free = set(range(SLOTS))
        self._failed_starts = 0
        self._next_start = 0.0
        self._loaded: set[_Key] = set()
        self._ended_loads: dict[_Key, int] = {}
        self.closed = False
        """Whether it was closed: nothing runs any more."""
        self.restarts = 0
        """How often the process was started again."""

    @property
    def process_id(self) -> int | None:
        """Of the process that runs now."""
        child = self._child
        return child.pid if child is not None and child.usable else None

    @property
    def last_progress(self) -> float:
        """When a run was last seen to begin, on the monotonic clock; 0 before the first."""
        child = self._child
        return child.progress.latest() if child is not None and child.usable else 0.0

    async def start(self) -> str:
        """Has the process started, if it was not; the execution provider that it uses.

        Raises:
            ProviderUnavailable: the provider that was demanded cannot be had.
            InferenceError: it does not start.
        """
        await self._running()
        assert self._provider is not None
        return self._provider

    async def load(
        self, program_root: bytes, schema: ModelSchema, tier: Tier = Tier.UNPROVEN
    ) -> None:
        """Makes a model ready; call it early to spare the first request the wait.

        Raises:
            ModelFileError: it cannot be loaded, or loading it ends the process.
            InferenceError: the process does not start, or ended for another reason.
        """
        key = (program_root, schema.schema_hash, tier)
        if self.process_id is None or key not in self._loaded:
            await self._load(await self._running(), program_root, schema, tier)

    async def run_each(
        self,
        program_root: bytes,
        schema: ModelSchema,
        inputs: Sequence[Mapping[str, Array]],
        tier: Tier = Tier.UNPROVEN,
    ) -> list[Outcome]:
        """Each request's own result or error. Where the process ends, `RunTimedOut` or `RunCrashed`
        are of the requests of the run in progress, and `RunCutShort` of the others.

        Raises:
            ModelFileError: the model cannot be loaded.
            InferenceError: the process does not start.
        """
        if not inputs:
            return []
        outcomes: dict[int, Outcome] = {
            index: TensorError(f"input {name!r} is no array of numbers")
            for index, tensors in enumerate(inputs)
            for name, array in tensors.items()
            if array.dtype.kind not in _NUMBERS
        }
        kept = [index for index in range(len(inputs)) if index not in outcomes]
        given = [inputs[index] for index in kept]
        found = await self._run(program_root, schema, given, tier)
        outcomes |= dict(zip(kept, found, strict=True))
        return [outcomes[index] for index in range(len(inputs))]

    async def close(self) -> None:
        """Ends the process, and whatever it does."""
        self.closed = True
        for child in (self._child, self._beginning):
            if child is not None:
                await child.close()

    # ---- the process

    async def _running(self) -> ChildProcess:
        async with self._starting:
            if self._child is not None and self._child.usable:
                return self._child
            if self.closed:
                raise InferenceError("the engine is closed", hint="the node is ending")
            if time.monotonic() < self._next_start:
                raise InferenceError(
                    f"the inference process did not start {self._failed_starts} times in a row",
                    hint="it is tried again shortly; run `python -c 'import onnxruntime'`",
                )
            self._child = await self._started()
            return self._child

    async def _started(self) -> ChildProcess:
        if self._child is not None:
            await self._child.gone()
            self.restarts += 1
            self._loaded.clear()
            _log.warning("inference process", ended=self._child.how_ended, restarts=self.restarts)
        settings = self._settings
        options = ChildOptions(
            connection=-1,
            progress=-1,
            parent=-1,
            provider=settings.provider,
            memory_bytes=settings.memory_bytes,
            engine=settings.engine,
        )
        child: ChildProcess | None = None
        try:
            child = self._beginning = ChildProcess.spawn(options)
            self._provider = await child.greeting(_STARTING_SECONDS)
        except (ChildEnded, InferenceError) as error:
            self._failed_starts += 1
            pause = backoff_seconds(self._failed_starts, _LONGEST_PAUSE_SECONDS, unit_seconds=0.5)
            self._next_start = time.monotonic() + pause
            raise InferenceError(f"the inference process did not start: {error}") from error
        except BaseException:
            if child is not None:
                await child.close()
            raise
        self._failed_starts = 0
        _log.info("inference process", process=child.pid, provider=self._provider)
        return child

    # ---- loading

    async def _load(
        self, child: ChildProcess, root: bytes, schema: ModelSchema, tier: Tier
    ) -> None:
        key = (root, schema.schema_hash, tier)
        if self._ended_loads.get(key, 0) >= _LOADS_ENDED_BY_A_MODEL:
            raise ModelFileError(
                f"loading model {root.hex()} ended the inference process "
                f"{_LOADS_ENDED_BY_A_MODEL} times",
                hint="it is not tried again before the node is started anew",
            )
        async with self._loading:
            model = _model(root, schema, tier)
            read = self._models.read if tier is Tier.UNPROVEN else self._models.read_program
            ran = child.progress.latest()
            try:
                async with asyncio.timeout(self._settings.load_seconds):
                    if (await child.call({"verb": "find"} | model))[0]["found"]:
                        return
                    data = np.frombuffer(await asyncio.to_thread(read, root), np.uint8)
                    ran = child.progress.latest()
                    asked = {"verb": "load", "schema": schema.to_json()} | model
                    await child.call(asked, [[data]])
                self._loaded.add(key)
            except TimeoutError:
                limit = f"loading took longer than {self._settings.load_seconds:g} s"
                child.kill(limit)
                self._blame_load(key)
                raise ModelFileError(f"model {root.hex()}: {limit}") from None
            except ChildEnded as error:
                if self.closed or child.progress.latest() != ran:
                    raise RunCutShort(f"the inference process ended: {error}") from None
                self._blame_load(key)
                raise ModelFileError(
                    f"the inference process ended while it loaded model {root.hex()}: {error}"
                ) from None

    def _blame_load(self, key: _Key) -> None:
        self._ended_loads[key] = self._ended_loads.get(key, 0) + 1

    # ---- running

    async def _run(
        self,
        root: bytes,
        schema: ModelSchema,
        inputs: Sequence[Mapping[str, Array]],
        tier: Tier,
    ) -> list[Outcome]:
        described, pieces = [], []
        for tensors in inputs:
            kinds, parts = packed(tensors.values())
            described.append((list(tensors), kinds))
            pieces.append(parts)
        document: Document = {"verb": "run", "inputs": described, **_model(root, schema, tier)}
        tried_again = False
        async with self._slots:
            while True:
                child = await self._running()
                with self._slot(child) as slot:
                    try:
                        limit = self._settings.engine.timeout_seconds + _GRACE_SECONDS
                        asked = document | {"slot": slot}
                        reply, arrays = await self._asked(child, asked, pieces, limit)
                        if "absent" not in reply:
                            return decode_outcomes(reply, arrays)
                    except ChildEnded as ended:
                        if self.closed:
                            raise InferenceError("the engine was closed") from None
                        running = child.progress.running(slot)
                        if running or tried_again:
                            return _blamed(running, len(inputs), str(ended))
                        tried_again = True  # nothing had begun: it ended before, or for others
                        continue
                    except Garbled as error:
                        child.kill(f"it sent what cannot be read: {error}")
                        return _blamed(child.progress.running(slot), len(inputs), str(error))
                await self._load(child, root, schema, tier)

    @contextmanager
    def _slot(self, child: ChildProcess) -> Iterator[int]:
        slot = self._free.pop()
        child.progress.clear(slot)
        try:
            yield slot
        finally:
            self._free.add(slot)

    async def _asked(
        self,
        child: ChildProcess,
        document: Document,
        pieces: Sequence[Sequence[Array]],
        limit: float | None,
    ) -> Message:
        """The reply; where no run has begun for longer than a run may take, the process's end."""
        asking = asyncio.ensure_future(child.call(document, pieces))
        try:
            asked_at = time.monotonic()
            while limit is not None and not asking.done():
                left = max(asked_at, child.progress.latest()) + limit - time.monotonic()
                if left <= 0:
                    child.kill(_OVERDUE)
                    break
                await asyncio.wait({asking}, timeout=left)
            return await asking
        finally:
            asking.cancel()


_OVERDUE: Final = "the run took longer than its limit and did not stop when told to"


def _model(root: bytes, schema: ModelSchema, tier: Tier) -> Document:
    return {"root": root.hex(), "schema_hash": schema.schema_hash.hex(), "tier": int(tier)}


def _blamed(running: range, count: int, how: str) -> list[Outcome]:
    kind = RunTimedOut if how == _OVERDUE else RunCrashed
    own = how if how == _OVERDUE else f"the inference process ended in this run: {how}"
    others = f"the inference process ended for another request's sake: {how}"
    return [kind(own) if index in running else RunCutShort(others) for index in range(count)]
