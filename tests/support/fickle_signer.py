"""A remote signer in this process that refuses, lies or goes away when it is told to.

Speaks as much of Web3Signer's API as a node asks for. What it refuses with repeats the credentials,
as servers do. Knows nothing of who asks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto

from aiohttp import web
from coincurve import PrivateKey

from oracle.chain.keystore import LocalSigner


class Mood(Enum):
    WELL = auto()
    AWAY = auto()
    REFUSES = auto()
    LIES = auto()


class FickleSigner:
    """One key that is listed, and another that lies are signed with."""

    def __init__(self, secret: bytes, other: bytes, authorization: str) -> None:
        public = PrivateKey(secret).public_key.format(compressed=False)[1:]
        self._public = "0x" + public.hex()
        self._signer = LocalSigner(secret)
        self._other = LocalSigner(other)
        self._authorization = authorization
        self.mood = Mood.WELL
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.mood is Mood.AWAY:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        given = request.headers.get("Authorization", "")
        if self.mood is Mood.REFUSES or given != self._authorization:
            return web.Response(status=401, text=f"{given} may not {request.url}")
        if request.method == "GET":
            return web.json_response([self._public])
        data = bytes.fromhex((await request.json())["data"].removeprefix("0x"))
        signer = self._other if self.mood is Mood.LIES else self._signer
        return web.Response(text="0x" + (await signer.sign(data)).hex())


@asynccontextmanager
async def fickle_signer(
    secret: bytes, other: bytes, authorization: str
) -> AsyncIterator[FickleSigner]:
    """A running one, on a port of the system's choosing."""
    made = FickleSigner(secret, other, authorization)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        made.url = f"http://{host}:{port}"
        yield made
    finally:
        await runner.cleanup()
