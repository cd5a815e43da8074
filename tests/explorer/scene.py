"""A running explorer over a world, and requests of every kind for it to show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from oracle.bootstrap.explorer import ExplorerOptions, OpenExplorer, open_explorer
from oracle.core.case import CaseState
from oracle.inference.model_library import ModelLibrary
from tests.support.dishonest import Lying
from tests.support.watching import announce_endpoint, asked, cheat, decided, free_port, watching
from tests.support.world import World, until

DOT = 2
"""The first weighted sum of the digit model."""


@asynccontextmanager
async def exploring(world: World, **options: Any) -> AsyncIterator[OpenExplorer]:
    async with open_explorer(world.settings, ExplorerOptions(**options)) as opened:
        yield opened


async def convicted(world: World) -> bytes:
    """A request whose operator lied about one sum, and was convicted."""
    port = free_port()
    await announce_endpoint(world, f"http://127.0.0.1:{port}")
    lying = Lying(ModelLibrary(world.settings.model_store), DOT)
    async with cheat(world, lying, serve_port=port):
        made = await asked(world, window=600)  # a busy machine convicts in time, too
        async with watching(world, announce=False) as opened:
            case = await decided(opened, made.id)
            assert case.state is CaseState.CONVICTED, case
    return made.id


async def indexed(opened: OpenExplorer, request_id: bytes, *states: str) -> dict[str, Any]:
    """A request as the API has it, once it stands in one of these states."""
    address = f"{opened.address}/api/requests/0x{request_id.hex()}"

    async def there() -> dict[str, Any] | None:
        async with aiohttp.ClientSession() as session, session.get(address) as response:
            found: dict[str, Any] = await response.json()
            return found if found.get("state") in states else None

    found = await until(there)
    assert found is not None
    return found


async def checked(opened: OpenExplorer, request_id: bytes) -> dict[str, Any]:
    """A verification, when it is over."""
    address = f"{opened.address}/api/requests/0x{request_id.hex()}/checks"
    async with aiohttp.ClientSession() as session:
        async with session.post(address) as response:
            assert response.status == 202, await response.text()

        async def over() -> dict[str, Any] | None:
            async with session.get(address) as response:
                found: dict[str, Any] = await response.json()
                return found if found["state"] in ("done", "failed") else None

        found = await until(over)
    assert found is not None
    return found
