"""Puts a verification together: chain, files, the operator's endpoint, this machine, the court.

Responsible for what is used where something cannot be had. Checks nothing itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from oracle.bootstrap import connection
from oracle.client import OracleClient
from oracle.client.trace_reader import ReadLimits, TraceReader
from oracle.core.endpoint import checked_endpoint
from oracle.core.saved_receipt import RegisteredModel, SavedReceipt
from oracle.core.schema import ModelSchema
from oracle.core.types import Tier
from oracle.court.check import check_trace
from oracle.errors import ChainRefused, ChainUnreachable, ConfigurationError, ModelFileError
from oracle.inference.engine import EngineSettings, LocalEngine
from oracle.inference.model_library import ModelLibrary
from oracle.inference.provider import select_provider
from oracle.ports.inference import Inference, Tensors
from oracle.settings import Settings
from oracle.verify import evidence as evidences
from oracle.verify.evidence import Evidence
from oracle.verify.facts import ChainFacts, NotReached, read_facts
from oracle.verify.places import (
    FETCH_SECONDS,
    EndpointPrograms,
    EndpointTraces,
    Folder,
    NamedFile,
    TraceFile,
    Uri,
    read_file,
)
from oracle.verify.report import Report
from oracle.verify.sources import FileSource, Runner, Sources, TraceSource
from oracle.verify.verify import Told, verify

OFFLINE = "no chain was to be asked"


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller gives, or forbids.

    Attributes:
        model: the file that is the model; else it is looked for.
        source: the ONNX file that the program was compiled from.
        trace: a file that is the trace; else the operator is asked.
        endpoint: where the operator is found; else where it announced.
        offline: ask no chain. A saved receipt is needed then.
        run: whether to run the model here.
        limits: what an operator's endpoint may cost, and where it may be.
    """

    model: Path | None = None
    source: Path | None = None
    trace: Path | None = None
    endpoint: str | None = None
    offline: bool = False
    run: bool = True
    limits: ReadLimits = field(default_factory=ReadLimits)


async def verify_answer(
    settings: Settings,
    target: bytes | SavedReceipt,
    options: Options,
    told: Told | None = None,
) -> Report:
    """Verifies the answer to a request by its id, or a saved receipt.

    Args:
        told: is told of each step as soon as it is over.

    Raises:
        NotFound: the oracle has never seen this id.
        ChainUnreachable, ConfigurationError: an id is given, and there is no chain to ask.
        InputError: a file or an endpoint among the options is none.
    """
    if isinstance(target, SavedReceipt):
        evidence = evidences.of_receipt(target)
        facts = await _facts_if_reached(settings, evidence, options)
    else:
        if options.offline:
            raise ConfigurationError(
                "a request's id is nothing without a chain", hint="give a saved receipt"
            )
        async with connection.client(settings) as client:
            evidence = await evidences.of_chain(client, target)
            facts = await _facts(client, evidence)
    async with _sources(settings, evidence, facts, options) as sources:
        return await verify(evidence, facts, sources, *([told] if told else []))


async def save_receipt(
    settings: Settings, request_id: bytes, *, endpoint: str | None = None
) -> SavedReceipt:
    """The receipt of an answer, from the chain or as an operator's endpoint gives it, unchecked.

    Raises as `evidence.save`; of an endpoint, TraceUnavailable or InputError.
    """
    if endpoint is not None:
        async with TraceReader(endpoint) as reader:
            return await reader.receipt(request_id)
    async with connection.client(settings) as client:
        return await evidences.save(client, request_id)


async def _facts_if_reached(
    settings: Settings, evidence: Evidence, options: Options
) -> ChainFacts | NotReached:
    if options.offline:
        return NotReached(OFFLINE)
    try:
        async with connection.client(settings) as client:
            return await _facts(client, evidence)
    except (ConfigurationError, ChainUnreachable, ChainRefused) as error:
        return NotReached(f"the chain is not to be had ({error.message})")


async def _facts(client: OracleClient, evidence: Evidence) -> ChainFacts | NotReached:
    answered = evidence.answered
    return await read_facts(
        client,
        evidence.contracts,
        evidence.request_id,
        evidence.request.model_id,
        answered.answer.operator if answered else None,
        answered.posted.block_number if answered else None,
    )


@asynccontextmanager
async def _sources(
    settings: Settings, evidence: Evidence, facts: ChainFacts | NotReached, options: Options
) -> AsyncIterator[Sources]:
    endpoint = _endpoint(facts, options)
    runner = LocalRunner(settings) if options.run else None
    try:
        yield Sources(
            files=_files(settings, evidence, endpoint, options),
            traces=_traces(endpoint, options),
            runner=runner,
            judge=check_trace,
            source=read_file(options.source) if options.source else None,
        )
    finally:
        if runner is not None:
            runner.close()


def _endpoint(facts: ChainFacts | NotReached, options: Options) -> str | None:
    if options.endpoint is not None:
        return checked_endpoint(options.endpoint)
    if isinstance(facts, NotReached) or facts.operator is None:
        return None
    return facts.operator.endpoint


def _files(
    settings: Settings, evidence: Evidence, endpoint: str | None, options: Options
) -> Sequence[FileSource]:
    if options.model is not None:
        return (NamedFile(options.model),)
    library = ModelLibrary(settings.model_store)

    def look(root: bytes, tier: Tier) -> bytes | None:
        return library.read_model(root, tier) if library.has(root, tier) else None

    places: list[FileSource] = [Folder(look)]
    if isinstance(evidence.model, RegisteredModel) and evidence.model.uri:
        places.append(Uri(evidence.model.uri, public_only=options.limits.public_only))
    if endpoint is not None:
        limits = replace(options.limits, piece_seconds=FETCH_SECONDS)
        places.append(EndpointPrograms(endpoint, limits))
    return places


def _traces(endpoint: str | None, options: Options) -> Sequence[TraceSource]:
    if options.trace is not None:
        return (TraceFile(options.trace),)
    return () if endpoint is None else (EndpointTraces(endpoint, options.limits),)


class _OneFile:
    """A model source of one file, whose root has been checked."""

    def __init__(self, file: bytes) -> None:
        self._file = file

    def read(self, sha256: bytes) -> bytes:
        return self._file

    def read_program(self, root: bytes) -> bytes:
        return self._file


class LocalRunner:
    """Runs models with this installation's onnxruntime, under its settings and time limit."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: LocalEngine | None = None

    async def run(
        self, file: bytes, root: bytes, schema: ModelSchema, tier: Tier, inputs: Tensors
    ) -> Inference:
        """One run. Raises ModelFileError, TensorError, UnusableOutput or InferenceError."""
        if self._engine is not None:
            raise ModelFileError("this machine runs one model at a time")
        self._engine = LocalEngine(
            _OneFile(file),
            provider=select_provider(self._settings.provider),
            settings=EngineSettings(
                batching=False, timeout_seconds=self._settings.inference_timeout_seconds
            ),
        )
        (found,) = await self._engine.run(root, schema, [inputs], tier)
        return found

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None


_: type[Runner] = LocalRunner
