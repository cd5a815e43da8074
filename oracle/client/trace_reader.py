"""Fetches traces, leaves and programs from an operator's endpoint, and believes none of it.

Responsible for limits on bytes and time, for going on where a connection broke, and for checking
what came against the root. Whoever asks knows beforehand how many bytes there must be, so a server
can neither fill the memory nor hold a reader for ever. Follows no redirect; knows no chain.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
import numpy as np

from oracle.client.public_address import connector
from oracle.core.endpoint import checked_endpoint
from oracle.core.saved_receipt import SavedReceipt
from oracle.court.commitment import commit
from oracle.court.opening import Opening, verify_trace_opening
from oracle.errors import InputError, TraceError, TraceMismatch, TraceUnavailable
from oracle.program.instruction import Program, Trace


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What a server may cost.

    Attributes:
        piece_bytes: asked for at a time.
        piece_seconds: for one piece, from the first byte sent to the last received.
        attempts: for one piece.
        pause_seconds: before the second attempt; doubled before each further one.
        trace_bytes: largest trace.
        answer_bytes: largest JSON answer.
        public_only: whether a private address is refused, of whatever name.
    """

    piece_bytes: int = 1 << 20
    piece_seconds: float = 20.0
    attempts: int = 4
    pause_seconds: float = 0.25
    trace_bytes: int = 4 << 30
    answer_bytes: int = 4 << 20
    public_only: bool = False


