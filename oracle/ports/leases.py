"""Who leads what among workers that share a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

CHAIN_LEASE: Final = "chain"
"""Whose holder reads the chain, takes requests on and settles."""


WORKER_LEASE_PREFIX: Final = "key:"
"""Before a chain id and a sending key: whoever has that lease is a worker that lives."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Something that one worker leads, for so much longer unless it is prolonged."""

    name: str
    holder: str
    seconds_left: float


class LeaseStore(Protocol):
    """Who leads what, by the database's clock, as one worker sees it."""

    @property
    def holder(self) -> str:
        """This worker's own name, which no other ever has."""
        ...

    async def hold(self, names: Sequence[str], seconds: float) -> Mapping[str, str]:
        """Takes or prolongs leases in this order, up to the first that another holds.

        Returns who holds each of those that were tried. Raises StorageError.
        """
        ...

    async def release(self, names: Sequence[str]) -> None:
        """Lets go of leases, those of them that are this worker's. Raises StorageError."""
        ...

    async def live(self) -> Sequence[Lease]:
        """All leases whose life is not over. Raises StorageError."""
        ...
