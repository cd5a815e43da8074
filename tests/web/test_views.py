"""The gateway on the wire: what ERC-3668 has clients send, and every answer that they may get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from oracle.errors import (
    ChainUnreachable,
    InputError,
    NotFound,
    OracleError,
    PaymentInvalid,
    PaymentRequired,
    RateLimited,
    ViewRefused,
)
from oracle.web import Server, WebLimits
from oracle.web.gate import Gate
from oracle.web.views import LARGEST_BODY, ViewPages
from tests.web.serving import served

SENDER = "0x" + "aB" * 20


class Views:
    """Answers `b"answer"`, or raises what it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, str]] = []
        self.error: BaseException | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def respond(self, data: bytes, client: str) -> bytes:
        self.asked.append((data, client))
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return b"answer"


@pytest.fixture
def views() -> Views:
    return Views()


@pytest.fixture
async def http(views: Views) -> AsyncIterator[aiohttp.ClientSession]:
    pages = web.Application(client_max_size=1 << 16)
    pages.add_routes(ViewPages(views, Gate(1, 1), proxied=True).routes())
    async with Server(pages, host="127.0.0.1", port=0) as server:
        assert server.address is not None
        async with aiohttp.ClientSession(server.address) as session:
            yield session


async def _post(http: aiohttp.ClientSession, body: Any = None, **more: Any) -> tuple[int, Any]:
    asked = {"sender": SENDER, "data": "0x1234"} if body is None else body
    async with http.post("/views", json=asked, **more) as response:
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, await response.json()


async def test_a_question_is_posted_or_put_into_the_url(
    http: aiohttp.ClientSession, views: Views
) -> None:
    expected = {"data": "0x" + b"answer".hex()}
    assert await _post(http) == (200, expected)
    for path in (f"/views/{SENDER}/0x1234", f"/views/{SENDER}/0x1234.json"):
        async with http.get(path) as response:
            assert (response.status, await response.json()) == (200, expected)
    assert [data for data, _ in views.asked] == [b"\x12\x34"] * 3


async def test_a_browser_of_any_origin_may_ask(http: aiohttp.ClientSession) -> None:
    for path in ("/views", f"/views/{SENDER}/0x12"):
        async with http.options(path, headers={"Origin": "https://dapp.example"}) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert "POST" in response.headers["Access-Control-Allow-Methods"]
            assert response.headers["Access-Control-Allow-Headers"] == "Content-Type"


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (InputError("bad input"), 400, "bad input"),
        (NotFound("no such model"), 404, "no such model"),
        (RateLimited("too often", seconds=7.2), 429, "too often"),
        (ViewRefused("not now"), 503, "not now"),
        (ChainUnreachable("http://secret@rpc is away"), 503, "this cannot be answered now"),
        (ValueError("inside"), 500, "a defect of this server; it was logged"),
    ],
)
async def test_each_refusal_says_whether_to_ask_another(
    http: aiohttp.ClientSession, views: Views, error: OracleError, status: int, message: str
) -> None:
    views.error = error
    assert await _post(http) == (status, {"message": message})


async def test_what_is_to_be_paid_is_said_in_whole_numbers(
    http: aiohttp.ClientSession, views: Views
) -> None:
    views.error = PaymentRequired(
        "pay", reason="stale", price=10**16, total=2**90, signature=b"\x01" * 65
    )
    assert await _post(http) == (
        402,
        {
            "message": "pay",
            "reason": "stale",
            "price": str(10**16),
            "paid": {"total": str(2**90), "signature": "0x" + "01" * 65},
        },
    )
    views.error = PaymentRequired("pay", reason="unpaid", price=1, total=0, signature=b"")
    assert (await _post(http))[1]["paid"] == {"total": "0", "signature": None}
    views.error = PaymentInvalid("not yours")
    assert await _post(http) == (400, {"message": "not yours", "reason": "signature"})


async def test_a_limit_says_when_to_come_again(http: aiohttp.ClientSession, views: Views) -> None:
    views.error = RateLimited("too often", seconds=7.2)
    async with http.get(f"/views/{SENDER}/0x12") as response:
        assert response.headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"sender": SENDER},
        {"sender": SENDER, "data": "1234"},
        {"sender": SENDER, "data": "0x123"},
        {"sender": SENDER, "data": "0x"},
        {"sender": SENDER, "data": 5},
        {"sender": SENDER[:-1], "data": "0x12"},
        {"sender": None, "data": "0x12"},
    ],
)
async def test_what_is_no_question_is_refused(
    http: aiohttp.ClientSession, views: Views, body: object
) -> None:
    status, answer = await _post(http, body)
    assert (status, list(answer)) == (400, ["message"])
    assert not views.asked


async def test_bodies_that_are_none(http: aiohttp.ClientSession, views: Views) -> None:
    async with http.post("/views", data=b"{" * 5) as response:
        assert (response.status, await response.json()) == (
            400,
            {"message": "the question is not JSON"},
        )
    async with http.post("/views", data=b" " * (LARGEST_BODY + 1)) as response:
        assert response.status == 413
    largest = {"sender": SENDER, "data": "0x" + "11" * 99_000}
    assert (await _post(http, largest))[0] == 200
    assert len(views.asked) == 1


async def test_who_asks_is_who_our_own_proxy_saw(http: aiohttp.ClientSession, views: Views) -> None:
    await _post(http)
    await _post(http, headers={"X-Forwarded-For": "1.1.1.1, 2.2.2.2"})
    assert [client for _, client in views.asked] == ["127.0.0.1", "2.2.2.2"]


async def test_those_beyond_the_gate_are_sent_on(http: aiohttp.ClientSession, views: Views) -> None:
    views.open.clear()
    asked = [asyncio.create_task(_post(http)) for _ in range(3)]
    # One is inside and one waits: whichever comes last is told at once.
    (refused,), waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    assert refused.result() == (503, {"message": "busy; try again"})
    views.open.set()
    assert [status for status, _ in await asyncio.gather(*waiting)] == [200, 200]


async def test_there_is_no_gateway_unless_views_are_on(tmp_path: Path) -> None:
    async with (
        served(tmp_path, WebLimits()) as running,
        aiohttp.ClientSession(running.url) as session,
        session.post("/views", json={"sender": SENDER, "data": "0x12"}) as response,
    ):
        assert response.status == 404
