"""Whether the logs that were read hold everything that the operator can be slashed for.

Nodes lose logs and say nothing. What an operator must never lose is a request that binds it, and a
demand on an answer of its own; the contracts have the count of each in their state, and what was
read should hold as many. Both are asked each time, so nothing is forgotten by a crash between a
loss and its discovery. Knows how many are missing, not which, and when it is worth while to read
again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import structlog

from oracle.core.event import BlockRef
from oracle.core.types import Address
from oracle.errors import ChainUnreachable
from oracle.ports.contracts import CourtContract, StakingContract
from oracle.ports.demands import DemandStore
from oracle.ports.jobs import JobStore

_log = structlog.get_logger("oracle.watch")

Count: TypeAlias = Callable[[int], Awaitable[int]]
"""How many there are, up to a block."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What is counted twice.

    Attributes:
        what: the things, in words; `stake` says what may be lost with them, and what mends it.
        on_chain, read: how many a contract has counted, and how many logs told of.
    """

    what: str
    stake: str
    on_chain: Count
    read: Count


def acceptances(staking: StakingContract, jobs: JobStore, operator: Address) -> Counted:
    """Requests that bind an operator, in its job table."""
    return Counted(
        "requests that ever bound us",
        "an answer to them may be due; if this lasts, use another endpoint and read the blocks in "
        "question again with `oracle chain replay`",
        partial(staking.accepted, operator),
        jobs.bound,
    )


def demands_on(court: CourtContract, demands: DemandStore, operator: Address) -> Counted:
    """Demands on an operator's answers. Those that a reorg took back for good stay counted."""

    async def read(_: int) -> int:
        return await demands.count()

    return Counted(
        "demands that were ever made of us",
        "the bond of an answer may be lost; if this lasts, use another endpoint",
        partial(court.demands_against, operator),
        read,
    )


class Completeness:
    """What logs told of, against a contract's count of it.

    Attributes:
        trouble: what is wrong, in words, or None.
        missing: how many no log has told of, as of the last look.
    """

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._read_again_from = 0
        self._pause_blocks = 1
        self.trouble: str | None = None
        self.missing = 0

    def afresh(self) -> Completeness:
        """One that has looked at nothing yet."""
        return Completeness(self._counted)

    async def check(self, cursor: BlockRef) -> bool:
        """Compares what was read up to a block with the contract's count as of that block.

        Returns True where some are missing and it is time to read again: with each try that was
        in vain, twice as many blocks are let pass until the next.
        """
        of = self._counted
        try:
            there = await of.on_chain(cursor.number)
        except ChainUnreachable as error:
            self.trouble = f"the count of {of.what} cannot be read: {error.message}"
            return False
        self.missing = max(0, there - await of.read(cursor.number))
        if not self.missing:
            if self.trouble is not None:
                _log.info("logs complete", of=of.what, count=there)
            self.trouble = None
            self._read_again_from, self._pause_blocks = 0, 1
            return False
        if self.trouble is None:
            _log.warning("logs missing", of=of.what, count=there, missing=self.missing)
        self.trouble = f"the node's logs lack {self.missing} of the {there} {of.what}: {of.stake}"
        if cursor.number < self._read_again_from:
            return False
        self._read_again_from = cursor.number + self._pause_blocks
        self._pause_blocks *= 2
        return True
