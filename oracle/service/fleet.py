"""One worker among others that share a queue: what it leads, what it has begun, how it retires.

With no other worker there is nothing that is not its own: one worker is the same as several, less
the others. Knows neither how jobs are taken nor what a step does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from oracle.core.job import JobState
from oracle.core.types import Address
from oracle.ports.jobs import JobStore
from oracle.ports.sending import TransactionStore
from oracle.service.lead import Lead

_IN_HAND = (JobState.ACCEPTED, JobState.COMPUTED)
_MOST_IN_HAND = 1_000


class Fleet:
    def __init__(
        self,
        lead: Lead,
        jobs: JobStore,
        transactions: TransactionStore,
        senders: Callable[[], Collection[Address]],
    ) -> None:
        """Args: senders: the keys whose transactions this worker sees to."""
        self.lead = lead
        self._jobs = jobs
        self._transactions = transactions
        self._senders = senders
        self._retired = False

    async def retire(self) -> None:
        """Leaves new work to the others, where there are any."""
        if self.lead.alone:
            return
        self._retired = True
        self._jobs.stop_taking()
        await self.lead.resign()

    async def begun(self, unfinished: Sequence[JobState]) -> bool:
        """Whether something is left that nobody else would finish. Raises StorageError.

        Args:
            unfinished: the states in which a job waits for its worker.
        """
        if self.lead.alone and not self._retired:
            return bool(await self._jobs.jobs(unfinished, limit=1))
        if not self.lead.key.held:
            return False
        in_hand = await self._jobs.jobs(_IN_HAND, limit=_MOST_IN_HAND)
        if any(job.taken_by == self.lead.holder for job in in_hand):
            return True
        for sender in self._senders():
            if await self._transactions.count_open(sender):
                return True
        return False
