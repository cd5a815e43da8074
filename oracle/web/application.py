"""The routes, and what they may cost: sizes and numbers of requests at once are bounded.

    GET /                               these, in words
    GET /healthz
    GET /traces/{root}                  program root, rows, tensors, leaf bytes, bytes
    GET /traces/{root}/data             the tensors one after the other; Range is understood
    GET /traces/{root}/leaves           ?row=&tensor=&first=&count= with their proof
    GET /programs/{root}                the program file
    GET /programs/{root}/manifest       what is known of it, its certificate among it
    GET /receipts/{id}                  the signed receipt of a request, as `oracle verify` reads it
    POST /views                         ERC-3668, where answers are given in views (`web.views`)

Responsible for what is said on the wire. Knows the ports, and nothing of what is behind them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from oracle.court.opening import Opening, trace_place
from oracle.ports.publishing import (
    ProgramSource,
    PublishedTrace,
    ReceiptSource,
    TraceOpener,
    TraceSource,
)
from oracle.ports.views import ViewGateway
from oracle.web import parameters
from oracle.web.gate import Gate
from oracle.web.problems import Problem, explain
from oracle.web.views import ViewPages

_DATA = "application/octet-stream"
_FOREVER = "public, max-age=31536000, immutable"
"""What is named by its hash never changes."""

_INDEX: Final = {
    "/healthz": "whether this server is up",
    "/traces/{trace root}": "what an answer's trace consists of",
    "/traces/{trace root}/data": "its numbers, one tensor after the other",
    "/traces/{trace root}/leaves?row=&tensor=&first=&count=": "some of them, with their proof",
    "/programs/{program root}": "a model's program file",
    "/programs/{program root}/manifest": "what is known of it, its certificate among it",
    "/receipts/{request id}": "the signed receipt of an answer, for `oracle verify`",
}
_INDEX_OF_VIEWS: Final = {"/views": "POST: a signed answer in a view call (ERC-3668)"}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the content comes from."""

    traces: TraceSource
    opener: TraceOpener
    programs: ProgramSource
    receipts: ReceiptSource
    views: ViewGateway | None = None


@dataclass(frozen=True, slots=True)
class WebLimits:
    """What is served at once.

    Attributes:
        piece_bytes: read from the disk at a time, for each download.
        downloads: of trace data at once.
        programs: of program files at once; each is in memory meanwhile.
        openings: leaves with proofs at once.
        receipts: at once; each asks the database, and the chain where it is not remembered.
        views: questions of ERC-3668 at once; they wait for each other and for jobs.
        waiting: others that may wait for their turn; more are asked to come again.
        leaves_bytes: leaves in one response.
        stall_seconds: a reader that takes no byte for so long is cut off.
        proxied: whether a proxy in front names each client in X-Forwarded-For.
    """

    piece_bytes: int = 1 << 18
    downloads: int = 32
    programs: int = 4
    openings: int = 4
    receipts: int = 4
    views: int = 16
    waiting: int = 64
    leaves_bytes: int = 1 << 20
    stall_seconds: float = 30.0
    proxied: bool = False


def application(sources: Sources, limits: WebLimits | None = None) -> web.Application:
    """The routes over these sources."""
    pages = _Pages(sources, limits or WebLimits())
    built = web.Application(middlewares=[explain], client_max_size=1 << 16)
    built.add_routes(
        [
            web.get("/", pages.index),
            web.get("/healthz", pages.health),
            web.get("/traces/{root}", pages.trace),
            web.get("/traces/{root}/data", pages.data),
            web.get("/traces/{root}/leaves", pages.leaves),
            web.get("/programs/{root}", pages.program),
            web.get("/programs/{root}/manifest", pages.manifest),
            web.get("/receipts/{id}", pages.receipt),
        ]
    )
    if sources.views is not None:
        limits = limits or WebLimits()
        gate = Gate(limits.views, limits.waiting)
        built.add_routes(ViewPages(sources.views, gate, limits.proxied).routes())
    return built


