"""The reader against an honest server, and against every kind of liar."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web

from oracle.client.trace_reader import ReadLimits, TraceReader
from oracle.errors import InputError, TraceError, TraceMismatch, TraceUnavailable
from oracle.web import Server
from tests.web.serving import (
    COMMITMENT,
    DATA,
    FILE,
    PROGRAM,
    RECEIPT,
    REQUEST,
    ROOT,
    ROWS,
    TRACE,
    Served,
    served,
)

TRACE_ROOT = COMMITMENT.trace_root
QUICK = ReadLimits(piece_bytes=1000, piece_seconds=0.5, attempts=3, pause_seconds=0.01)
PATIENT = replace(QUICK, piece_seconds=60)
"""For those that do serve, however busy this machine is."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as running:
        yield running


@asynccontextmanager
async def liar(handler: Handler, limits: ReadLimits = PATIENT) -> AsyncIterator[TraceReader]:
    application = web.Application()
    application.router.add_get("/{path:.*}", handler)
    async with Server(application, host="127.0.0.1", port=0) as server:
        assert server.address is not None
        async with TraceReader(server.address, limits) as reader:
            yield reader


async def read_trace(reader: TraceReader) -> None:
    await reader.trace(PROGRAM, ROOT, TRACE_ROOT, ROWS)


async def test_a_trace_is_read_and_checked(server: Served, tmp_path: Path) -> None:
    async with TraceReader(server.url + "/", PATIENT) as reader:
        trace = await reader.trace(PROGRAM, ROOT, TRACE_ROOT, ROWS)
        for found, row in zip(trace.rows, TRACE.rows, strict=True):
            for values, expected in zip(found, row, strict=True):
                assert np.array_equal(values.view(np.uint8), expected.view(np.uint8))
        file = tmp_path / "trace"
        await reader.save(TRACE_ROOT, len(DATA), file)
        assert file.read_bytes() == DATA
        assert (await reader.describe(TRACE_ROOT))["rows"] == ROWS
        assert await reader.program_file(ROOT) == FILE
        assert await reader.receipt(REQUEST) == RECEIPT
        opening = await reader.leaves(
            PROGRAM, ROOT, TRACE_ROOT, ROWS, row=1, tensor=0, first=3, count=2
        )
        assert opening.data == TRACE.rows[1][0].tobytes()[192:320]


@pytest.mark.parametrize("body", [b"{}", b"\xff", b"[]", RECEIPT.to_json().encode()])
async def test_what_is_no_receipt_of_the_request_is_a_mismatch(body: bytes) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body)

    async with liar(handler) as reader:
        with pytest.raises(TraceMismatch, match="receipt"):
            await reader.receipt(bytes(32))


async def test_another_size_or_root_is_a_mismatch(server: Served, tmp_path: Path) -> None:
    async with TraceReader(server.url, PATIENT) as reader:
        with pytest.raises(TraceMismatch, match="serves 'bytes 0-999/12237' of a trace"):
            await reader.data(TRACE_ROOT, len(DATA) + 1)
        with pytest.raises(TraceMismatch):
            await reader.save(TRACE_ROOT, len(DATA) - 1, tmp_path / "trace")
        assert [path.name for path in tmp_path.iterdir()] == ["traces"]  # noqa: ASYNC240
        with pytest.raises(TraceMismatch):
            await reader.trace(PROGRAM, ROOT, TRACE_ROOT, ROWS - 1)
        with pytest.raises(TraceMismatch, match="serves a trace with root"):
            await reader.trace(PROGRAM, bytes(32), TRACE_ROOT, ROWS)
        with pytest.raises(TraceMismatch, match="does not prove its leaves"):
            await reader.leaves(
                PROGRAM, bytes(32), TRACE_ROOT, ROWS, row=1, tensor=0, first=3, count=2
            )
        with pytest.raises(TraceUnavailable, match=r"status 404: .*not kept here"):
            await reader.trace(PROGRAM, ROOT, bytes(32), ROWS)
        with pytest.raises(TraceUnavailable, match=r"status 400: .*row: the trace has 3 rows"):
            await reader.leaves(PROGRAM, ROOT, TRACE_ROOT, ROWS, row=3, tensor=0, first=0, count=1)
        with pytest.raises(TraceMismatch, match="100 at most"):
            await reader.program_file(ROOT, max_bytes=100)


async def test_an_endpoint_that_is_down_is_unavailable() -> None:
    async with TraceReader("http://127.0.0.1:9", PATIENT) as reader:
        with pytest.raises(TraceUnavailable, match="does not serve /traces/") as caught:
            await read_trace(reader)
        assert caught.value.hint is not None


@pytest.mark.parametrize("endpoint", ["ftp://host", "http://me:secret@host", "file:///etc", "x"])
async def test_only_web_addresses_are_read(endpoint: str) -> None:
    with pytest.raises(InputError):
        TraceReader(endpoint)


