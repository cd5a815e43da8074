"""The connection: which error for which failure, and never a secret in any of them."""

from __future__ import annotations

import logging
import socket
import traceback

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from oracle.chain.rpc import HttpRefusal, Rpc, RpcRefusal, masked
from oracle.errors import ChainUnreachable, ConfigurationError, WrongChain
from tests.support import fault_proxy as faults
from tests.support.anvil import Chain
from tests.support.fault_proxy import EVERY, fault_proxy

SECRETS = ("someone", "swordfish", "k3y", "t0ken")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("http://127.0.0.1:8545/", "http://127.0.0.1:8545"),
        ("https://eth.example/v2/k3y", "https://eth.example/…"),
        ("https://someone:swordfish@eth.example:443/", "https://eth.example:443/…"),
        ("https://eth.example?token=t0ken", "https://eth.example/…"),
        ("http://[::1]:8545/k3y", "http://[::1]:8545/…"),
        ("swordfish", "<malformed url>"),
        ("http://eth.example:swordfish/", "<malformed url>"),
    ],
)
def test_masked(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize("url", ["swordfish", "ws://127.0.0.1/k3y", "http://", "ftp://t0ken"])
def test_only_http_is_taken(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Rpc(url)
    assert not any(secret in str(refused.value) for secret in ("swordfish", "k3y"))


async def test_secrets_stay_out_of_errors_and_logs(
    own_anvil: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    async with fault_proxy(own_anvil.url) as proxy:
        port = proxy.url.rsplit(":", 1)[1]
        url = f"http://someone:swordfish@127.0.0.1:{port}/v2/k3y?token=t0ken"
        failures = [
            faults.http_status(401),
            faults.http_status(429),
            faults.lose_request,
            faults.refuse(-32000, f"cannot serve {url}"),
            faults.delay(0.4),
            faults.answer([1]),
        ]
        with caplog.at_level(logging.DEBUG):
            rpc = await Rpc.connect(url, timeout_seconds=0.2)
            shown = [repr(rpc)]
            for fault in failures:
                proxy.on(EVERY, fault)
                with pytest.raises(ChainUnreachable) as failed:
                    await rpc.code(proxy.url)  # type: ignore[arg-type]
                shown += traceback.format_exception(failed.value)
                proxy.heal()
            await rpc.close()
        for text in (*shown, caplog.text):
            assert not any(secret in text for secret in SECRETS), text


def test_a_missing_scheme_is_named_and_what_was_pasted_is_not_shown() -> None:
    for url in ("localhost:8545", "swordfish", "someone:swordfish@eth.example/k3y"):
        with pytest.raises(ConfigurationError, match="http:// or https:// is missing") as refused:
            Rpc(url)
        shown = f"{refused.value.message} {refused.value.hint}"
        assert not any(secret in shown for secret in ("swordfish", "k3y"))


async def test_a_server_that_is_no_endpoint_is_told_from_a_node_in_trouble(
    own_anvil: Chain,
) -> None:
    async with fault_proxy(own_anvil.url) as proxy:
        rpc = await Rpc.connect(proxy.url)
        for fault, said in (
            (faults.http_status(404), "no JSON-RPC endpoint"),
            (faults.http_status(405), "no JSON-RPC endpoint"),
            (faults.http_status(502), "the chain's node, or what stands before it"),
        ):
            proxy.on(EVERY, fault)
            with pytest.raises(ChainUnreachable) as failed:
                await rpc.code("0x" + "12" * 20)  # type: ignore[arg-type]
            assert said in (failed.value.hint or ""), failed.value
            proxy.heal()
        await rpc.close()


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ChainUnreachable, match=r"(?i)connect") as failed:
        await Rpc.connect(f"http://127.0.0.1:{port}")
    assert f"the chain's node at http://127.0.0.1:{port} runs" in (failed.value.hint or "")


async def test_wrong_chain(own_anvil: Chain) -> None:
    with pytest.raises(WrongChain, match="not chain 1"):
        await Rpc.connect(own_anvil.url, chain_id=1)
    async with await Rpc.connect(own_anvil.url, chain_id=own_anvil.chain_id) as rpc:
        assert rpc.chain_id == own_anvil.chain_id


async def test_a_hung_node_is_given_up(own_anvil: Chain) -> None:
    async with await Rpc.connect(own_anvil.url, timeout_seconds=0.3) as rpc:
        own_anvil.suspend()
        with pytest.raises(ChainUnreachable, match=r"no reply within 0.3 s"):
            await rpc.latest()
        own_anvil.resume()
        await rpc.latest()


async def test_a_restarted_node_is_found_again(own_anvil: Chain) -> None:
    async with await Rpc.connect(own_anvil.url) as rpc:
        own_anvil.kill()
        with pytest.raises(ChainUnreachable):
            await rpc.latest()
        own_anvil.restart()
        assert (await rpc.latest()).number == 0


async def test_a_dropped_connection_is_asked_once_more(own_anvil: Chain) -> None:
    async with fault_proxy(own_anvil.url) as proxy, await Rpc.connect(proxy.url) as rpc:
        proxy.on("eth_blockNumber", faults.lose_reply, times=1)
        assert await rpc.request("eth_blockNumber") == "0x0"
        assert proxy.calls["eth_blockNumber"] == 2
        proxy.on("eth_blockNumber", faults.lose_reply, times=1)
        with pytest.raises(ChainUnreachable, match="dropped"):
            await rpc.request("eth_blockNumber", repeatable=False)
        assert proxy.calls["eth_blockNumber"] == 3


async def test_refusals_keep_their_code(own_anvil: Chain) -> None:
    with pytest.raises(RpcRefusal) as refused:
        await own_anvil.rpc.request("eth_noSuchThing")
    assert refused.value.code == -32601
    async with fault_proxy(own_anvil.url) as proxy, await Rpc.connect(proxy.url) as rpc:
        proxy.on(EVERY, faults.http_status(429))
        with pytest.raises(HttpRefusal) as limited:
            await rpc.latest()
        assert limited.value.status == 429
        assert limited.value.hint is not None


async def test_closing_twice(own_anvil: Chain) -> None:
    rpc = await Rpc.connect(own_anvil.url)
    await rpc.close()
    await rpc.close()


async def test_a_web_page_is_no_endpoint() -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>welcome</html>", content_type="text/html")

    site = web.Application()
    site.router.add_route("*", "/", page)
    async with TestServer(site) as server:
        with pytest.raises(ChainUnreachable, match="not JSON") as failed:
            await Rpc.connect(str(server.make_url("/")))
    assert "no JSON-RPC endpoint" in (failed.value.hint or "")
