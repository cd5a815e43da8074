"""What a node keeps and shows: the trace store and the server over it, opened and closed as one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from oracle.inference.model_library import ModelLibrary
from oracle.inference.published_programs import PublishedPrograms
from oracle.ports.clock import Clock
from oracle.ports.publishing import ProgramSource, ReceiptSource
from oracle.ports.views import ViewGateway
from oracle.settings import Settings
from oracle.storage.trace_prover import TraceProver
from oracle.storage.trace_store import FileTraceStore, open_trace_store
from oracle.web import Server, Sources, WebLimits, application


@dataclass(frozen=True, slots=True)
class Serving:
    """An open trace store, its proofs, the programs here, and where all are served."""

    traces: FileTraceStore
    prover: TraceProver
    programs: ProgramSource
    address: str | None


@asynccontextmanager
async def open_serving(
    settings: Settings,
    library: ModelLibrary,
    clock: Clock,
    receipts: ReceiptSource,
    views: ViewGateway | None = None,
) -> AsyncIterator[Serving]:
    """The traces of this data directory, the programs here and the receipts, served.

    Args:
        views: where answers are given in views, if they are.

    Raises:
        StorageError: another process has them, or they cannot be read.
        ConfigurationError: the address cannot be had.
    """
    traces = open_trace_store(
        settings.trace_store, budget_bytes=settings.trace_budget_bytes, clock=clock
    )
    try:
        programs = PublishedPrograms(library)
        prover = TraceProver(traces, programs)
        sources = Sources(traces, prover, programs, receipts, views)
        limits = WebLimits(proxied=settings.views_proxied)
        pages = application(sources, limits)
        server = Server(pages, host=settings.serve_host, port=settings.serve_port)
        async with server:
            yield Serving(traces, prover, programs, server.address)
    finally:
        await traces.close()
