"""A served trace store for tests: one program, a few traces, on a free port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from oracle.core.model import ModelTerms
from oracle.core.receipt import Answer
from oracle.core.request import Request, data_hash
from oracle.core.saved_receipt import Contracts, Posted, RegisteredModel, SavedReceipt
from oracle.core.schema import ElementType
from oracle.core.types import Address, Tier
from oracle.court.commitment import commit
from oracle.errors import NotFound
from oracle.ports.inference import CommittedTrace
from oracle.ports.traces import TraceToKeep
from oracle.program.encoding import program_root
from oracle.program.instruction import Program
from oracle.program.manifest import ProgramManifest, ProgramSizes
from oracle.storage.trace_prover import TraceProver
from oracle.storage.trace_store import FileTraceStore, open_trace_store
from oracle.web import Server, Sources, WebLimits, application
from tests.support.scene import SCHEMA
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


_NOBODY = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
_TERMS = ModelTerms(ROOT, bytes(32), SCHEMA.schema_hash, Tier.ROUNDED, 60, 0, 1, epsilon=7)
_ASKED = Request(
    _NOBODY, 0, _NOBODY, bytes(32), data_hash(b"in"), _NOBODY, 1, 20, 0, 2_000_000_000, 60, 0, False
)
RECEIPT = SavedReceipt(
    contracts=Contracts(31337, _NOBODY, _NOBODY, _NOBODY, _NOBODY, None),
    request_id=REQUEST,
    request=_ASKED,
    input=b"in",
    answer=Answer.of(REQUEST, _ASKED, _NOBODY, b"out", COMMITMENT.trace_root),
    result=b"out",
    signer=_NOBODY,
    signature=b"\x55" * 65,
    batch=(),
    posted=Posted(5, bytes(32), bytes(32), 1_700_000_060),
    model=RegisteredModel(bytes(32), _NOBODY, _TERMS, "small", SCHEMA, ""),
)
MANIFEST = ProgramManifest(
    "small.onnx", bytes(32), ROOT, Tier.ROUNDED, bytes(32), 1, SCHEMA,
    ProgramSizes(1, 0, len(DATA) // ROWS, 64, 0), None, {"epsilon": 7e-18},
)  # fmt: skip


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

    async def manifest(self, root: bytes) -> ProgramManifest:
        await self.program(root)
        return MANIFEST


class Receipts:
    async def receipt(self, request_id: bytes) -> SavedReceipt | None:
        return RECEIPT if request_id == REQUEST else None


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