async def test_the_limit_on_a_trace_holds_before_a_byte_is_read() -> None:
    async with TraceReader("http://127.0.0.1:9", ReadLimits(trace_bytes=100)) as reader:
        with pytest.raises(TraceError, match="a trace of 12237 bytes is larger than 100"):
            await read_trace(reader)


async def test_a_server_that_stumbles_is_asked_again() -> None:
    asked: list[str] = []

    async def stumble(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers["Range"])
        first, last = map(int, request.headers["Range"][6:].split("-"))
        if len(asked) % 3 == 1:
            return web.Response(status=503)
        if len(asked) % 3 == 2:
            assert request.transport is not None
            request.transport.close()
        headers = {"Content-Range": f"bytes {first}-{last}/{len(DATA)}"}
        return web.Response(status=206, body=DATA[first : last + 1], headers=headers)

    async with liar(stumble) as reader:
        await read_trace(reader)
    assert len(asked) == 3 * len(set(asked)) == 3 * 13


def stated(request: web.Request) -> dict[str, str]:
    return {"Content-Range": f"bytes {request.headers['Range'][6:]}/{len(DATA)}"}


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=206, headers=stated(request))
    await response.prepare(request)
    while True:
        await response.write(bytes(1 << 20))


async def dripping(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=206, headers=stated(request))
    await response.prepare(request)
    while True:
        await response.write(b"x")
        await asyncio.sleep(0.2)


async def silent(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(5)
    return web.Response()


async def failing(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=500, text="x" * 10_000)


async def announcing(request: web.Request) -> web.StreamResponse:
    headers = stated(request) | {"Content-Length": str(1 << 40)}
    response = web.StreamResponse(status=206, headers=headers)
    await response.prepare(request)
    return response


async def short(request: web.Request) -> web.StreamResponse:
    return web.Response(status=206, body=b"x", headers=stated(request))


async def whole(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=DATA)


async def compressed(request: web.Request) -> web.StreamResponse:
    body = gzip.compress(bytes(1 << 20))[:1000]
    return web.Response(
        status=206, body=body, headers=stated(request) | {"Content-Encoding": "gzip"}
    )


async def redirecting(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("http://127.0.0.1:1/secret")


async def wrong(request: web.Request) -> web.StreamResponse:
    first, last = map(int, request.headers["Range"][6:].split("-"))
    return web.Response(status=206, body=bytes(last + 1 - first), headers=stated(request))


async def refusing(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=404, text="\x1b[31mgone\n" * 100_000)


@pytest.mark.parametrize(
    ("handler", "kind", "message"),
    [
        (endless, TraceMismatch, "sends more than 1000 bytes"),
        (dripping, TraceUnavailable, "too slow"),
        (silent, TraceUnavailable, "too slow"),
        (failing, TraceUnavailable, "status 500"),
        (announcing, TraceMismatch, "1000 at most"),
        (short, TraceMismatch, "sent 1 bytes of 1000"),
        (whole, TraceMismatch, "status 200"),
        (compressed, TraceMismatch, "sent compressed"),
        (redirecting, TraceMismatch, "status 302"),
        (wrong, TraceMismatch, "serves a trace with root"),
        (refusing, TraceUnavailable, r"status 404: .\[31mgone"),
    ],
)
async def test_liars_are_found_out_in_time_and_memory(
    handler: Handler, kind: type[TraceUnavailable], message: str
) -> None:
    tracemalloc.start()
    try:
        limits = QUICK if kind is TraceUnavailable else PATIENT
        async with asyncio.timeout(120), liar(handler, limits) as reader:
            with pytest.raises(TraceUnavailable, match=message) as caught:
                await read_trace(reader)
        assert type(caught.value) is kind
        assert "\x1b" not in caught.value.message
        assert len(caught.value.message) < 500
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{}", "[" * 100_000, '{"row":0,"tensor":0,"first":0,"count":1,"data":7,"proof":[]}',
     '{"row":0,"tensor":0,"first":0,"count":1,"data":"0xzz","proof":[]}',
     '{"row":0,"tensor":0,"first":0,"count":1,"data":"0x00","proof":3}',
     '{"row":1,"tensor":0,"first":0,"count":1,"data":"0x00","proof":[]}',
     '{"row":0,"tensor":0,"first":0,"count":1,"data":"0x' + "00" * 64 + '","proof":["0x00"]}'],
)  # fmt: skip
async def test_leaves_that_are_no_leaves_are_a_mismatch(body: str) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(text=body)

    async with liar(answer) as reader:
        with pytest.raises(TraceMismatch):
            await reader.leaves(PROGRAM, ROOT, TRACE_ROOT, ROWS, row=0, tensor=0, first=0, count=1)
