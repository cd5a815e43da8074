"""One file over HTTP from somebody who need not mean well: bounded in bytes and in time.

Follows no redirects, keeps no cookies, and reads no more than it was told to. Does not know what it
fetches: whoever asked checks the bytes.
"""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp

from oracle.client.public_address import connector
from oracle.core.endpoint import checked_endpoint
from oracle.errors import InputError, NotFound

PIECE_BYTES: Final = 1 << 16


async def fetch(url: str, *, largest: int, seconds: float, public_only: bool = False) -> bytes:
    """The body of a successful answer.

    Args:
        public_only: whether a private address is refused, of whatever name.

    Raises:
        NotFound: no such URL, no answer in time, another status than 200, or too many bytes.
    """
    try:
        checked_endpoint(url)
    except InputError as error:
        raise NotFound(error.message) from None
    limit = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector(public_only=public_only),
                timeout=limit,
                cookie_jar=aiohttp.DummyCookieJar(),
            ) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise NotFound(f"{url} answers HTTP {response.status}")
            return await _body(response, url, largest)
    except TimeoutError:
        raise NotFound(f"{url} gives no whole answer within {seconds:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise NotFound(f"{url} does not answer: {type(error).__name__}") from None


async def _body(response: aiohttp.ClientResponse, url: str, largest: int) -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_chunked(PIECE_BYTES):
        size += len(piece)
        if size > largest:
            raise NotFound(f"{url} gives more than {largest:,} bytes")
        pieces.append(piece)
        await asyncio.sleep(0)  # a body that always has more must not keep the time limit waiting
    return b"".join(pieces)
