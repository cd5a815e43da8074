"""What scenes with answers in views are made of: gateways, questions, and gateways that lie.

The chain is a `World`'s. A lying gateway asks the honest one and changes what it says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from oracle.chain.views_contract import (
    CheckedAnswer,
    read_question,
    read_response,
    write_question,
    write_response,
)
from oracle.client.offchain_lookup import fetch
from oracle.client.view_call import ViewedAnswer
from oracle.core.types import Address
from oracle.core.view_receipt import ViewReceipt
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import ViewRefused
from oracle.ports.views import ViewQuestion
from oracle.service.node import Node
from tests.support.watching import free_port
from tests.support.world import DIGITS, World, digit, until

CALLER = signer_of(Person.REQUESTER)

Lie = Callable[[bytes, ViewReceipt], tuple[bytes, ViewReceipt]]


async def announce_gateways(world: World, *urls: str) -> None:
    owner, views = world.chain.sender(Person.OWNER), world.client.views
    await owner.send(views.address, views.set_gateways_data(list(urls)))


@asynccontextmanager
async def gateway(world: World, **changes: Any) -> AsyncIterator[Node]:
    """A node that answers the digit model in views, at the gateway that the chain names."""
    port = changes.pop("serve_port", None) or free_port()
    await announce_gateways(world, f"http://127.0.0.1:{port}/views")
    async with world.node(**{"views": DIGITS, "serve_port": port} | changes) as node:

        async def leads() -> bool:
            return node.vitals().standing.key_held

        await until(leads)
        yield node


async def viewed(
    world: World, index: int = 0, model: bytes | str = DIGITS, **asked: Any
) -> ViewedAnswer:
    return await world.client.view(model, [digit(index)], **asked)


async def viewed_when_open(world: World, model: bytes | str = DIGITS, **asked: Any) -> ViewedAnswer:
    """Of a node that has only just been started."""

    async def given() -> ViewedAnswer | None:
        try:
            return await viewed(world, model=model, **asked)
        except ViewRefused:
            return None

    found = await until(given)
    assert found is not None
    return found


async def question(
    world: World, index: int = 0, *, caller: Address | None = None, model: bytes | None = None
) -> ViewQuestion:
    """What the contract would send a gateway."""
    return ViewQuestion(
        caller or CALLER.address,
        world.operator,
        model or world.models[DIGITS],
        digit(index).tobytes(),
    )


async def posted(url: str, asked: ViewQuestion, **headers: str) -> tuple[int, dict[str, Any], Any]:
    """Status, body and headers of a question that is put to a gateway by hand."""
    body = {"sender": "0x" + "11" * 20, "data": "0x" + write_question(asked).hex()}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=body, headers=headers) as response,
    ):
        return response.status, await response.json(), response.headers


async def checked(world: World, asked: ViewQuestion, lie: Lie) -> CheckedAnswer:
    """What the contract says to the gateway's answer after somebody has changed it."""
    views = world.client.views
    lookup = await views.lookup(CALLER.address, asked.operator, asked.model_id, asked.input)
    honest = await fetch(lookup, public_only=False)
    return await views.checked(CALLER.address, lookup, write_response(*lie(*read_response(honest))))


@asynccontextmanager
async def serving(answer: Callable[[ViewQuestion], web.Response]) -> AsyncIterator[str]:
    """A gateway of the test's own; its URL."""

    async def respond(request: web.Request) -> web.Response:
        body = await request.json()
        return answer(read_question(bytes.fromhex(body["data"][2:])))

    pages = web.Application()
    pages.router.add_post("/views", respond)
    runner = web.AppRunner(pages)
    await runner.setup()
    try:
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}/views"
    finally:
        await runner.cleanup()
