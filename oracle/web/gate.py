"""So many at once, so many that wait, and the rest are asked to come again. Knows no route."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from oracle.web.problems import busy


class Gate:
    """Lets so many in, makes some wait, and turns the rest away."""

    def __init__(self, inside: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(inside)
        self._most = waiting
        self._waiting = 0

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        if self._free.locked() and self._waiting >= self._most:
            raise busy()
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()
