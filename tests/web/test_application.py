"""What is served, and every way in which a request is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from oracle.core.saved_receipt import SavedReceipt
from oracle.court.opening import Opening, verify_trace_opening
from oracle.errors import ConfigurationError
from oracle.ports.publishing import PublishedTrace
from oracle.program.manifest import ProgramManifest
from oracle.web import Server, Sources, WebLimits, application
from tests.support.world import until
from tests.web.serving import (
    COMMITMENT,
    DATA,
    FILE,
    MANIFEST,
    PROGRAM,
    RECEIPT,
    REQUEST,
    ROOT,
    ROWS,
    TRACE,
    Programs,
    Receipts,
    Served,
    served,
)

TRACE_URL = f"/traces/0x{COMMITMENT.trace_root.hex()}"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, WebLimits(piece_bytes=1000, leaves_bytes=640)) as running:
        yield running


@pytest.fixture
async def http(server: Served) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url) as session:
        yield session


async def test_it_is_alive(http: aiohttp.ClientSession) -> None:
    async with http.get("/healthz") as response:
        assert await response.json() == {"status": "ok"}


async def test_its_root_says_what_is_served_where(http: aiohttp.ClientSession) -> None:
    async with http.get("/") as response:
        assert response.status == 200
        paths = (await response.json())["paths"]
    assert "/views" not in paths, "where no model is answered in views"
    names = {"trace root": COMMITMENT.trace_root, "program root": ROOT, "request id": REQUEST}
    for path in paths:
        for name, value in names.items():
            path = path.replace(f"{{{name}}}", "0x" + value.hex())
        path = path.replace("=&", "=0&").removesuffix("=") + ("=1" if "?" in path else "")
        async with http.get(path) as response:
            assert response.status == 200, path


async def test_a_trace_is_described(http: aiohttp.ClientSession) -> None:
    async with http.get(TRACE_URL) as response:
        found = await response.json()
    assert found["programRoot"] == "0x" + ROOT.hex()
    assert (found["rows"], found["bytes"], found["leafBytes"]) == (ROWS, len(DATA), 64)
    assert found["rowLeaves"] == PROGRAM.row_leaf_count
    assert [tensor["bytes"] for tensor in found["tensors"]] == [4000, 7, 72]
    assert [tensor["firstLeaf"] for tensor in found["tensors"]] == [0, 63, 64]


@pytest.mark.parametrize(
    ("header", "first", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, len(DATA)),
        ("bytes=100-2199", 100, 2200),
        ("bytes=12000-99999999", 12000, len(DATA)),
        ("bytes=-5", len(DATA) - 5, len(DATA)),
        ("bytes=-99999999", 0, len(DATA)),
    ],
)
async def test_pieces_are_sent(
    http: aiohttp.ClientSession, header: str, first: int, stop: int
) -> None:
    async with http.get(TRACE_URL + "/data", headers={"Range": header}) as response:
        assert response.status == 206
        assert response.headers["Content-Range"] == f"bytes {first}-{stop - 1}/{len(DATA)}"
        assert await response.read() == DATA[first:stop]


@pytest.mark.parametrize(
    "header", [None, "bytes=5-4", "bytes=1-2,4-5", "items=0-1", "bytes=-", "bytes=x-"]
)
async def test_what_is_no_range_gets_everything(
    http: aiohttp.ClientSession, header: str | None
) -> None:
    headers = {} if header is None else {"Range": header}
    async with http.get(TRACE_URL + "/data", headers=headers) as response:
        assert response.status == 200
        assert response.headers["Accept-Ranges"] == "bytes"
        assert await response.read() == DATA


@pytest.mark.parametrize("header", [f"bytes={len(DATA)}-", "bytes=-0", "bytes=999999-1000000"])
async def test_a_range_beyond_the_end_is_416(http: aiohttp.ClientSession, header: str) -> None:
    async with http.get(TRACE_URL + "/data", headers={"Range": header}) as response:
        assert response.status == 416
        assert response.headers["Content-Range"] == f"bytes */{len(DATA)}"
        assert (await response.json())["error"] == f"there are {len(DATA)} bytes"


async def test_head_sends_no_body(http: aiohttp.ClientSession) -> None:
    for url, size in ((TRACE_URL + "/data", len(DATA)), (f"/programs/{ROOT.hex()}", len(FILE))):
        async with http.head(url) as response:
            assert (response.status, response.content_length) == (200, size)
            assert await response.read() == b""


async def test_leaves_come_with_their_proof(http: aiohttp.ClientSession) -> None:
    for row, tensor, first, count in ((0, 0, 0, 10), (2, 0, 60, 3), (1, 1, 0, 1), (2, 2, 1, 1)):
        query = {"row": row, "tensor": tensor, "first": first, "count": count}
        async with http.get(TRACE_URL + "/leaves", params=query) as response:
            assert response.status == 200
            found = await response.json()
        opening = Opening(
            *(found[name] for name in ("row", "tensor", "first", "count")),
            bytes.fromhex(found["data"][2:]),
            tuple(bytes.fromhex(digest[2:]) for digest in found["proof"]),
        )
        shown = verify_trace_opening(PROGRAM, ROOT, COMMITMENT.trace_root, ROWS, opening)
        raw = TRACE.rows[row][tensor].tobytes()
        assert shown == raw[64 * first : 64 * (first + count)]


@pytest.mark.parametrize(
    ("query", "parameter", "reason"),
    [
        ("tensor=0&first=0&count=1", "row", "row is missing"),
        ("row=0&row=1&tensor=0&first=0&count=1", "row", "given more than once"),
        ("row=-1&tensor=0&first=0&count=1", "row", "not a number"),
        ("row=4294967296&tensor=0&first=0&count=1", "row", "not a number"),
        ("row=٣&tensor=0&first=0&count=1", "row", "not a number"),
        ("row=3&tensor=0&first=0&count=1", "row", "the trace has 3 rows"),
        ("row=0&tensor=3&first=0&count=1", "tensor", "the program has 3 tensors"),
        ("row=0&tensor=0&first=63&count=1", "first", "the tensor has 63 leaves"),
        ("row=0&tensor=0&first=60&count=4", "count", "not 1 to 3 here"),
        ("row=0&tensor=0&first=0&count=11", "count", "not 1 to 10 here"),
        ("row=0&tensor=0&first=0&count=0", "count", "not 1 to 10 here"),
        ("row=0&tensor=0&first=0&count=1&evil=1", "evil", "no parameter"),
    ],
)
async def test_bad_questions_are_named(
    http: aiohttp.ClientSession, query: str, parameter: str, reason: str
) -> None:
    async with http.get(f"{TRACE_URL}/leaves?{query}") as response:
        assert response.status == 400
        found = await response.json()
    assert found["parameter"] == parameter
    assert reason in found["error"]


async def test_programs_and_their_manifests(http: aiohttp.ClientSession) -> None:
    async with http.get(f"/programs/0x{ROOT.hex()}") as response:
        assert await response.read() == FILE
    async with http.get(f"/programs/0x{ROOT.hex()}/manifest") as response:
        assert response.headers["Cache-Control"] == "no-cache"
        assert ProgramManifest.from_json(await response.read()) == MANIFEST


async def test_a_receipt_is_the_document_that_verify_reads(http: aiohttp.ClientSession) -> None:
    async with http.get(f"/receipts/0x{REQUEST.hex()}") as response:
        assert response.content_type == "application/json"
        assert response.headers["Cache-Control"] == "no-cache"
        assert SavedReceipt.from_json(await response.text()) == RECEIPT


@pytest.mark.parametrize(
    "path",
    [
        "/traces/0x" + "00" * 32,
        "/traces/0x" + "00" * 32 + "/data",
        "/traces/0x" + "00" * 32 + "/leaves?row=0&tensor=0&first=0&count=1",
        "/programs/0x" + "00" * 32,
        "/programs/0x" + "00" * 32 + "/manifest",
        "/receipts/0x" + "00" * 32,
        "/nothing",
        "/traces",
    ],
)
async def test_what_is_not_here_is_404_with_a_reason(
    http: aiohttp.ClientSession, path: str
) -> None:
    async with http.get(path) as response:
        assert response.status == 404
        assert (await response.json())["error"]


@pytest.mark.parametrize(
    "root",
    ["..%2F..%2Fetc%2Fpasswd", "%2e%2e", "0x12", "zz" * 32, "0x" + "00" * 33, "00" * 31 + "%00a"],
)
async def test_only_a_digest_is_a_name(server: Served, root: str) -> None:
    async with aiohttp.ClientSession() as session:
        for kind, tail in (("traces", ""), ("traces", "/data"), ("programs", "")):
            url = URL(f"{server.url}/{kind}/{root}{tail}", encoded=True)
            async with session.get(url) as response:
                assert response.status in (400, 404)
                assert response.content_type == "application/json"


async def test_nothing_can_be_written(http: aiohttp.ClientSession) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        async with http.request(method, TRACE_URL) as response:
            assert response.status == 405
            assert "GET" in response.headers["Allow"]
            assert (await response.json())["error"] == "method not allowed"


async def test_a_damaged_trace_is_not_shown(server: Served, http: aiohttp.ClientSession) -> None:
    files = server.store._files
    files.path(COMMITMENT.trace_root).write_bytes(bytes(len(DATA)))
    query = {"row": 0, "tensor": 0, "first": 0, "count": 1}
    async with http.get(TRACE_URL + "/leaves", params=query) as response:
        assert response.status == 503
        assert await response.json() == {"error": "this cannot be served now"}


async def test_a_defect_says_nothing_of_the_inside(
    server: Served, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_self: Programs, _root: bytes) -> bytes:
        raise KeyError("secret")

    monkeypatch.setattr(Programs, "file", broken)
    async with http.get(f"/programs/0x{ROOT.hex()}") as response:
        assert response.status == 500
        assert "secret" not in await response.text()


async def test_too_many_at_once_are_asked_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go = asyncio.Event()
    running = most = 0

    async def slow(_self: Programs, _root: bytes) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await may_go.wait()
        running -= 1
        return FILE

    monkeypatch.setattr(Programs, "file", slow)
    async with (
        served(tmp_path, WebLimits(programs=2, waiting=3)) as server,
        aiohttp.ClientSession(server.url) as session,
    ):

        async def ask() -> int:
            async with session.get(f"/programs/0x{ROOT.hex()}") as response:
                await response.read()
                return response.status

        asked = [asyncio.create_task(ask()) for _ in range(9)]

        async def refused() -> list[int]:
            found = [task.result() for task in asked if task.done()]
            return found if len(found) >= 4 else []

        # So all nine have come: two are served, and three wait.
        assert await until(refused) == [503] * 4
        may_go.set()
        assert sorted(await asyncio.gather(*asked)) == [200] * 5 + [503] * 4
        assert most == 2


async def test_a_reader_that_stalls_is_cut_off(tmp_path: Path) -> None:
    class Endless:
        """A trace of 64 MiB, more than any socket buffers."""

        size = 64 << 20

        async def find(self, root: bytes) -> PublishedTrace:
            return PublishedTrace(root, ROOT, 1, self.size)

        async def read(self, root: bytes, offset: int, length: int) -> bytes:
            return bytes(length)

    sources = Sources(Endless(), None, Programs(), Receipts())  # type: ignore[arg-type]
    limits = WebLimits(stall_seconds=0.3, downloads=1, waiting=0)
    async with Server(application(sources, limits), host="127.0.0.1", port=0) as server:
        assert server.address is not None
        host, port = server.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(f"GET {TRACE_URL}/data HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert await reader.read(1) == b"H", "it is served, and reads no more"
        async with aiohttp.ClientSession(server.address) as session:

            async def there_is_room() -> bool:
                piece = {"Range": "bytes=0-9"}
                async with session.get(TRACE_URL + "/data", headers=piece) as response:
                    return response.status == 206

            await until(there_is_room)
        taken = 0
        while chunk := await reader.read(1 << 20):
            taken += len(chunk)
        assert taken < Endless.size
        writer.close()


async def test_an_address_in_use_is_said(server: Served) -> None:
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(ConfigurationError, match=f"cannot serve on 127.0.0.1:{port}"):
        await Server(aiohttp.web.Application(), host="127.0.0.1", port=port).start()
