"""Tells a development chain of this machine from every other. Refuses nothing itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from oracle.chain.rpc import Rpc

_LOCAL_HOSTS: Final = ("127.0.0.1", "localhost", "::1")
_LOCAL_CLIENTS: Final = ("anvil/", "hardhat")
_SHOWN_CHARACTERS: Final = 40


async def stranger(rpc: Rpc, urls: Iterable[str]) -> str | None:
    """What a node calls itself that is elsewhere or no development node, else None.

    Args:
        urls: all that `rpc` may ask.

    Raises:
        ChainUnreachable: it does not say what it is.
    """
    version = str(await rpc.request("web3_clientVersion"))
    here = all(urlsplit(url).hostname in _LOCAL_HOSTS for url in urls)
    if here and version.lower().startswith(_LOCAL_CLIENTS):
        return None
    return version[:_SHOWN_CHARACTERS]