class _Pages:
    def __init__(self, sources: Sources, limits: WebLimits) -> None:
        self._sources = sources
        self._limits = limits
        self._downloads = Gate(limits.downloads, limits.waiting)
        self._programs = Gate(limits.programs, limits.waiting)
        self._openings = Gate(limits.openings, limits.waiting)
        self._receipts = Gate(limits.receipts, limits.waiting)

    async def index(self, _request: web.Request) -> web.Response:
        views = {} if self._sources.views is None else _INDEX_OF_VIEWS
        told = "What an operator of an inference oracle owes for its answers, to whoever asks."
        return web.json_response({"serves": told, "paths": _INDEX | views})

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def trace(self, request: web.Request) -> web.Response:
        parameters.numbers(request)
        async with self._openings.entered():
            found = await self._find(request)
            program = await self._sources.programs.program(found.program_root)
        return web.json_response(
            {
                "root": _hex(found.root),
                "programRoot": _hex(found.program_root),
                "rows": found.rows,
                "leafBytes": program.leaf_bytes,
                "rowLeaves": program.row_leaf_count,
                "bytes": found.byte_count,
                "tensors": [
                    {
                        "name": info.name,
                        "element": info.element.value,
                        "elements": info.size,
                        "bytes": info.byte_count,
                        "firstLeaf": first,
                    }
                    for info, first in zip(program.tensors, program.first_leaves, strict=True)
                ],
            }
        )

    async def data(self, request: web.Request) -> web.StreamResponse:
        async with self._downloads.entered():
            found = await self._find(request)
            size = found.byte_count
            wanted = parameters.byte_range(request, size)
            start, stop = wanted or (0, size)
            headers = {
                "Accept-Ranges": "bytes",
                "Content-Length": str(stop - start),
                "Content-Type": _DATA,
                "Cache-Control": _FOREVER,
                "ETag": f'"{found.root.hex()}"',
            }
            if wanted is not None:
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
            response = web.StreamResponse(status=206 if wanted else 200, headers=headers)
            if request.method == "HEAD":
                await response.prepare(request)
                return response
            # The first piece before the head: what cannot be read is refused in words.
            piece = await self._piece(found.root, start, stop)
            await response.prepare(request)
            while piece:
                await self._send(response, piece)
                start += len(piece)
                piece = await self._piece(found.root, start, stop)
            if start < stop:
                raise ConnectionAbortedError("the trace ended early")
            await response.write_eof()
            return response

    async def leaves(self, request: web.Request) -> web.Response:
        row, tensor, first, count = parameters.numbers(request, "row", "tensor", "first", "count")
        async with self._openings.entered():
            found = await self._find(request)
            program = await self._sources.programs.program(found.program_root)
            if not row < found.rows:
                raise Problem(400, f"row: the trace has {found.rows} rows", parameter="row")
            if not tensor < len(program.tensors):
                raise Problem(
                    400,
                    f"tensor: the program has {len(program.tensors)} tensors",
                    parameter="tensor",
                )
            has = trace_place(program, found.rows, row, tensor).leaf_count
            if not first < has:
                raise Problem(400, f"first: the tensor has {has} leaves", parameter="first")
            most = min(has - first, max(1, self._limits.leaves_bytes // program.leaf_bytes))
            if not 0 < count <= most:
                raise Problem(400, f"count is not 1 to {most} here", parameter="count")
            opening = await self._sources.opener.open_leaves(
                found.root, row=row, tensor=tensor, first=first, count=count
            )
        return _immutable(_opening(opening) | {"rows": found.rows, "root": _hex(found.root)})

    async def program(self, request: web.Request) -> web.StreamResponse:
        root = parameters.digest(request, "root")
        async with self._programs.entered():
            body = memoryview(await self._sources.programs.file(root))
            headers = {
                "Content-Length": str(len(body)),
                "Content-Type": _DATA,
                "Cache-Control": _FOREVER,
            }
            response = web.StreamResponse(headers=headers)
            await response.prepare(request)
            if request.method != "HEAD":
                for start in range(0, len(body), self._limits.piece_bytes):
                    await self._send(response, body[start : start + self._limits.piece_bytes])
                await response.write_eof()
            return response

    async def manifest(self, request: web.Request) -> web.Response:
        root = parameters.digest(request, "root")
        async with self._programs.entered():
            found = await self._sources.programs.manifest(root)
        # Not for ever: a model may be certified again.
        return web.json_response(text=found.to_json(), headers={"Cache-Control": "no-cache"})

    async def receipt(self, request: web.Request) -> web.Response:
        request_id = parameters.digest(request, "id")
        async with self._receipts.entered():
            found = await self._sources.receipts.receipt(request_id)
        if found is None:
            raise Problem(404, f"there is no receipt of request {_hex(request_id)} here")
        # Not for ever: a reorg may give the answer another block.
        return web.json_response(text=found.to_json(), headers={"Cache-Control": "no-cache"})

    async def _find(self, request: web.Request) -> PublishedTrace:
        root = parameters.digest(request, "root")
        found = await self._sources.traces.find(root)
        if found is None:
            raise Problem(404, f"trace {_hex(root)} is not kept here, or not any more")
        return found

    async def _piece(self, root: bytes, start: int, stop: int) -> bytes:
        length = min(self._limits.piece_bytes, stop - start)
        return await self._sources.traces.read(root, start, length) if length else b""

    async def _send(self, response: web.StreamResponse, piece: bytes | memoryview) -> None:
        try:
            await asyncio.wait_for(response.write(piece), self._limits.stall_seconds)
        except TimeoutError:
            raise ConnectionAbortedError("the reader stalled") from None


def _opening(opening: Opening) -> dict[str, object]:
    return {
        "row": opening.row,
        "tensor": opening.tensor,
        "first": opening.first,
        "count": opening.count,
        "data": _hex(opening.data),
        "proof": [_hex(digest) for digest in opening.path],
    }


def _immutable(body: dict[str, object]) -> web.Response:
    return web.json_response(body, headers={"Cache-Control": _FOREVER})


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
