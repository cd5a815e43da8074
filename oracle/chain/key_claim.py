"""A key is one database's on this machine: whoever serves from another is refused.

Only within one database is it on record what was signed and which nonces are used. Responsible for
telling the databases of two processes apart before either signs; the system gives a claim back when
its process dies. Sees this user's processes on this machine with the same TMPDIR, and no others.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias

from oracle.chain.turn import lock_folder, open_lock, turn
from oracle.core.types import Address
from oracle.errors import KeyInUse

Claims: TypeAlias = Callable[[Iterable[Address]], Awaitable[None]]
"""Holds further keys as long as the first ones; raises KeyInUse."""


@asynccontextmanager
async def keys_claimed(
    chain_id: int, genesis_hash: bytes, addresses: Iterable[Address], database: str
) -> AsyncIterator[Claims]:
    """Holds keys for a database, beside whoever holds them for the same.

    Args:
        genesis_hash: tells local chains apart, which all have one id and the same keys.

    Yields what holds keys that are read later.

    Raises:
        KeyInUse: another process holds one for another database.
        ConfigurationError: the folder of the locks cannot be used.
    """
    async with AsyncExitStack() as held:
        known: set[Address] = set()

        async def claim(more: Iterable[Address]) -> None:
            for address in sorted(set(more) - known):
                await held.enter_async_context(_claimed(chain_id, genesis_hash, address, database))
                known.add(address)

        await claim(addresses)
        yield claim


@asynccontextmanager
async def _claimed(
    chain_id: int, genesis_hash: bytes, address: Address, database: str
) -> AsyncIterator[None]:
    path = lock_folder() / f"{chain_id}-{genesis_hash.hex()[:16]}-{address}-database.lock"
    lock = open_lock(path)
    try:
        # One at a time: a lock that is first exclusive and then shared is free in between.
        async with turn(chain_id, address, "claim"):
            await asyncio.to_thread(_share, lock, address, database)
        yield
    finally:
        os.close(lock)


def _share(lock: int, address: Address, database: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if os.pread(lock, 200, 0).decode(errors="replace") != database:
            raise KeyInUse(
                f"a node on this machine signs with {address} for another database",
                hint="several workers of one key share one database (docs/operations.md); "
                "end the other node, or point both at the same database",
            ) from None
    else:
        os.ftruncate(lock, 0)
        os.pwrite(lock, database.encode(), 0)
    fcntl.flock(lock, fcntl.LOCK_SH)
