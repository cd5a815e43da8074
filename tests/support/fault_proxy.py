"""A JSON-RPC proxy that fails on command: put it between the code under test and an anvil.

Faults are set per method and wear off after a number of requests, or stay until `heal`. Each is one
of the small functions below. Knows nothing of who asks.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import aiohttp
from aiohttp import web

Document: TypeAlias = dict[str, Any]
Forward: TypeAlias = Callable[[Document], Awaitable[Document]]
Fault: TypeAlias = Callable[[Document, Forward], Awaitable[Document]]
"""Takes a request and the way to the node, and gives a response (or raises one of those below)."""

EVERY = "*"


class Dropped(Exception):
    """The connection is closed without an answer."""


@dataclass
class Status(Exception):
    """An HTTP status instead of an answer."""

    code: int
    headers: dict[str, str] | None = None


@dataclass
class _Rule:
    method: str
    fault: Fault
    left: int | None


class FaultProxy:
    """The proxy. `calls` counts what was asked, by method."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.url = ""
        self.calls: Counter[str] = Counter()
        self._rules: list[_Rule] = []
        self._session: aiohttp.ClientSession | None = None

    def on(self, method: str, fault: Fault, *, times: int | None = None) -> None:
        """Has requests of a method (or EVERY one) fail, `times` times or until `heal`."""
        self._rules.append(_Rule(method, fault, times))

    def heal(self) -> None:
        self._rules.clear()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        asked: Document = await request.json()
        self.calls[asked["method"]] += 1
        rule = self._matching(asked["method"])
        try:
            if rule is None:
                answer = await self.forward(asked)
            else:
                answer = await rule.fault(asked, self.forward)
        except Dropped:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        except Status as status:
            return web.Response(status=status.code, text="no", headers=status.headers)
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], **answer})

    async def forward(self, asked: Document) -> Document:
        """What the node says: `result` or `error`."""
        assert self._session is not None
        async with self._session.post(self.target, json=asked) as response:
            answer: Document = json.loads(await response.read())
        return {key: answer[key] for key in ("result", "error") if key in answer}

    def _matching(self, method: str) -> _Rule | None:
        for rule in self._rules:
            if rule.method in (method, EVERY) and rule.left != 0:
                if rule.left is not None:
                    rule.left -= 1
                return rule
        return None


@asynccontextmanager
async def fault_proxy(target: str) -> AsyncIterator[FaultProxy]:
    """A running proxy on a port of the system's choosing."""
    proxy = FaultProxy(target)
    application = web.Application(client_max_size=64 * 2**20)
    application.router.add_post("/{path:.*}", proxy.serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        proxy.url = f"http://{host}:{port}"
        async with aiohttp.ClientSession() as session:
            proxy._session = session
            yield proxy
    finally:
        await runner.cleanup()


# ---- faults


async def lose_reply(asked: Document, forward: Forward) -> Document:
    """The node does it, and nobody hears of it."""
    await forward(asked)
    raise Dropped


async def lose_request(asked: Document, forward: Forward) -> Document:
    """The node never hears of it."""
    raise Dropped


def http_status(code: int, *, retry_after: object = None) -> Fault:
    """429, 413, 503 and the like."""
    headers = None if retry_after is None else {"Retry-After": str(retry_after)}

    async def fault(asked: Document, forward: Forward) -> Document:
        raise Status(code, headers)

    return fault


def refuse(code: int, message: str, data: object = None) -> Fault:
    """A JSON-RPC error."""

    async def fault(asked: Document, forward: Forward) -> Document:
        error = {"code": code, "message": message}
        return {"error": error if data is None else {**error, "data": data}}

    return fault


def answer(result: object) -> Fault:
    """The same result, whatever is asked: another chain id, a frozen head."""

    async def fault(asked: Document, forward: Forward) -> Document:
        return {"result": result}

    return fault


def change(transform: Callable[[Any], Any]) -> Fault:
    """The node's result, changed: logs left out, doubled or reversed."""

    async def fault(asked: Document, forward: Forward) -> Document:
        given = await forward(asked)
        return {"result": transform(given["result"])} if "result" in given else given

    return fault


def delay(seconds: float) -> Fault:
    """The node's answer, late."""

    async def fault(asked: Document, forward: Forward) -> Document:
        await asyncio.sleep(seconds)
        return await forward(asked)

    return fault


def frozen(head: int) -> Fault:
    """A node that stands still at a block, and does what nodes do with what lies beyond it."""
    tag = hex(head)

    def beyond(document: Any) -> bool:
        return isinstance(document, dict) and int(document.get("blockNumber") or "0x0", 16) > head

    async def fault(asked: Document, forward: Forward) -> Document:
        method, parameters = asked["method"], list(asked.get("params") or [])
        if method == "eth_blockNumber":
            return {"result": tag}
        if method == "eth_getBlockByNumber":
            if parameters[0].startswith("0x") and int(parameters[0], 16) > head:
                return {"result": None}
            if parameters[0] in ("latest", "pending"):
                parameters[0] = tag
        elif method == "eth_getLogs" and "blockHash" in parameters[0]:
            given = await forward(asked)
            if any(beyond(log) for log in given.get("result", ())):
                return {"error": {"code": -32000, "message": "unknown block"}}
            return given
        elif method == "eth_getLogs":
            criteria = dict(parameters[0])
            if int(criteria["fromBlock"], 16) > head:
                return {"result": []}
            criteria["toBlock"] = hex(min(head, int(criteria["toBlock"], 16)))
            parameters[0] = criteria
        elif parameters and parameters[-1] in ("latest", "pending"):
            parameters[-1] = tag
        given = await forward({**asked, "params": parameters})
        if method in ("eth_getTransactionReceipt", "eth_getTransactionByHash"):
            return {"result": None} if beyond(given.get("result")) else given
        return given

    return fault


def limit_range(blocks: int) -> Fault:
    """Log queries over more than so many blocks are refused."""

    async def fault(asked: Document, forward: Forward) -> Document:
        criteria = asked["params"][0]
        if (
            "blockHash" not in criteria
            and int(criteria["toBlock"], 16) - int(criteria["fromBlock"], 16) >= blocks
        ):
            return {"error": {"code": -32005, "message": f"block range over {blocks} blocks"}}
        return await forward(asked)

    return fault


def after(step: Callable[[], Awaitable[object]]) -> Fault:
    """The node's answer, and then something happens before it arrives."""

    async def fault(asked: Document, forward: Forward) -> Document:
        given = await forward(asked)
        await step()
        return given

    return fault
