"""Inference in this process: many requests in, one checked result each, off the event loop.

Responsible for keeping models loaded, for stacking requests where that changes no bit, and for
giving up in time. A Python thread cannot be killed: a run that exceeds its limit is told to stop
and does so before its next operator, but one operator that never returns keeps its thread. A node
therefore has its engine in a process that can be (`supervised`). It does not know what a request
costs, who sent it, or what happens to the answer.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from oracle.core.conversion import Array
from oracle.core.schema import ModelSchema
from oracle.core.types import Tier
from oracle.inference.loaded_model import LoadedModel, load_model
from oracle.inference.program_session import LoadedProgram, open_program
from oracle.inference.provider import CPU, Provider
from oracle.inference.run_group import Begins, Outcome, RunGroup
from oracle.inference.session import SessionSettings
from oracle.ports.inference import Inference


class ModelSource(Protocol):
    """Where models come from: `ModelLibrary`, or anything that checks what it reads."""

    def read(self, sha256: bytes) -> bytes:
        """The ONNX file with this SHA-256. Raises `ModelFileError`."""
        ...

    def read_program(self, root: bytes) -> bytes:
        """The program file with this root. Raises `ModelFileError`."""
        ...


Loaded: TypeAlias = LoadedModel | LoadedProgram


class _Key(NamedTuple):
    """What a loaded model is found by."""

    root: bytes
    schema_hash: bytes
    plain: bool


@dataclass(frozen=True)
class EngineSettings:
    """How the engine runs.

    `threads` requests run side by side. `timeout_seconds` bounds each single run of a model, not
    its wait for a thread and not its loading. `loaded_models` are kept, least recently used first
    out. `batching` allows stacked runs where they are proven harmless; off, every request runs
    alone. `allow_nan` lets NaN outputs of plain models through; those of programs always pass.
    """

    threads: int = 1
    timeout_seconds: float = 30.0
    loaded_models: int = 8
    batching: bool = True
    allow_nan: bool = False
    session: SessionSettings = SessionSettings()  # noqa: RUF009 - frozen


class LocalEngine:
    """Runs models of a store on one provider. Use it from one event loop, and close it."""

    def __init__(
        self,
        models: ModelSource,
        *,
        provider: Provider = CPU,
        settings: EngineSettings | None = None,
    ) -> None:
        self._models = models
        self._provider = provider
        self._settings = settings or EngineSettings()
        self._pool = ThreadPoolExecutor(self._settings.threads, thread_name_prefix="inference")
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="model-loader")
        self._free = asyncio.Semaphore(self._settings.threads)
        self._stuck: set[asyncio.Future[None]] = set()
        self._loaded: OrderedDict[_Key, Loaded] = OrderedDict()
        self._lock = threading.Lock()

    async def run(
        self,
        program_root: bytes,
        schema: ModelSchema,
        inputs: Sequence[Mapping[str, Array]],
        tier: Tier = Tier.UNPROVEN,
    ) -> list[Inference]:
        """Run each input; all succeed, or the first failure is raised.

        Raises `ModelFileError` where the model cannot be loaded or has another interface,
        `TensorError` for an input its schema forbids, `UnusableOutput` where the model rejects the
        input or gives an output its schema forbids (or NaN, of a plain model), and `InferenceError`
        where the run fails in another way or takes too long.
        """
        outcomes = await self.run_each(program_root, schema, inputs, tier)
        results: list[Inference] = []
        for outcome in outcomes:
            if not isinstance(outcome, Inference):
                raise outcome
            results.append(outcome)
        return results

    async def run_each(
        self,
        program_root: bytes,
        schema: ModelSchema,
        inputs: Sequence[Mapping[str, Array]],
        tier: Tier = Tier.UNPROVEN,
    ) -> list[Outcome]:
        """As `run`, with each request's own result or error, so that none spoils its neighbours'.

        Results are those of running each request alone, to the bit, whether stacked or not. Only
        `ModelFileError` is raised.
        """
        if not inputs:
            return []
        return await self.run_loaded(await self.load(program_root, schema, tier), inputs)

    async def run_loaded(
        self,
        loaded: Loaded,
        inputs: Sequence[Mapping[str, Array]],
        *,
        begins: Begins | None = None,
    ) -> list[Outcome]:
        """As `run_each`, of a model that `load` or `find` gave; `begins` is told of each run."""
        group = RunGroup(loaded, inputs, allow_nan=self._settings.allow_nan, begins=begins)
        await self._finish(group)
        return group.outcomes

    def find(self, program_root: bytes, schema_hash: bytes, tier: Tier) -> Loaded | None:
        """The model, if it is loaded."""
        return self._cached(_Key(program_root, schema_hash, tier is Tier.UNPROVEN))

    @property
    def stuck(self) -> bool:
        """Whether a run that was told to stop goes on."""
        return bool(self._stuck)

    async def load(
        self, program_root: bytes, schema: ModelSchema, tier: Tier = Tier.UNPROVEN
    ) -> Loaded:
        """The model, loaded now if it was not; call it early to spare the first request the wait.

        Raises `ModelFileError`.
        """
        # By interface, too: anybody may register this file with another one.
        key = _Key(program_root, schema.schema_hash, tier is Tier.UNPROVEN)
        loaded = self._cached(key)
        if loaded is None:
            loop = asyncio.get_running_loop()
            task = functools.partial(self._load, key, schema)
            loaded = await loop.run_in_executor(self._loader, task)
        return loaded

    def close(self) -> None:
        """Let running work finish in the background and free the models."""
        self._loader.shutdown(wait=False, cancel_futures=True)
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._loaded.clear()

    async def _finish(self, group: RunGroup) -> None:
        """Run a group on a pool thread, watching that no single run exceeds its limit."""
        if not await self._acquire_thread():
            group.stop("every inference thread is held by a run that did not stop when told to")
            return
        group.run_started = time.monotonic()
        try:
            future = asyncio.get_running_loop().run_in_executor(self._pool, group.work)
        except BaseException:
            self._free.release()
            raise
        future.add_done_callback(self._thread_is_free)
        try:
            while not future.done():
                left = group.run_started + self._settings.timeout_seconds - time.monotonic()
                if left <= 0:
                    reason = f"the run took longer than {self._settings.timeout_seconds} s"
                    group.stop(reason, overdue=True)
                    self._stuck.add(future)
                    return
                await asyncio.wait({future}, timeout=left)
        except asyncio.CancelledError:
            group.stop("the run was cancelled")
            if not future.done():
                self._stuck.add(future)
            raise
        future.result()

    async def _acquire_thread(self) -> bool:
        """Wait for a free thread; False where all of them hang in runs that were told to stop."""
        while True:
            try:
                async with asyncio.timeout(self._settings.timeout_seconds):
                    return await self._free.acquire()
            except TimeoutError:
                if len(self._stuck) >= self._settings.threads:
                    return False

    def _thread_is_free(self, future: asyncio.Future[None]) -> None:
        self._stuck.discard(future)
        self._free.release()
        if not future.cancelled():
            future.exception()  # a stopped group has no reader left; do not warn about it

    def _cached(self, key: _Key) -> Loaded | None:
        with self._lock:
            loaded = self._loaded.get(key)
            if loaded is not None:
                self._loaded.move_to_end(key)
            return loaded

    def _load(self, key: _Key, schema: ModelSchema) -> Loaded:
        """Load on the one loader thread, so that a model asked for twice is loaded once."""
        cached = self._cached(key)
        if cached is not None:
            return cached
        loaded = self._load_file(key, schema) if key.plain else self._open_program(key, schema)
        with self._lock:
            self._loaded[key] = loaded
            while len(self._loaded) > self._settings.loaded_models:
                self._loaded.popitem(last=False)
        return loaded

    def _load_file(self, key: _Key, schema: ModelSchema) -> LoadedModel:
        return load_model(
            f"model {key.root.hex()}",
            self._models.read(key.root),
            schema,
            provider=self._provider,
            settings=self._settings.session,
            batching=self._settings.batching,
        )

    def _open_program(self, key: _Key, schema: ModelSchema) -> LoadedProgram:
        return open_program(
            f"program {key.root.hex()}",
            self._models.read_program(key.root),
            key.root,
            schema,
            provider=self._provider,
            settings=self._settings.session,
        )
