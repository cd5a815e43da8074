"""The chain as it is read: blocks, and the oracle's events of a range from one fork."""

from __future__ import annotations

from typing import Protocol

from oracle.core.event import BlockRef, LogBatch
from oracle.core.typed_data import Domain


class HeadReader(Protocol):
    async def head(self) -> BlockRef:
        """The head. Raises ChainUnreachable."""
        ...


class ChainReader(Protocol):
    """Blocks and the oracle's events. Every method raises ChainUnreachable on a dead endpoint."""

    @property
    def domain(self) -> Domain: ...

    @property
    def genesis_hash(self) -> bytes: ...

    async def head(self) -> BlockRef: ...

    async def block(self, number: int) -> BlockRef | None:
        """The canonical block at this height, or None past the head."""
        ...

    async def finalised(self) -> BlockRef | None:
        """The newest block that the node calls final, or None where it calls none so."""
        ...

    async def events(self, first_block: int, last_block: int) -> LogBatch:
        """All oracle events of an inclusive range, in order, from one fork.

        Raises:
            ReorgDetected: the chain changed while it was read; read again.
        """
        ...
