"""A node's models: the inference process, started while the rest is opened, and warmed.

Responsible for turning settings into limits of that process, and for having the models that offers
promise loaded before the first request needs them. Knows neither jobs nor answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import psutil
import structlog

from oracle.client.market import OwnOffers
from oracle.errors import OracleError
from oracle.inference.engine import EngineSettings, ModelSource
from oracle.inference.supervised import ProcessSettings, SupervisedEngine
from oracle.ports.contracts import RegistryContract
from oracle.ports.inference import InferenceEngine, ModelFiles
from oracle.settings import Settings

_log = structlog.get_logger("oracle.inference")

_SHARE_OF_MEMORY = 2
_WARMED = 8
_ENDING_SECONDS = 0.5


def process_settings(settings: Settings) -> ProcessSettings:
    """The inference process as settings want it."""
    wanted = settings.inference_memory_mib << 20
    if not wanted and settings.provider != "cuda":
        wanted = psutil.virtual_memory().total // _SHARE_OF_MEMORY
    return ProcessSettings(
        provider=settings.provider,
        memory_bytes=wanted or None,
        load_seconds=settings.model_load_seconds,
        engine=EngineSettings(
            threads=settings.threads,
            timeout_seconds=settings.inference_timeout_seconds,
            loaded_models=_WARMED,
        ),
    )


@asynccontextmanager
async def opened_inference(
    settings: Settings, models: ModelSource
) -> AsyncIterator[SupervisedEngine]:
    """An engine whose process starts in the background; it is gone when the context ends.

    Raises:
        ProviderUnavailable: CUDA is demanded and cannot be had. Only then the start is waited for.
    """
    engine = SupervisedEngine(models, process_settings(settings))
    try:
        if settings.provider == "cuda":
            await engine.start()
        starting = asyncio.create_task(_started(engine))
        try:
            yield engine
        finally:
            await engine.close()
            await starting
    finally:
        await engine.close()


async def _started(engine: SupervisedEngine) -> None:
    try:
        await engine.start()
    except OracleError as error:  # whoever needs it tries again
        if not engine.closed:
            _log.error("inference process", error=error.message)


@asynccontextmanager
async def warming(
    engine: InferenceEngine, offers: OwnOffers, registry: RegistryContract, stored: ModelFiles
) -> AsyncIterator[None]:
    """Loads the models for which there are offers, beside whatever else goes on."""

    async def warm() -> None:
        try:
            for model_id in list(await offers.standing())[:_WARMED]:
                model = await registry.model(model_id)
                terms = model.terms
                if stored.has(terms.program_root, terms.tier):
                    await engine.load(terms.program_root, model.schema, terms.tier)
        except OracleError as error:  # the first request finds out, and says so
            _log.warning("models are not warmed", error=error.message)

    async with _beside(warm()):
        yield


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await asyncio.wait({task}, timeout=_ENDING_SECONDS)  # a call that is cut off is noisy
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
