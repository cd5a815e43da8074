"""Whether the index has every request that ever bound an operator, by the contract's own counts.

Endpoints leave logs out and say nothing. Knows how many are missing of which operator, not which,
and from which block on it is worth while to read again. Reads no log itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

from oracle.core.event import BlockRef
from oracle.core.types import Address
from oracle.errors import ChainUnreachable

_log = structlog.get_logger("oracle.explorer")

EVERY_SECONDS: Final = 600.0
_FIRST_PAUSE_SECONDS: Final = 15.0
_LONGEST_PAUSE_SECONDS: Final = 3_600.0
_AT_ONCE: Final = 8


class Counts(Protocol):
    """The staking contract's."""

    async def accepted(self, operator: Address, block: int) -> int:
        """How many requests had ever bound an operator, as of a block. Raises ChainUnreachable."""
        ...


class Bound(Protocol):
    """The index's."""

    async def bound(self) -> Mapping[Address, int]:
        """How many requests ever bound each operator that it knows, as of its cursor."""
        ...


class Completeness:
    """Counts once in a while, and sooner again where something is missing.

    Attributes:
        trouble: what is missing, in words; None where nothing is, or nothing was counted yet.
    """

    def __init__(
        self,
        counts: Counts,
        index: Bound,
        start_block: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counts = counts
        self._index = index
        self._clock = clock
        self._complete_to = start_block - 1
        self._due_at = clock()
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self.trouble: str | None = None

    async def check(self, cursor: BlockRef) -> int | None:
        """The block from which on to read again up to the cursor; None where that is not due."""
        if self._clock() < self._due_at:
            return None
        complete = await self.complete(cursor)
        if complete:
            self._due_at = self._clock() + EVERY_SECONDS
            self._pause_seconds = _FIRST_PAUSE_SECONDS
            return None
        self._due_at = self._clock() + self._pause_seconds
        self._pause_seconds = min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS)
        return None if complete is None else self._complete_to + 1

    async def complete(self, cursor: BlockRef) -> bool | None:
        """Compares with the counts as of the cursor, and says in `trouble` what came of it.

        None where they cannot be read.
        """
        index = await self._index.bound()
        turn = asyncio.Semaphore(_AT_ONCE)

        async def missing(operator: Address) -> int:
            async with turn:
                accepted = await self._counts.accepted(operator, cursor.number)
            return max(0, accepted - index[operator])

        try:
            found = await asyncio.gather(*map(missing, index))
        except ChainUnreachable as error:
            self.trouble = f"the operators' counts of requests cannot be read: {error.message}"
            return None
        lacking = {who: count for who, count in zip(index, found, strict=True) if count}
        if not lacking:
            if self.trouble is not None:
                _log.info("logs complete", block=cursor.number)
            self.trouble = None
            self._complete_to = cursor.number
            return True
        if self.trouble is None:
            _log.warning("logs missing", missing=sum(found), operators=" ".join(lacking))
        self.trouble = (
            f"the endpoint's logs lack {sum(found)} of the requests that bound "
            f"{', '.join(sorted(lacking))}, by the contract's own count: if this lasts, name "
            "another endpoint in rpc_url"
        )
        return False

    def rewound(self, number: int) -> None:
        """The index was taken back to a block, or to before the first, where that is -1."""
        self._complete_to = min(self._complete_to, number)
