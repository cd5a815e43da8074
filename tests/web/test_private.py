"""Who is let into the operator's own server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from oracle.web.private import AllowedHosts, Part, allowed_hosts, private_application

Client = TestClient[web.Request, web.Application]


async def _told(_request: web.Request) -> web.Response:
    return web.Response(text="told")


@pytest.fixture
async def http() -> AsyncIterator[Client]:
    part = Part([web.get("/", _told), web.post("/act", _told)])
    site = private_application([part], hosts=allowed_hosts("127.0.0.1", ["Node.internal"]))
    async with TestClient(TestServer(site)) as client:
        yield client


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9", 200),
        ("127.8.8.8", 200),
        ("localhost:80", 200),
        ("LOCALHOST", 200),
        ("[::1]:80", 200),
        ("node.internal:80", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:80", 421),
        ("10.0.0.7", 421),
        ("", 421),
    ],
)
async def test_only_its_own_names_are_answered(http: Client, host: str, status: int) -> None:
    """A stranger's name that was made to lead here (DNS rebinding) gets nothing."""
    response = await http.get("/", headers={"Host": host})
    assert response.status == status
    if status != 200:
        assert "told" not in await response.text()


def test_a_server_on_all_addresses_is_asked_by_address() -> None:
    everywhere = allowed_hosts("0.0.0.0")
    assert everywhere.allow("10.0.0.7:9400")
    assert not everywhere.allow("evil.example")
    assert AllowedHosts().allow("[::1]")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403),
    ],
)
async def test_another_site_s_page_reads_nothing(
    http: Client, headers: dict[str, str], status: int
) -> None:
    assert (await http.get("/", headers=headers)).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_another_site_s_page_acts_on_nothing(
    http: Client, headers: dict[str, str], status: int
) -> None:
    assert (await http.post("/act", headers=headers)).status == status


async def test_every_answer_keeps_the_page_to_itself(http: Client) -> None:
    for response in (await http.get("/"), await http.get("/nothing"), await http.delete("/")):
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cache-Control"] == "no-store"
    assert (await http.delete("/")).status == 405


async def test_what_it_says_is_for_no_other_origin(http: Client) -> None:
    response = await http.get("/", headers={"Origin": "http://evil.example"})
    assert not [one for one in response.headers if one.startswith("Access-Control")]
    assert isinstance(response, aiohttp.ClientResponse)
