"""Places that lie: wrong bytes, endless bodies, refusals, silence. Nothing hangs or is taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from oracle.client.trace_reader import ReadLimits
from oracle.core.types import Tier
from oracle.errors import InputError, NotFound, TraceError
from oracle.verify.fetch import fetch
from oracle.verify.places import EndpointPrograms, EndpointTraces, TraceFile, Uri, read_file
from oracle.verify.report import Kind, Name, Verdict
from oracle.verify.trace_file import read_trace, write_trace
from tests.support.scene import Scene
from tests.verify.support import Play, compiled, digits, honest, play, root, said

QUICK = ReadLimits(piece_seconds=0.3, attempts=1, pause_seconds=0.01)
PATIENT = ReadLimits()
"""For those that do serve, however busy this machine is."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    """An HTTP server that answers everything in one way."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield str(site.name)
    finally:
        await runner.cleanup()


def gives(body: bytes) -> Handler:
    """These bytes, whatever range is asked for."""

    async def handler(request: web.Request) -> web.StreamResponse:
        asked = request.headers.get("Range")
        if asked is None:
            return web.Response(body=body)
        start, _, last = asked.removeprefix("bytes=").partition("-")
        stop = int(last) + 1
        stated = {"Content-Range": f"bytes {start}-{last}/{len(body)}"}
        return web.Response(status=206, body=body[int(start) : stop], headers=stated)

    return handler


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(1 << 16))


async def silent(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def slow(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x")
        await asyncio.sleep(0.05)


async def missing(request: web.Request) -> web.StreamResponse:
    return web.Response(status=404, text="no \x1b[31msuch trace")


async def elsewhere(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("http://127.0.0.1:1/")


LIARS = pytest.mark.parametrize("handler", [endless, silent, slow, missing, elsewhere])


async def traced(
    one: Play, handler: Handler, limits: ReadLimits = QUICK, seconds: float = 1.0
) -> tuple[str, str, Verdict]:
    """What is said of an endpoint's trace, by a machine that cannot run the model."""
    async with asyncio.timeout(120), server(handler) as url:
        place = EndpointTraces(url, limits, seconds=seconds)
        report = await one.verify(traces=(place,), runner=None)
    found = report.step(Name.TRACE)
    return found.kind.name, said(report, Name.TRACE), report.verdict


async def test_an_honest_endpoints_trace_is_taken(scene: Scene) -> None:
    one = await play(scene)
    assert one.trace is not None
    kind, text, _ = await traced(one, gives(write_trace(one.trace)), PATIENT, 120)
    assert kind == "PASSED", text


@LIARS
async def test_an_endpoint_that_does_not_serve_is_not_believed(
    scene: Scene, handler: Handler
) -> None:
    one = await play(scene)
    kind, text, verdict = await traced(one, handler)
    assert kind in ("UNCHECKED", "FAILED"), text
    assert verdict in (Verdict.NOT_CHECKED, Verdict.NOT_AS_CLAIMED)
    assert "\x1b" not in text


async def test_wrong_bytes_are_named_as_such(scene: Scene) -> None:
    one = await play(scene)
    assert one.trace is not None
    data = bytearray(write_trace(one.trace))
    data[len(data) // 2] ^= 1
    kind, text, verdict = await traced(one, gives(bytes(data)), PATIENT, 120)
    assert (kind, verdict) == ("FAILED", Verdict.NOT_AS_CLAIMED)
    assert "gives another trace: its root is" in text


async def test_a_lying_endpoint_does_not_keep_an_equal_run_from_counting(scene: Scene) -> None:
    one = await play(scene)
    async with server(missing) as url:
        report = await one.verify(traces=(EndpointTraces(url, QUICK),))
    assert report.verdict is Verdict.VERIFIED, report.text()


async def test_programs_come_from_an_endpoint_and_are_known_by_their_root(scene: Scene) -> None:
    one = await play(scene)
    async with server(gives(compiled().file)) as url:
        report = await one.verify(files=(EndpointPrograms(url),))
        assert "has the registered program root" in said(report, Name.MODEL)
    for handler in (gives(b"x"), gives(compiled().file[:-3]), endless, silent, missing):
        async with asyncio.timeout(120), server(handler) as url:
            report = await one.verify(files=(EndpointPrograms(url, QUICK),))
        assert "is not at hand" in said(report, Name.MODEL, Kind.UNCHECKED)
        assert report.verdict is Verdict.NOT_CHECKED


async def test_a_uri_is_followed_where_it_is_http_and_nowhere_else() -> None:
    for uri in ("sample:x", "file:///etc/passwd", "ipfs://x", "", "ftp://127.0.0.1/"):
        assert await Uri(uri).read(root(), Tier.ROUNDED) is None
    async with server(gives(b"model")) as url:
        assert await Uri(url + "/m.onnx").read(root(), Tier.UNPROVEN) == b"model"
    assert await EndpointPrograms("http://127.0.0.1:1").read(root(), Tier.UNPROVEN) is None


@LIARS
async def test_what_is_fetched_is_bounded_in_bytes_and_time(handler: Handler) -> None:
    async with asyncio.timeout(120), server(handler) as url:
        with pytest.raises(NotFound) as caught:
            await fetch(url + "/x", largest=1 << 20, seconds=0.5)
    assert caught.value.message.startswith(url)


async def test_urls_that_nobody_should_follow_are_refused() -> None:
    for url in ("file:///etc/passwd", "http://user:secret@127.0.0.1/", "http://", "x"):
        with pytest.raises(NotFound):
            await fetch(url, largest=10, seconds=1)
    with pytest.raises(NotFound, match="does not answer"):
        await fetch("http://127.0.0.1:1/", largest=10, seconds=1)


async def test_a_trace_is_read_from_a_file(tmp_path: Path) -> None:
    _, _, trace = honest(digits())
    file = tmp_path / "trace"
    file.write_bytes(write_trace(trace))
    program = compiled().program
    again = await TraceFile(file).read(b"", program, 2)
    assert write_trace(again) == write_trace(trace)
    with pytest.raises(TraceError, match="a trace of 1 rows has"):
        read_trace(program, write_trace(trace), 1)
    with pytest.raises(TraceError):
        await TraceFile(file).read(b"", program, 1)
    with pytest.raises(TraceError, match="cannot read"):
        await TraceFile(tmp_path / "absent").read(b"", program, 1)
    with pytest.raises(InputError, match="more than 3 bytes"):
        read_file(file, 3)
    with pytest.raises(InputError, match="cannot read"):
        read_file(tmp_path)
