"""How quick the explorer's index is with many requests: what filling it takes, and each look-up.

Over a real index of made-up rows in a folder of its own, through the same code that serves pages
and the API. Asserts nothing.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp

from oracle.bench.explorer_rows import Sizes, chapters
from oracle.chain.deployment import Deployment, DeploymentParameters
from oracle.core.chronicle import Entry, RequestRecord, Standing
from oracle.core.event import BlockRef
from oracle.core.types import ZERO_ADDRESS
from oracle.errors import NotFound
from oracle.explorer.checks import Checks
from oracle.explorer.site import site
from oracle.explorer.status import Status
from oracle.storage.database import Database
from oracle.storage.explorer_lookup import ExplorerLookup, RequestFilter
from oracle.storage.explorer_store import SqlExplorerStore, prepare
from oracle.web.server import Server

Say = Callable[[str], None]

_REPEATS: Final = 15
_BATCH_BLOCKS: Final = 200
_DEEP_PAGES: Final = 100


async def measure(count: int, say: Say) -> dict[str, Any]:
    """Fills an index with so many requests, and times what people look up in it."""
    with tempfile.TemporaryDirectory(prefix="oracle-bench-explorer-") as folder:
        file = Path(folder) / "explorer.sqlite"
        writing, reading = Database(file), Database(file)
        try:
            await writing.run(prepare)
            store = SqlExplorerStore(writing)
            say(f"filling an index with {count:,} requests")
            filled, entries = await _fill(store, Sizes(count))
            size = file.stat().st_size
            say("looking things up")
            lookup = ExplorerLookup(reading)
            rows = [*await _lookups(lookup), *await _served(lookup)]
            rewound = await _rewind(store)
        finally:
            await reading.close()
            await writing.close()
    return {
        "requests": count,
        "entries": entries,
        "fill_seconds": round(filled, 1),
        "entries_a_second": round(entries / filled),
        "index_mib": round(size / 2**20, 1),
        "rewind_10_blocks_ms": round(1_000 * rewound, 1),
        "lookups": rows,
    }


async def _fill(store: SqlExplorerStore, sizes: Sizes) -> tuple[float, int]:
    """Seconds in the index, without those of making rows up; and how many entries."""
    spent, total = 0.0, 0
    batch: list[Entry] = []
    last = BlockRef(0, bytes(32), 0)

    async def put() -> None:
        nonlocal spent, total, batch
        spent += await _timed(lambda: store.ingest(last, batch))
        total, batch = total + len(batch), []

    for last, found in chapters(sizes):
        batch += found
        if last.number % _BATCH_BLOCKS == 0:
            await put()
    await put()
    return spent, total


async def _rewind(store: SqlExplorerStore) -> float:
    blocks = await store.recent_blocks(2)
    near = BlockRef(blocks[0].number - 10, bytes(32), blocks[0].timestamp - 20)
    return await _timed(lambda: store.rewind(near))


async def _lookups(lookup: ExplorerLookup) -> list[dict[str, Any]]:
    newest = await lookup.requests(RequestFilter(), limit=50)
    some = newest[len(newest) // 2]
    deep = await _deep(lookup)
    place = (deep.created_block, deep.created_log)
    both = RequestFilter(state=Standing.SETTLED, operator=some.operator)
    rare = RequestFilter(state=Standing.DEFAULTED, model_id=some.model_id)
    asked: list[tuple[str, Callable[[], Awaitable[object]]]] = [
        ("newest 50", lambda: lookup.requests(RequestFilter(), limit=50)),
        ("50 from the far end", lambda: lookup.requests(RequestFilter(), before=place, limit=50)),
        ("of an operator, settled", lambda: lookup.requests(both, limit=50)),
        ("of a model, not answered", lambda: lookup.requests(rare, limit=50)),
        (
            "of a requester",
            lambda: lookup.requests(RequestFilter(requester=some.requester), limit=50),
        ),
        ("disputes", lambda: lookup.disputes(limit=50)),
        ("totals", lookup.totals),
        ("operators, with what they did", lambda: _operators(lookup)),
        ("one request's story", lambda: lookup.entries(some.request_id)),
        ("search by an id's start", lambda: lookup.search("0x" + some.request_id.hex()[:8])),
        ("search by an address", lambda: lookup.search(some.operator)),
        ("search by a name", lambda: lookup.search("risk")),
        ("search for nothing there is", lambda: lookup.search("0x" + "f" * 16)),
    ]
    return [await _row(f"index: {name}", ask) for name, ask in asked]


async def _served(lookup: ExplorerLookup) -> list[dict[str, Any]]:
    """The same through the site, on a socket: with decoding, templates and JSON."""
    newest = await lookup.requests(RequestFilter(), limit=1)
    some = newest[0]
    status = Status(lookup, _NoFollow(), _deployment())
    application = site(lookup, Checks(_NoChecks()), _NoEvidence(), status)
    found = []
    async with Server(application, host="127.0.0.1", port=0) as server:
        assert server.address is not None
        async with aiohttp.ClientSession(server.address) as session:
            for path in (
                "/",
                "/requests",
                f"/requests?operator={some.operator}&state=settled",
                f"/requests/0x{some.request_id.hex()}",
                "/models",
                "/operators",
                "/search?q=risk",
                "/api/requests?limit=200",
                f"/api/requests/0x{some.request_id.hex()}",
            ):

                async def get(path: str = path) -> None:
                    async with session.get(path, headers={"Accept": "text/html"}) as response:
                        response.raise_for_status()
                        await response.read()

                shown = path.partition("?")[0].replace(some.request_id.hex(), "…")
                more = "?" + path.partition("?")[2].split("=")[0] + "=…" if "?" in path else ""
                found.append(await _row(f"served: {shown}{more}", get))
    return found


async def _row(name: str, ask: Callable[[], Awaitable[object]]) -> dict[str, Any]:
    times = sorted([await _timed(ask) for _ in range(_REPEATS)])
    return {
        "what": name,
        "median_ms": round(1_000 * statistics.median(times), 2),
        "worst_ms": round(1_000 * times[-1], 2),
    }


async def _deep(lookup: ExplorerLookup) -> RequestRecord:
    """A request of long ago."""
    found = await lookup.requests(RequestFilter(), limit=200)
    for _ in range(_DEEP_PAGES):
        last = found[-1]
        older = await lookup.requests(
            RequestFilter(), before=(last.created_block, last.created_log), limit=200
        )
        if not older:
            break
        found = older
    return found[-1]


async def _operators(lookup: ExplorerLookup) -> None:
    found = await lookup.operators(limit=50)
    await lookup.tallies("operator", [one.operator for one in found])


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


class _NoFollow:
    """Nobody writes the index meanwhile."""

    head: BlockRef | None = None
    trouble: str | None = None


class _NoEvidence:
    """There is no chain to ask."""

    async def gas(self, hashes: Sequence[bytes]) -> Mapping[bytes, int]:
        return {}

    async def proven(self, entries: Sequence[Entry]) -> None:
        return None


class _NoChecks:
    """Nothing made up can be verified."""

    def __call__(self, request_id: bytes) -> AsyncIterator[Mapping[str, Any]]:
        raise NotFound(f"0x{request_id.hex()} is made up")


def _deployment() -> Deployment:
    nobody = ZERO_ADDRESS
    return Deployment(
        chain_id=1,
        genesis_hash=bytes(32),
        deployed_block=0,
        token=nobody,
        registry=nobody,
        staking=nobody,
        oracle=nobody,
        court=nobody,
        verifier=nobody,
        parameters=DeploymentParameters.devnet(),
    )
