"""Whether an operator that is bound to answer and does not is there at all: its endpoint, once.

An endpoint that is well proves nothing, and nobody must have one; so only one that is announced and
does not answer is spoken of. Ends no wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from oracle.chain.revert_words import moment
from oracle.client import OracleClient
from oracle.client.offchain_lookup import connection_cause
from oracle.client.public_address import PrivateAddress, connector
from oracle.client.waiting import Waiting
from oracle.core.request import RequestState
from oracle.core.types import Address
from oracle.errors import OracleError

_SILENT_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 10.0


@asynccontextmanager
async def told_if_silent(
    client: OracleClient, request_id: bytes, say: Callable[[str], None]
) -> AsyncIterator[Callable[[Waiting], None]]:
    """Gives what is to be told at each look of a wait; says something at most once."""
    bound_since: float | None = None
    asking: asyncio.Task[None] | None = None

    def look(now: Waiting) -> None:
        nonlocal bound_since, asking
        if now.state is not RequestState.ACCEPTED or now.accepted_by is None:
            return
        bound_since = time.monotonic() if bound_since is None else bound_since
        if asking is None and time.monotonic() - bound_since >= _SILENT_SECONDS:
            asking = asyncio.create_task(_ask(client, request_id, now.accepted_by, say))

    try:
        yield look
    finally:
        if asking is not None:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)


async def _ask(
    client: OracleClient, request_id: bytes, operator: Address, say: Callable[[str], None]
) -> None:
    try:
        url = await client.endpoint(operator)
        if url is None or (cause := await _no_answer(url, not client.asks_private)) is None:
            return
        deadline = moment(await client.deadline(request_id))
    except OracleError:  # it is the wait that says what is wrong with the chain's endpoint
        return
    say(
        f"{operator} has not answered, and its endpoint {url} does not answer ({cause}); "
        f"if nothing comes by {deadline}: oracle reclaim 0x{request_id.hex()}"
    )


async def _no_answer(url: str, public_only: bool) -> str | None:
    """Why an HTTP server is not reached there; None where one answers, whatever it says, and where
    none is asked, as the address is private."""
    timeout = aiohttp.ClientTimeout(total=_LOOK_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector(public_only=public_only),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=timeout,
            ) as session,
            session.get(url, allow_redirects=False),
        ):
            return None
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        if isinstance(getattr(error, "os_error", None), PrivateAddress):
            return None
        return connection_cause(error, _LOOK_SECONDS)
