"""Server-sent events: pieces of a page that replace those with the same id, while somebody watches.

All watchers share one snapshot, which is made only while there are any, and a piece is sent only
when it has changed. How many may watch is bounded. Knows nothing of what the pieces say.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

import structlog
from aiohttp import web

from oracle.errors import OracleError
from oracle.web.problems import Problem

_log = structlog.get_logger("oracle.web")

Fragments = Mapping[str, str]
"""HTML by the id of the element that it replaces."""

_ALIVE_SECONDS = 10.0
_STALL_SECONDS = 15.0
_AGAIN_MILLISECONDS = 2_000


async def stream_fragments(
    request: web.Request, pieces: AsyncGenerator[Fragments, None]
) -> web.StreamResponse:
    """Sends pieces as they come, and tells the script that the stream is over when they end."""
    response = _response()
    async with contextlib.aclosing(pieces) as these:
        with contextlib.suppress(ConnectionError):  # the watcher went
            await _open(response, request)
            async for some in these:
                await _send(response, _event(some))
            await _send(response, b"event: end\ndata: {}\n\n")
            await response.write_eof()
    return response


class Live:
    """One page's pieces, for all who watch it."""

    def __init__(
        self,
        make: Callable[[], Awaitable[Fragments]],
        *,
        every_seconds: float = 1.0,
        most: int = 16,
    ) -> None:
        """
        Args:
            make: all pieces as they are now; called every so often while somebody watches.
            most: watchers at once; more are told to come again.
        """
        self._make = make
        self._every_seconds = every_seconds
        self._most = most
        self._watchers = 0
        self._pieces: Fragments = {}
        self._changed = asyncio.Event()
        self._making: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def watchers(self) -> int:
        return self._watchers

    async def watch(self, request: web.Request) -> web.StreamResponse:
        """Streams to one watcher, until it goes or the site closes."""
        if self._closed or self._watchers >= self._most:
            raise Problem(503, "too many watch this page", headers={"Retry-After": "5"})
        self._watchers += 1
        if self._making is None:
            self._making = asyncio.create_task(self._keep_making())
        try:
            response = _response()
            with contextlib.suppress(ConnectionError):  # the watcher went
                await self._stream(request, response)
            return response
        finally:
            self._watchers -= 1
            if not self._watchers:
                await self._rest()

    async def close(self, _application: web.Application | None = None) -> None:
        """Ends every stream; for the site's `on_shutdown`."""
        self._closed = True
        self._tell()
        await self._rest()

    async def _stream(self, request: web.Request, response: web.StreamResponse) -> None:
        await _open(response, request)
        sent: dict[str, str] = {}
        while not self._closed:
            changed = self._changed
            fresh = {name: text for name, text in self._pieces.items() if sent.get(name) != text}
            if fresh:
                await _send(response, _event(fresh))
                sent |= fresh
            try:
                await asyncio.wait_for(changed.wait(), _ALIVE_SECONDS)
            except TimeoutError:
                await _send(response, b": still here\n\n")

    async def _keep_making(self) -> None:
        while True:
            try:
                self._pieces = await self._make()
                self._tell()
            except OracleError as error:
                _log.warning("the page's facts cannot be read", error=error.message)
            except Exception:
                _log.exception("a defect of the page")
            await asyncio.sleep(self._every_seconds)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _rest(self) -> None:
        making, self._making = self._making, None
        self._pieces = {}  # whoever comes next is shown nothing that is old
        if making is not None:
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)


def _response() -> web.StreamResponse:
    return web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
    )


async def _open(response: web.StreamResponse, request: web.Request) -> None:
    await response.prepare(request)
    await _send(response, f"retry: {_AGAIN_MILLISECONDS}\n\n".encode())


async def _send(response: web.StreamResponse, data: bytes) -> None:
    try:
        await asyncio.wait_for(response.write(data), _STALL_SECONDS)
    except TimeoutError:
        raise ConnectionAbortedError("the watcher stalled") from None


def _event(pieces: Fragments) -> bytes:
    return f"event: pieces\ndata: {json.dumps(pieces)}\n\n".encode()
