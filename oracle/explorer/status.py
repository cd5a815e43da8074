"""What chain the index is of, how far it has come, and what is wrong, if anything."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

from oracle.chain.deployment import Deployment
from oracle.core.event import BlockRef
from oracle.storage.explorer_lookup import ExplorerLookup


@dataclass(frozen=True, slots=True)
class Progress:
    """Blocks read, of how many; `trouble` is what keeps it from reading on."""

    block: int | None
    head: int | None
    time: int | None
    trouble: str | None

    @property
    def behind(self) -> int:
        """Blocks that are not read yet."""
        if self.head is None:
            return 0
        return max(0, self.head - (self.block if self.block is not None else 0))


class Following(Protocol):
    """Who keeps the index up."""

    head: BlockRef | None
    trouble: str | None


class Status:
    """Of one explorer."""

    def __init__(self, lookup: ExplorerLookup, follow: Following, deployment: Deployment) -> None:
        self._lookup = lookup
        self._follow = follow
        self.deployment = deployment

    async def progress(self) -> Progress:
        cursor = await self._lookup.cursor()
        head = self._follow.head
        return Progress(
            block=None if cursor is None else cursor.number,
            head=None if head is None else head.number,
            time=None if cursor is None else cursor.timestamp,
            trouble=self._follow.trouble,
        )

    async def now(self) -> int:
        """The chain's time as of the index; by the clock, before there is any."""
        cursor = await self._lookup.cursor()
        return int(time.time()) if cursor is None else cursor.timestamp

    async def document(self) -> dict[str, Any]:
        """For scripts."""
        found, deployed = await self.progress(), self.deployment
        return {
            "chain_id": deployed.chain_id,
            "contracts": {
                "oracle": deployed.oracle,
                "staking": deployed.staking,
                "registry": deployed.registry,
                "court": deployed.court,
                "token": deployed.token,
            },
            "block": found.block,
            "time": found.time,
            "head": found.head,
            "trouble": found.trouble,
        }