class TraceReader:
    """One endpoint. An async context manager."""

    def __init__(self, endpoint: str, limits: ReadLimits | None = None) -> None:
        """Raises InputError where the endpoint is no http or https URL without credentials."""
        self._base = checked_endpoint(endpoint).rstrip("/")
        self._limits = limits or ReadLimits()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> TraceReader:
        self._session = aiohttp.ClientSession(
            connector=connector(public_only=self._limits.public_only),
            auto_decompress=False,  # what is small on the wire must not be large in memory
            headers={"Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def trace(
        self, program: Program, program_root: bytes, root: bytes, rows: int, *, threads: int = 1
    ) -> Trace:
        """A whole trace, checked against its root.

        Raises:
            TraceUnavailable: the endpoint does not answer, or has no such trace.
            TraceMismatch: what it serves is not the trace with this root.
        """
        raw = await self.data(root, program.row_trace_bytes * rows)
        trace = _cut(program, raw, rows)
        found = await asyncio.to_thread(commit, program, program_root, trace, threads=threads)
        if found.trace_root != root:
            raise TraceMismatch(
                f"{self._base} serves a trace with root 0x{found.trace_root.hex()} "
                f"as 0x{root.hex()}"
            )
        return trace

    async def data(self, root: bytes, size: int) -> bytearray:
        """The bytes of a trace in memory; not checked but for their number. Raises as `trace`."""
        received = bytearray()
        await self._pieces(root, size, received.extend)
        return received

    async def save(self, root: bytes, size: int, file: Path) -> None:
        """`data`, into a file that is there whole or not at all. Raises as `trace`."""
        beside = file.with_name(f".{file.name}.part")
        try:
            with beside.open("wb") as opened:
                await self._pieces(root, size, opened.write)
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)

    async def leaves(
        self,
        program: Program,
        program_root: bytes,
        root: bytes,
        rows: int,
        *,
        row: int,
        tensor: int,
        first: int,
        count: int,
    ) -> Opening:
        """Leaves with their proof, verified. Raises as `trace`."""
        asked = {"row": row, "tensor": tensor, "first": first, "count": count}
        query = "&".join(f"{name}={number}" for name, number in asked.items())
        answer = await self._json(f"/traces/0x{root.hex()}/leaves?{query}")
        try:
            if any(answer[name] != number for name, number in asked.items()):
                raise TraceError("other leaves than were asked for")
            path = tuple(_bytes(digest) for digest in answer["proof"])
            opening = Opening(row, tensor, first, count, _bytes(answer["data"]), path)
            verify_trace_opening(program, program_root, root, rows, opening)
        except (KeyError, TypeError, ValueError, TraceError) as error:
            raise TraceMismatch(f"{self._base} does not prove its leaves: {error}") from error
        return opening

    async def program_file(self, root: bytes, *, max_bytes: int = 1 << 30) -> bytes:
        """A program file. Not checked: compile it and compare the root. Raises as `trace`."""
        path = f"/programs/0x{root.hex()}"
        return bytes(await self._asked(path, {}, (200,), lambda _: None, max_bytes))

    async def receipt(self, request_id: bytes) -> SavedReceipt:
        """The receipt of a request. Nothing it claims is checked. Raises as `trace`."""
        path, most = f"/receipts/0x{request_id.hex()}", self._limits.answer_bytes
        body = await self._asked(path, {}, (200,), lambda _: None, most)
        try:
            found = SavedReceipt.from_json(body.decode())
        except (UnicodeDecodeError, InputError) as error:
            raise TraceMismatch(f"{self._base} serves no receipt: {error}") from error
        if found.request_id != request_id:
            raise TraceMismatch(f"{self._base} serves the receipt of another request")
        return found

    async def describe(self, root: bytes) -> Mapping[str, Any]:
        """What the server says of a trace. Raises as `trace`."""
        return await self._json(f"/traces/0x{root.hex()}")

    async def _pieces(self, root: bytes, size: int, take: Callable[[bytearray], object]) -> None:
        if not 0 <= size <= self._limits.trace_bytes:
            raise TraceError(
                f"a trace of {size} bytes is larger than {self._limits.trace_bytes}, the limit"
            )
        path = f"/traces/0x{root.hex()}/data"
        for start in range(0, size, self._limits.piece_bytes):
            stop = min(size, start + self._limits.piece_bytes)
            stated = f"bytes {start}-{stop - 1}/{size}"

            def check(headers: Mapping[str, str], stated: str = stated) -> None:
                if headers.get("Content-Range") != stated:
                    raise TraceMismatch(
                        f"{self._base} serves {headers.get('Content-Range', 'no range')!r}"
                        f" of a trace, not {stated!r}"
                    )

            header = {"Range": f"bytes={start}-{stop - 1}"}
            piece = await self._asked(path, header, (206,), check, stop - start)
            if len(piece) != stop - start:
                raise TraceMismatch(
                    f"{self._base} sent {len(piece)} bytes of {stop - start} that it announced"
                )
            take(piece)

    async def _json(self, path: str) -> Mapping[str, Any]:
        body = await self._asked(path, {}, (200,), lambda _: None, self._limits.answer_bytes)
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise TraceMismatch(f"{self._base}{path} is not JSON") from error
        if not isinstance(answer, dict):
            raise TraceMismatch(f"{self._base}{path} is not a JSON object")
        return answer

    async def _asked(
        self,
        path: str,
        headers: Mapping[str, str],
        statuses: tuple[int, ...],
        check: Callable[[Mapping[str, str]], None],
        most: int,
    ) -> bytearray:
        """A body of at most so many bytes; tried again where the connection or the server fails."""
        pause = self._limits.pause_seconds
        for left in reversed(range(self._limits.attempts)):
            try:
                async with asyncio.timeout(self._limits.piece_seconds):
                    return await self._once(path, headers, statuses, check, most)
            except (aiohttp.ClientError, TimeoutError, OSError, _Again) as error:
                if not left:
                    raise TraceUnavailable(
                        f"{self._base} does not serve {path}: {_said(error)}",
                        hint="a root without its trace proves nothing: demand it on chain",
                    ) from error
            await asyncio.sleep(pause)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    async def _once(
        self,
        path: str,
        headers: Mapping[str, str],
        statuses: tuple[int, ...],
        check: Callable[[Mapping[str, str]], None],
        most: int,
    ) -> bytearray:
        if self._session is None:
            raise RuntimeError("a TraceReader is used in `async with`")
        url = self._base + path
        async with self._session.get(url, headers=headers, allow_redirects=False) as response:
            if response.status >= 500 or response.status == 429:
                raise _Again(f"status {response.status}")
            if response.status not in statuses:
                reason = (await _bounded(response, 2_048, cut=True)).decode(errors="replace")
                kind = TraceMismatch if response.status < 400 else TraceUnavailable
                raise kind(f"{url}: status {response.status}: {_one_line(reason)}")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise TraceMismatch(f"{url} is sent compressed, which was not asked for")
            check(response.headers)
            if (response.content_length or 0) > most:
                raise TraceMismatch(f"{url} has {response.content_length} bytes, {most} at most")
            return await _bounded(response, most)


class _Again(Exception):
    """The server failed in a way that may pass."""


async def _bounded(response: aiohttp.ClientResponse, most: int, *, cut: bool = False) -> bytearray:
    received = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        received += chunk
        if len(received) > most:
            if cut:
                return received[:most]
            raise TraceMismatch(f"{response.url} sends more than {most} bytes")
    return received


def _cut(program: Program, raw: bytearray, rows: int) -> Trace:
    whole, at, cut = np.frombuffer(raw, np.uint8), 0, []
    for _ in range(rows):
        row = []
        for info in program.tensors:
            row.append(whole[at : at + info.byte_count].view(info.element.dtype))
            at += info.byte_count
        cut.append(tuple(row))
    return Trace(tuple(cut))


def _bytes(value: object) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise TypeError("not hexadecimal")
    return bytes.fromhex(value[2:])


def _said(error: BaseException) -> str:
    return "too slow" if isinstance(error, TimeoutError) else _one_line(str(error) or repr(error))


def _one_line(text: str) -> str:
    """What a stranger wrote, fit for a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)[:200]
