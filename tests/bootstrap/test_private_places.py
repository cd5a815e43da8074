"""What others announced is asked at public addresses only, but of a chain on this machine."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from oracle.bootstrap.connection import asks_private
from oracle.bootstrap.watcher import Places
from oracle.client.trace_reader import ReadLimits
from oracle.core.types import Tier
from oracle.errors import OracleError
from oracle.settings import Settings
from tests.service.fakes import model
from tests.verify.test_places import server

HERE, THERE = "http://127.0.0.1:8545", "https://rpc.example"


@pytest.mark.parametrize(
    ("urls", "told", "asked"),
    [
        (HERE, None, True),
        (THERE, None, False),
        (f"{HERE} {THERE}", None, False),
        (THERE, True, True),
        (HERE, False, False),
    ],
)
def test_private_addresses_are_asked_of_a_chain_on_this_machine_or_as_told(
    urls: str, told: bool | None, asked: bool
) -> None:
    assert asks_private(Settings(rpc_url=urls, private_endpoints=told)) is asked


def test_without_a_chain_none_is_asked(tmp_path: Path) -> None:
    assert not asks_private(Settings(data_dir=tmp_path))


@pytest.mark.parametrize("public_only", [False, True])
async def test_a_watcher_asks_neither_a_uri_nor_an_endpoint_that_is_private(
    tmp_path: Path, public_only: bool
) -> None:
    asked = []

    async def note(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=404)

    limits = ReadLimits(attempts=1, public_only=public_only)
    async with server(note) as url:
        for place in Places(tmp_path, limits)(replace(model(), uri=f"{url}/uri"), url):
            with suppress(OracleError):
                await place.read(bytes(32), Tier.ROUNDED)
    assert bool(asked) is not public_only
