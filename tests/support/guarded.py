"""A world in which every secret can be recognised, and all the places where one may be shown.

Each secret stands where an operator has it: passwords, keys and tokens in files of their own, and
those of addresses in their user, password, path and query. Provokes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from typer.testing import CliRunner

from oracle.chain.keystore import CHEAP_ITERATIONS, create_keystore
from oracle.cli.main import app
from oracle.devnet.accounts import Person, secret_of, signer_of
from oracle.storage.heartbeat import HeartbeatFile
from tests.support.canaries import Canaries
from tests.support.fault_proxy import (
    Document,
    Fault,
    FaultProxy,
    Forward,
    fault_proxy,
)
from tests.support.fickle_signer import FickleSigner, fickle_signer
from tests.support.scraping import asked
from tests.support.spoken import Spoken
from tests.support.world import World, until

SIGNER = signer_of(Person.SIGNER).address
PAYER = Person.RELAYER


@dataclass(slots=True)
class Guarded:
    """A world in which everything that is secret can be recognised."""

    world: World
    canaries: Canaries
    proxy: FaultProxy
    signer: FickleSigner
    settings: dict[str, Any]
    private: str = ""
    asked: list[bytes] = field(default_factory=list)

    def look(self, where: str, text: str | bytes) -> None:
        assert not (found := self.canaries.seen_in(text)), f"{where} shows {found}"

    def look_below(self, folder: Path) -> None:
        assert not self.canaries.seen_below(folder)

    def write(self, **changes: Any) -> Path:
        """The settings as a file, which is where the addresses are."""
        path = self.world.write_settings(**{**self.settings, **changes})
        self.canaries.planted.add(path)
        return path


@contextlib.asynccontextmanager
async def guarded_world(world: World) -> AsyncIterator[Guarded]:
    """The world with secrets of its own, an endpoint and a signer that fail on command."""
    canaries = Canaries()
    keys = world.settings.data_dir.parent / "secret"
    password = canaries.new("password")
    password_file = canaries.plant(keys / "password", password + "\n")
    token, page_token = canaries.new("signertoken"), canaries.new("pagetoken")
    keystore = keys / "payer.json"
    create_keystore(keystore, password, secret=secret_of(PAYER), iterations=CHEAP_ITERATIONS)
    canaries.keys |= {"payer": secret_of(PAYER), "signer": secret_of(Person.SIGNER)}
    async with (
        fickle_signer(secret_of(Person.SIGNER), secret_of(PAYER), f"Bearer {token}") as signer,
        fault_proxy(world.chain.rpc.endpoint) as proxy,
    ):
        host = urlsplit(proxy.url).netloc
        settings = {
            "rpc_url": f"http://{canaries.new('rpcuser')}:{canaries.new('rpcpassword')}@{host}"
            f"/v2/{canaries.new('rpcpath')}?key={canaries.new('rpcquery')}",
            "ws_url": f"ws://{canaries.new('wsuser')}:{canaries.new('wspassword')}@{host}"
            f"/v2/{canaries.new('wspath')}?key={canaries.new('wsquery')}",
            "password_file": password_file,
            "signer_keystore": None,
            "signer_url": signer.url,
            "signer_address": SIGNER,
            "signer_auth_file": canaries.plant(keys / "signer-auth", f"Bearer {token}\n"),
            "signer_timeout_seconds": 2.0,
            "sender_keystore": keystore,
            "private_token_file": canaries.plant(keys / "page-token", page_token + "\n"),
            "breaker_failures": 2,
            "stalled_seconds": 1.0,
            "log_level": "debug",
        }
        yield Guarded(world, canaries, proxy, signer, settings)
        world.end_processes()


@contextlib.asynccontextmanager
async def node(guarded: Guarded, **changes: Any) -> AsyncIterator[Spoken]:
    """A node in a process of its own, as people run it, whose log is looked at in the end."""
    world = guarded.world
    running = spoken_on(guarded, guarded.write(**changes), "node", "run")
    beats = HeartbeatFile(world.settings.data_dir / "node.json")

    async def serves() -> bool:
        assert running.running, running.log_file.read_text()
        beat = beats.read()
        guarded.private = (beat.private if beat else None) or ""
        return bool(guarded.private)

    await until(serves)
    yield running
    assert await running.stop() == 0
    guarded.look("the log", running.log_file.read_bytes())
    guarded.look_below(world.settings.data_dir)


def spoken_on(guarded: Guarded, file: Path, *words: str) -> Spoken:
    """A verb that runs on, with these settings, until it is stopped or the test ends."""
    log = guarded.world.settings.data_dir / f"{words[0]}.log"
    running = Spoken(["--config", str(file), *words], log)
    guarded.world._started.append(running.kill)
    return running


# ---- where one may look


async def pages(guarded: Guarded) -> int:
    """Looks at every page of the operator's server that can be reached, and at the public one."""
    world = guarded.world
    beat = json.loads((world.settings.data_dir / "node.json").read_text())
    waiting = [urljoin(guarded.private, path) for path in ("/", "/metrics", "/health", "/ready")]
    waiting += [f"{beat['serving']}/healthz"]
    waiting += [f"{beat['serving']}/receipts/0x{one.hex()}" for one in guarded.asked]
    waiting += [f"{guarded.private}/jobs/0x{one.hex()}" for one in guarded.asked]
    seen: set[str] = set()
    async with aiohttp.ClientSession() as session:
        while waiting and len(seen) < 100:
            url = waiting.pop()
            if url in seen:
                continue
            seen.add(url)
            text, headers = await got(session, url)
            guarded.look(url, text)
            guarded.look(url, headers)
            for link in re.findall(r'(?:href|src|data-events)="([^"#]+)"', text):
                target = urljoin(url, link)
                if target.startswith((guarded.private, beat["serving"])):
                    waiting.append(target)
    return len(seen)


async def got(session: aiohttp.ClientSession, url: str) -> tuple[str, str]:
    """A page; of a stream, its first event."""
    async with session.get(url) as response:
        headers = str(response.headers)
        if response.content_type != "text/event-stream":
            return await response.text(errors="replace"), headers
        return (await response.content.readuntil(b"\n\n")).decode(), headers


VERBS = (
    ("settings",),
    ("node", "status"),
    ("node", "doctor"),
    ("job", "list"),
    ("tx", "list"),
    ("model", "list"),
    ("operator", "status"),
)


async def verbs(guarded: Guarded, *more: tuple[str, ...]) -> None:
    """Looks at what verbs print, for people and for scripts."""
    for verb in (*VERBS, *more):
        for words in (verb, (*verb, "--json")):
            await spoken(guarded, *words)


async def spoken(
    guarded: Guarded, *words: str, file: Path | None = None, env: dict[str, str] | None = None
) -> tuple[int, str]:
    """What a verb prints, looked at."""
    path = file or guarded.world.settings.data_dir / "oracle.toml"
    result = await asyncio.to_thread(
        CliRunner().invoke, app, ["--config", str(path), *words], env=env
    )
    printed = result.output + result.stderr
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    guarded.look(f"oracle {' '.join(words)}", printed)
    return result.exit_code, printed


def in_turn(*faults: Fault) -> Fault:
    """Each in its turn, request by request."""
    turns = itertools.cycle(faults)

    async def fault(asked: Document, forward: Forward) -> Document:
        return await next(turns)(asked, forward)

    return fault


async def health(guarded: Guarded, status: int) -> bool:
    return (await asked(guarded.private, "/health"))[0] == status


async def trouble(guarded: Guarded, where: str) -> bool:
    beat = json.loads((guarded.world.settings.data_dir / "node.json").read_text())
    return where in beat["trouble"]
