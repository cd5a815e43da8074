"""Demands to reveal: where they come from, and which were seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from oracle.core.dispute import RevealDemand
from oracle.core.types import Address


class DemandSource(Protocol):
    async def demands(
        self, first_block: int, last_block: int, operator: Address
    ) -> Sequence[RevealDemand]:
        """Demands on answers of an operator in an inclusive range. Raises ChainUnreachable."""
        ...


class DemandStore(Protocol):
    """Demands on our answers, and how far they were looked for."""

    async def cursor(self) -> int | None:
        """The last block whose demands are in the store."""
        ...

    async def note(
        self, last_block: int | None, found: Sequence[RevealDemand]
    ) -> Sequence[RevealDemand]:
        """Adds demands and moves the cursor, all or nothing; those that are new.

        Args:
            last_block: where the cursor is to stand; None leaves it.
        """
        ...

    async def count(self, request_id: bytes | None = None) -> int:
        """How many were ever noted, of one request or of all."""
        ...

    async def pending(self) -> Sequence[RevealDemand]:
        """Those not known to be over, the most urgent first."""
        ...

    async def close(self, demand: RevealDemand) -> None: ...

    async def closed(self, found: Sequence[RevealDemand]) -> Sequence[RevealDemand]:
        """Those of them that were closed."""
        ...

    async def reopen(self, demand: RevealDemand) -> None:
        """A demand that was closed is pending on the chain all the same."""
        ...
