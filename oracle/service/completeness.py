"""Whether the logs that were read hold every request that binds the operator.

Nodes lose logs and say nothing. What an operator must never lose is a request it can be slashed
for; the staking contract has their count in its state, and the job table should have as many. Both
are asked each time, so nothing is forgotten by a crash between a loss and its discovery. Knows how
many are missing, not which, and when it is worth while to read again.
"""

from __future__ import annotations

import structlog

from oracle.core.event import BlockRef
from oracle.core.types import Address
from oracle.errors import ChainUnreachable
from oracle.ports.contracts import StakingContract
from oracle.ports.jobs import JobStore

_log = structlog.get_logger("oracle.watch")


class Completeness:
    """The acceptances of one operator in its job table, against the contract's count of them.

    Attributes:
        trouble: what is wrong, in words, or None.
        missing: how many no log has told of, as of the last look.
    """

    def __init__(self, staking: StakingContract, jobs: JobStore, operator: Address) -> None:
        self._staking = staking
        self._jobs = jobs
        self._operator = operator
        self._read_again_from = 0
        self._pause_blocks = 1
        self.trouble: str | None = None
        self.missing = 0

    def afresh(self) -> Completeness:
        """One that has looked at nothing yet."""
        return Completeness(self._staking, self._jobs, self._operator)

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
        self.missing = max(0, accepted - await self._jobs.bound(cursor.number))
        if not self.missing:
            if self.trouble is not None:
                _log.info("logs complete", accepted=accepted)
            self.trouble = None
            self._read_again_from, self._pause_blocks = 0, 1
            return False
        if self.trouble is None:
            _log.warning("logs missing", accepted=accepted, missing=self.missing)
        self.trouble = (
            f"the node's logs lack {self.missing} of the {accepted} requests that ever bound us: "
            "an answer to them may be due; if this lasts, use another endpoint and read the blocks "
            "in question again with `oracle chain replay`"
        )
        if cursor.number < self._read_again_from:
            return False
        self._read_again_from = cursor.number + self._pause_blocks
        self._pause_blocks *= 2
        return True
