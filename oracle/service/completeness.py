"""Whether the logs that were read hold every request that binds the operator.

Nodes lose logs and say nothing. What an operator must never lose is a request it can be slashed
for; those are numbered without a gap (`RequestAccepted.sequence`), and the staking contract has
their count in its state. Knows which numbers are missing, and when it is worth while to read again.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from oracle.core.event import BlockRef, ChainEvent, RequestAccepted
from oracle.core.types import Address
from oracle.errors import ChainUnreachable
from oracle.ports import StakingContract

_log = structlog.get_logger("oracle.watch")


class Completeness:
    """The acceptances of one operator that were read, against the contract's count of them.

    Attributes:
        trouble: what is wrong, in words, or None.
    """

    def __init__(self, staking: StakingContract, operator: Address) -> None:
        self._staking = staking
        self._operator = operator
        # All up to here were read, and these beyond a gap; None: the count is not known yet.
        self._through: int | None = None
        self._beyond: set[int] = set()
        self._read_again_from = 0
        self._pause_blocks = 1
        self.trouble: str | None = None

    async def start(self, cursor: BlockRef | None) -> None:
        """Takes up at a cursor: what lies before it is taken as read."""
        if self._through is None:
            self._through = await self._count(cursor) if cursor else 0

    def note(self, events: Iterable[ChainEvent]) -> None:
        """Remembers the acceptances among events that were read."""
        for event in events:
            if not isinstance(event, RequestAccepted) or event.operator != self._operator:
                continue
            if self._through is None:
                self._through = event.sequence - 1
            if event.sequence > self._through:
                self._beyond.add(event.sequence)
        while self._through is not None and self._through + 1 in self._beyond:
            self._through += 1
            self._beyond.remove(self._through)

    async def rewind(self, ancestor: BlockRef) -> None:
        """Forgets what a reorg undid."""
        count = await self._count(ancestor)
        known = [one for one in (self._through, count) if one is not None]
        self._through = min(known, default=None) if count is not None else None
        self._beyond.clear()

    async def check(self, cursor: BlockRef) -> bool:
        """Compares what was read up to a block with the contract's count as of that block.

        Returns True where some are missing and it is time to read again: with each try that was
        in vain, twice as many blocks are let pass until the next.
        """
        try:
            accepted = await self._staking.accepted(self._operator, cursor.number)
        except ChainUnreachable as error:
            self.trouble = f"the count of requests that bind us cannot be read: {error.message}"
            return False
        if self._through is None:
            self._through = accepted
        missing = accepted - self._through - len(self._beyond)
        if missing <= 0:
            if self.trouble is not None:
                _log.info("logs complete", accepted=accepted)
            self.trouble = None
            self._read_again_from, self._pause_blocks = 0, 1
            return False
        if self.trouble is None:
            _log.warning("logs missing", accepted=accepted, missing=missing)
        self.trouble = (
            f"the node's logs lack {missing} of the {accepted} requests that ever bound us: "
            "an answer to them may be due; use another endpoint if this lasts"
        )
        if cursor.number < self._read_again_from:
            return False
        self._read_again_from = cursor.number + self._pause_blocks
        self._pause_blocks *= 2
        return True

    async def _count(self, block: BlockRef) -> int | None:
        """None where the node no longer has the state of so old a block."""
        try:
            return await self._staking.accepted(self._operator, block.number)
        except ChainUnreachable:
            return None
