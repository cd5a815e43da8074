"""A remote signer in a process of its own: Web3Signer's eth1 API over encrypted keystores.

    python -m tests.support.signer_server PORT PASSWORD_FILE [--authorization HEADER] KEYSTORE...

Signs whatever it is given, and counts it. `--as` makes it a liar: it lists the first key and signs
with the second. Prints its address when it serves.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from aiohttp import web
from coincurve import PrivateKey
from eth_account import Account

from oracle.chain.keystore import LocalSigner, read_password


def serve() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("password_file", type=Path)
    parser.add_argument("keystores", type=Path, nargs="+")
    parser.add_argument("--authorization")
    parser.add_argument("--liar", action="store_true")
    asked = parser.parse_args()
    keys = [_key(path, read_password(asked.password_file)) for path in asked.keystores]
    signers = {public: LocalSigner(secret) for public, secret in keys}
    if asked.liar:
        (first, _), (_, second) = keys
        signers = {first: LocalSigner(second)}
    web.run_app(
        _application(signers, asked.authorization),
        host="127.0.0.1",
        port=asked.port,
        print=lambda _: print("serving", flush=True),
        access_log=None,
    )


def _key(path: Path, password: str) -> tuple[str, bytes]:
    secret = bytes(Account.decrypt(json.loads(path.read_text()), password))
    public = PrivateKey(secret).public_key.format(compressed=False)[1:]
    return "0x" + public.hex(), secret


def _application(signers: dict[str, LocalSigner], authorization: str | None) -> web.Application:
    async def sign(request: web.Request) -> web.Response:
        if authorization and request.headers.get("Authorization") != authorization:
            return web.Response(status=401)
        key = signers.get(request.match_info["identifier"])
        if key is None:
            return web.Response(status=404)
        try:
            data = bytes.fromhex((await request.json())["data"].removeprefix("0x"))
        except (ValueError, KeyError, TypeError, AttributeError):
            return web.Response(status=400)
        return web.Response(text="0x" + (await key.sign(data)).hex())

    async def public_keys(request: web.Request) -> web.Response:
        if authorization and request.headers.get("Authorization") != authorization:
            return web.Response(status=401)
        return web.json_response(list(signers))

    async def up(request: web.Request) -> web.Response:
        return web.Response(text="OK")

    application = web.Application(client_max_size=4 << 20)
    application.router.add_post("/api/v1/eth1/sign/{identifier}", sign)
    application.router.add_get("/api/v1/eth1/publicKeys", public_keys)
    application.router.add_get("/upcheck", up)
    return application


class SignerServer:
    """The process, to be killed and started again at the same address."""

    def __init__(self, password_file: Path, *keystores: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        self._password_file = password_file
        self._keystores = keystores
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self, *options: str, keystores: tuple[Path, ...] = ()) -> None:
        files = [str(path) for path in keystores or self._keystores]
        self._process = subprocess.Popen(  # noqa: ASYNC220 - takes no time
            [
                *(sys.executable, "-m", "tests.support.signer_server"),
                *(str(self._port), str(self._password_file), *files, *options),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = await asyncio.to_thread(self._process.stdout.readline)
        assert line == "serving\n", "the remote signer did not start"

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


if __name__ == "__main__":
    serve()
