"""A stranger's gateway: what it may cost, where it may lead, and what it may say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from oracle.bootstrap.devnet import free_port
from oracle.chain.views_contract import OffchainLookup, read_question, write_question
from oracle.client.offchain_lookup import fetch, is_local
from oracle.core.types import Address
from oracle.errors import InputError, ViewRefused
from oracle.ports.views import ViewQuestion
from oracle.web import Server

SENDER = Address("0xABcdEFABcdEFabcdEfAbCdefabcdeFABcDEFabCD")


class Gateway:
    """Answers by path; `seen` is what it was asked."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.url = ""

    async def posted(self, request: web.Request) -> web.Response:
        self.seen.append(await request.json())
        match request.path:
            case "/good":
                return web.json_response({"data": "0x1234"})
            case "/large":
                return web.json_response({"data": "0x" + "11" * (1 << 20)})
            case "/elsewhere":
                raise web.HTTPFound("/good")
            case "/loud":
                return web.json_response({"message": "\x1b[31mred\n" + "x" * 500}, status=400)
            case "/absent":
                return web.Response(text="<html>", status=404)
            case "/mute":
                return web.Response(text="<html>", status=400)
        return web.json_response({"data": 5})

    async def asked(self, request: web.Request) -> web.Response:
        self.seen.append(dict(request.match_info))
        return web.json_response({"data": "0x5678"})


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = Gateway()
    pages = web.Application()
    pages.router.add_get("/get/{sender}/{data}", made.asked)
    pages.router.add_post("/{path}", made.posted)
    async with Server(pages, host="127.0.0.1", port=0) as server:
        assert server.address is not None
        made.url = server.address
        yield made


def _lookup(*urls: str) -> OffchainLookup:
    return OffchainLookup(SENDER, urls, b"\x0a\x0b", b"\x01\x02\x03\x04", b"extra")


async def test_a_template_with_data_is_fetched_and_any_other_is_posted_to(gateway: Gateway) -> None:
    assert await fetch(_lookup(f"{gateway.url}/good"), public_only=False) == b"\x12\x34"
    assert gateway.seen.pop() == {"sender": SENDER.lower(), "data": "0x0a0b"}
    template = gateway.url + "/get/{sender}/{data}"
    assert await fetch(_lookup(template), public_only=False) == b"\x56\x78"
    assert gateway.seen.pop() == {"sender": SENDER.lower(), "data": "0x0a0b"}


async def test_what_is_no_answer_is_passed_over(gateway: Gateway) -> None:
    for path in ("large", "elsewhere", "strange"):
        with pytest.raises(ViewRefused, match="no gateway gives an answer"):
            await fetch(_lookup(f"{gateway.url}/{path}"), public_only=False)
    bad = ["ftp://host/x", "https://user:word@host/x", "not a url", f"{gateway.url}/large"]
    found = await fetch(_lookup(*bad, f"{gateway.url}/good"), public_only=False)
    assert found == b"\x12\x34"
    with pytest.raises(ViewRefused):
        await fetch(_lookup(), public_only=False)


async def test_what_a_gateway_says_is_cut_and_cannot_write_to_a_terminal(gateway: Gateway) -> None:
    with pytest.raises(ViewRefused) as loud:
        await fetch(_lookup(f"{gateway.url}/loud"), public_only=False)
    assert "\x1b" not in loud.value.message
    assert "\n" not in loud.value.message
    assert "[31mred" in loud.value.message
    assert len(loud.value.message) < 300
    with pytest.raises(ViewRefused, match="HTTP 400"):
        await fetch(_lookup(f"{gateway.url}/mute"), public_only=False)


async def test_an_operator_without_views_is_told_from_one_that_refuses(gateway: Gateway) -> None:
    with pytest.raises(ViewRefused, match="its operator answers no model in views now") as refused:
        await fetch(_lookup(f"{gateway.url}/absent"), public_only=False)
    assert "oracle request" in (refused.value.hint or "")


async def test_of_a_public_chain_only_https_on_public_addresses_is_asked(gateway: Gateway) -> None:
    inside = gateway.url.replace("http:", "https:")
    with pytest.raises(ViewRefused) as refused:
        await fetch(_lookup(f"{gateway.url}/good", f"{inside}/good"), public_only=True)
    assert "not https" in refused.value.message
    assert "127.0.0.1 is not a public address" in refused.value.message
    assert not gateway.seen


async def test_a_node_that_is_down_is_said_to_be_in_plain_words() -> None:
    here = f"http://127.0.0.1:{free_port()}/views"
    with pytest.raises(ViewRefused) as refused:
        await fetch(_lookup(here), public_only=False)
    assert refused.value.message.endswith(": nobody listens there (connection refused)")
    assert "ssl" not in refused.value.message
    assert "is it running" in (refused.value.hint or "")
    with pytest.raises(ViewRefused) as refused:
        await fetch(_lookup("https://gateway.invalid/views"), public_only=True)
    assert "ssl" not in refused.value.message
    assert "ask another operator" in (refused.value.hint or "")


def test_a_chain_on_this_machine_is_told_from_others() -> None:
    assert is_local("http://127.0.0.1:8545")
    assert is_local("http://localhost")
    assert is_local("http://[::1]:1")
    assert not is_local("https://rpc.example/127.0.0.1")
    assert not is_local("http://127.0.0.1.example")


def test_a_question_is_written_and_read() -> None:
    question = ViewQuestion(SENDER, Address("0x" + "00" * 19 + "01"), bytes(range(32)), b"input")
    calldata = write_question(question)
    assert read_question(calldata) == question
    for bad in (b"", calldata[:3], b"\x00" * 4 + calldata[4:], calldata[:-32], calldata[:40]):
        with pytest.raises(InputError):
            read_question(bad)
