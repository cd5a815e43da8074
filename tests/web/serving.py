"""A served trace store for tests: one program, a few traces, on a free port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oracle.core.schema import ElementType
from oracle.court.commitment import commit
from oracle.errors import NotFound
from oracle.ports import CommittedTrace, TraceToKeep
from oracle.program.encoding import program_root
from oracle.program.instruction import Program
from oracle.storage.trace_prover import TraceProver
from oracle.storage.trace_store import FileTraceStore, open_trace_store
from oracle.web import Server, Sources, WebLimits, application
from tests.support.small_programs import small_program, small_trace

PROGRAM = small_program(
    [(ElementType.FLOAT32, 1000), (ElementType.BOOL, 7), (ElementType.INT64, 9)], leaf_bytes=64
)
ROOT = program_root(PROGRAM)
FILE = bytes(range(256)) * 3_000
REQUEST = b"\x07" * 32
ROWS = 3
TRACE = small_trace(PROGRAM, ROWS)
COMMITMENT = commit(PROGRAM, ROOT, TRACE)
DATA = b"".join(values.tobytes() for row in TRACE.rows for values in row)


class StoppedClock:
    def now(self) -> float:
        return 1000.0


class Programs:
    async def program(self, root: bytes) -> Program:
        if root != ROOT:
            raise NotFound("no such program here")
        return PROGRAM

    async def file(self, root: bytes) -> bytes:
        await self.program(root)
        return FILE


class Receipts:
    async def receipt(self, request_id: bytes) -> Mapping[str, Any] | None:
        return {"signer": "0xabc"} if request_id == REQUEST else None


@dataclass
class Served:
    url: str
    store: FileTraceStore


@asynccontextmanager
async def served(folder: Path, limits: WebLimits | None = None) -> AsyncIterator[Served]:
    """A server over a store that holds TRACE."""
    store = open_trace_store(folder / "traces", budget_bytes=1 << 30, clock=StoppedClock())
    try:
        committed = CommittedTrace(COMMITMENT.trace_root, ROOT, TRACE)
        await store.save([TraceToKeep(REQUEST, committed)])
        programs = Programs()
        sources = Sources(store, TraceProver(store, programs), programs, Receipts())
        async with Server(application(sources, limits), host="127.0.0.1", port=0) as server:
            assert server.address is not None
            yield Served(server.address, store)
    finally:
        await store.close()
