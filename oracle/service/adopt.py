"""Sees to the transactions of workers that are gone: sent again as they are, closed when mined.

What was saved can be sent by anybody, but only its key can raise its fee. So one that is not mined
in time is given up, and its jobs go to whoever lives; a reveal moves no job, and `reveal` sends it
again with a key of ours. Led by the leader of the chain. Knows no key.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import NoReturn

import structlog

from oracle.core.serving import UNDONE
from oracle.core.transaction import Call, Purpose, Transaction
from oracle.core.types import Address
from oracle.errors import LeaseLost
from oracle.ports.clock import Clock
from oracle.ports.jobs import JobMove, JobStore
from oracle.ports.leases import LeaseStore
from oracle.ports.sending import TransactionGateway, TransactionStore
from oracle.service import journal
from oracle.service.attempts import TransactPolicy
from oracle.service.lead import worker_lease
from oracle.service.transact import Transact

_log = structlog.get_logger("oracle.adopt")


class _NoKey:
    """Stands for a key that another worker has."""

    def __init__(self, address: Address) -> None:
        self.address = address

    async def sign(self, preimage: bytes) -> NoReturn:
        raise LeaseLost(f"only its own worker signs for {self.address}")


class Adopt:
    def __init__(
        self,
        jobs: JobStore,
        transactions: TransactionStore,
        gateway: TransactionGateway,
        leases: LeaseStore,
        clock: Clock,
        chain_id: int,
        policy: TransactPolicy,
        own: Callable[[], Collection[Address]],
    ) -> None:
        self._jobs = jobs
        self._transactions = transactions
        self._gateway = gateway
        self._leases = leases
        self._clock = clock
        self._chain_id = chain_id
        self._patience = policy.bump_seconds
        # Never raised, so that nothing has to be signed.
        self._policy = replace(policy, bump_seconds=float("inf"))
        self._own = own

    async def cycle(self) -> bool:
        """Sees to each key that no worker leads. True where one of its transactions ended."""
        senders = [one for one in await self._transactions.open_senders() if one not in self._own()]
        if not senders:
            return False
        led = {lease.name for lease in await self._leases.live()}
        cursor = await self._jobs.cursor()
        ended = False
        for sender in senders:
            if worker_lease(self._chain_id, sender) in led:
                continue
            follow = Transact(
                self._jobs,
                self._transactions,
                self._gateway,
                _NoKey(sender),
                self._clock,
                self._chain_id,
                self._policy,
            )
            try:
                ended |= await follow.cycle(cursor.number if cursor else -1)
            except LeaseLost as error:  # what only its key could mend
                _log.info("left alone", sender=sender, reason=error.message)
            for transaction in await self._transactions.open_transactions(sender):
                ended |= await self._hand_on(transaction)
        return ended

    async def _hand_on(self, transaction: Transaction) -> bool:
        """Gives up what has waited too long; its jobs go back a step, for another key."""
        if self._clock.now() - transaction.attempts[-1].created_at < self._patience:
            return False
        for attempt in transaction.attempts:
            if await self._gateway.mined(attempt.hash) is not None:
                return False  # its logs are on their way
        if transaction.purpose is Purpose.REVEAL and not await self._can_pay(transaction.call):
            return False  # nobody else would send it, and a bond is at stake
        undone = UNDONE.get(transaction.purpose)
        moves = []
        for job in await self._jobs.jobs_of(transaction.request_ids):
            if undone is not None and job.state is undone[0]:
                patch = {"attempts": job.attempts + 1, "not_before": 0.0}
                moves.append(JobMove(job.request_id, undone[1], patch))  # type: ignore[arg-type]
        # Where it is mined all the same, the chain refuses the second of the two answers.
        await self._transactions.abandon(transaction.id, moves)
        _log.warning(
            "transaction of a worker that is gone given up",
            sender=transaction.sender,
            nonce=transaction.nonce,
            jobs=len(moves),
        )
        journal.record(await self._jobs.jobs_of([move.request_id for move in moves]))
        return True

    async def _can_pay(self, call: Call) -> bool:
        """Whether a key of ours has the coin to send a call itself."""
        fees = await self._gateway.fees()
        cost = call.gas * fees.max_fee
        return any([await self._gateway.balance(one) >= cost for one in self._own()])
