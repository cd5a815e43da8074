"""An operator overrides a transaction that is stuck: dearer at once, or its nonce used up.

What a node does by itself in time is done here now; a node that runs goes on from what is saved.
Knows which transaction is meant, and nothing of why it is stuck.
"""

from __future__ import annotations

import asyncio

from oracle.core.serving import UNDONE
from oracle.core.transaction import Attempt, Fees, SendOutcome, Transaction, TransactionState
from oracle.errors import ChainRefused, InputError
from oracle.ports.clock import Clock
from oracle.ports.jobs import JobMove, JobStore
from oracle.ports.sending import TransactionGateway, TransactionStore
from oracle.service.attempts import Attempts

_PAUSE_SECONDS = 30.0
"""How long jobs wait after their transaction was cancelled, so that the nonce is used up first."""


class TransactionOverride:
    """Args: attempts: of the key that began the transactions."""

    def __init__(
        self,
        jobs: JobStore,
        transactions: TransactionStore,
        gateway: TransactionGateway,
        clock: Clock,
        attempts: Attempts,
    ) -> None:
        self._jobs = jobs
        self._transactions = transactions
        self._gateway = gateway
        self._clock = clock
        self._attempts = attempts

    async def bump(self, stuck: Transaction) -> tuple[Attempt, SendOutcome, str | None]:
        """Sends the same call once more with higher fees: the next step, or the chain's price.

        Raises:
            InputError: it is not waiting to be mined.
            ChainRefused: the cap leaves no room for the rise that nodes demand.
        """
        await self._require_waiting(stuck)
        fees = await self._fees(stuck)
        attempt = await self._attempts.signed(stuck.nonce, stuck.call, fees)
        await self._transactions.add_attempt(stuck.id, attempt)
        return await self._sent(attempt)

    async def cancel(self, stuck: Transaction) -> tuple[Attempt, SendOutcome, str | None]:
        """Uses its nonce for a transfer of nothing to ourselves; its jobs go back a step and wait.

        Whichever of the two is mined, the other never is; if it is the old one after all, the
        chain's logs move its jobs on.

        Raises: as `bump`.
        """
        await self._require_waiting(stuck)
        fees = await self._fees(stuck)
        _, attempt = await self._attempts.in_place_of(stuck, fees, await self._undone(stuck))
        return await self._sent(attempt)

    async def _undone(self, stuck: Transaction) -> list[JobMove]:
        undone = UNDONE.get(stuck.purpose)
        if undone is None:
            return []
        waiting, trigger = undone
        not_before = self._clock.now() + _PAUSE_SECONDS
        return [
            JobMove(
                job.request_id,
                trigger,
                {"reason": "its transaction was cancelled by hand", "not_before": not_before},
            )
            for job in await self._jobs.jobs_of(stuck.request_ids)
            if job.state is waiting
        ]

    async def _require_waiting(self, stuck: Transaction) -> None:
        if stuck.state is not TransactionState.OPEN:
            raise InputError(f"the transaction with nonce {stuck.nonce} is {stuck.state.value}")
        if await self._gateway.next_nonce(stuck.sender, pending=False) > stuck.nonce:
            raise InputError(
                f"nonce {stuck.nonce} is used on chain already",
                hint="a running node reads what became of it within seconds",
            )

    async def _fees(self, stuck: Transaction) -> Fees:
        last = stuck.attempts[-1].fees
        raised = await self._attempts.raised(last)
        if raised is None:
            raise ChainRefused(
                f"{last.max_fee / 10**9:g} gwei cannot be raised as nodes demand within the cap",
                hint="raise max_fee_gwei, or wait",
            )
        return raised

    async def _sent(self, attempt: Attempt) -> tuple[Attempt, SendOutcome, str | None]:
        # Once it is begun, it is written down what came of it.
        return attempt, *await asyncio.shield(self._attempts.send(attempt))
