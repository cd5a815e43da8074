"""Durable transactions: one nonce each, saved before sent, followed until a block holds them.

A send that nobody answered is not a failure: its bytes are sent again until they are mined or the
nonce is gone. Fees rise by whole attempts on the same nonce, up to a cap. What a mined transaction
means for jobs comes from the logs (`watch`); here only jobs that a mined transaction left behind
are put back a step. Knows no contract.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from oracle.core.job import JobState, Trigger
from oracle.core.transaction import (
    Attempt,
    Call,
    Fees,
    Mined,
    Purpose,
    SendOutcome,
    Transaction,
    bumped,
)
from oracle.errors import ChainRefused
from oracle.ports import (
    Clock,
    JobMove,
    JobPatch,
    JobStore,
    Signer,
    TransactionGateway,
    TransactionStore,
)

_log = structlog.get_logger("oracle.transact")

_GAS_HEADROOM_PERCENT = 20

SENT = {
    Purpose.ACCEPT: Trigger.ACCEPT_SENT,
    Purpose.ANSWER: Trigger.ANSWER_SENT,
    Purpose.SETTLE: Trigger.SETTLE_SENT,
}
_UNDONE = {
    Purpose.ACCEPT: (JobState.ACCEPTING, Trigger.ACCEPT_FAILED),
    Purpose.ANSWER: (JobState.ANSWERING, Trigger.ANSWER_FAILED),
    Purpose.SETTLE: (JobState.SETTLING, Trigger.SETTLE_FAILED),
}


@dataclass(frozen=True, slots=True)
class TransactPolicy:
    """How transactions are followed.

    Attributes:
        max_in_flight: transactions open at once.
        resend_seconds: the same bytes are sent again after this long without being mined.
        bump_seconds: fees are raised after this long without being mined.
        bump_percent: by how much.
        max_fee_wei: largest fee per gas ever offered, in wei.
    """

    max_in_flight: int = 16
    resend_seconds: float = 60.0
    bump_seconds: float = 36.0
    bump_percent: int = 20
    max_fee_wei: int = 500 * 10**9


class Transact:
    def __init__(
        self,
        jobs: JobStore,
        transactions: TransactionStore,
        gateway: TransactionGateway,
        signer: Signer,
        clock: Clock,
        chain_id: int,
        policy: TransactPolicy,
    ) -> None:
        self._jobs = jobs
        self._transactions = transactions
        self._gateway = gateway
        self._signer = signer
        self._clock = clock
        self._chain_id = chain_id
        self._policy = policy
        self._nonce_lock = asyncio.Lock()

    async def room(self) -> int:
        """How many more transactions may be opened now."""
        open_now = await self._transactions.count_open(self._signer.address)
        return self._policy.max_in_flight - open_now

    async def submit(self, purpose: Purpose, call: Call, request_ids: Sequence[bytes]) -> None:
        """Saves a transaction with its jobs' moves, then sends it.

        Raises:
            ChainUnreachable: the nonce or fees could not be read; nothing was saved.
            ChainRefused: the fee cap is below the chain's price; nothing was saved.
        """
        async with self._nonce_lock:
            sender = self._signer.address
            on_chain, highest, asked = await asyncio.gather(
                self._gateway.next_nonce(sender, pending=True),
                self._transactions.highest_nonce(sender),
                self._gateway.fees(),
            )
            nonce = on_chain if highest is None else max(on_chain, highest + 1)
            fees = self._capped(asked)
            call = replace(call, gas=call.gas * (100 + _GAS_HEADROOM_PERCENT) // 100)
            attempt = self._sign(nonce, call, fees)
            # What moves no job, such as a reveal, leaves its jobs where they are.
            sent = SENT.get(purpose)
            moves = [] if sent is None else [JobMove(one, sent) for one in request_ids]
            transaction = await self._transactions.prepare(
                sender=sender,
                nonce=nonce,
                purpose=purpose,
                call=call,
                request_ids=request_ids,
                attempt=attempt,
                moves=moves,
            )
        _log.info(
            "transaction",
            purpose=purpose.value,
            nonce=nonce,
            requests=len(request_ids),
            hash="0x" + attempt.hash.hex(),
        )
        await self._send(transaction, attempt)

    async def cycle(self, cursor_block: int) -> bool:
        """Follows every open transaction. True where one ended.

        Args:
            cursor_block: the last block whose logs are in the job table; what was mined above it
                is looked at when the logs have been read.
        """
        ended = False
        open_now = await self._transactions.open_transactions(self._signer.address)
        if not open_now:
            return False
        latest = await self._gateway.next_nonce(self._signer.address, pending=False)
        for transaction in open_now:
            if transaction.nonce < latest:
                ended |= await self._close(transaction, cursor_block)
            else:
                await self._press(transaction)
        return ended

    async def _close(self, transaction: Transaction, cursor_block: int) -> bool:
        """The nonce is used on chain: by one of our attempts, or by somebody else with our key."""
        for attempt in reversed(transaction.attempts):
            mined = await self._gateway.mined(attempt.hash)
            if mined is None:
                continue
            if mined.block_number > cursor_block:
                return False
            await self._record(transaction, mined)
            return True
        if await self._gateway.next_nonce(self._signer.address, pending=False) <= transaction.nonce:
            return False
        _log.error("nonce used by a transaction that is not ours", nonce=transaction.nonce)
        await self._transactions.abandon(transaction.id, await self._left_behind(transaction))
        return True

    async def _record(self, transaction: Transaction, mined: Mined) -> None:
        if not mined.succeeded:
            _log.error(
                "transaction reverted",
                purpose=transaction.purpose.value,
                hash="0x" + mined.attempt_hash.hex(),
            )
        await self._transactions.record_mined(
            transaction.id, mined, await self._left_behind(transaction)
        )

    async def _left_behind(self, transaction: Transaction) -> list[JobMove]:
        """Jobs that the chain's logs have not moved on, one step back to be judged again."""
        undone = _UNDONE.get(transaction.purpose)
        if undone is None:
            return []
        waiting, trigger = undone
        moves = []
        for job in await self._jobs.jobs_of(transaction.request_ids):
            if job.state is waiting:
                patch: JobPatch = {
                    "attempts": job.attempts + 1,
                    "not_before": self._clock.now() + 1.0,
                }
                moves.append(JobMove(job.request_id, trigger, patch))
        return moves

    async def _press(self, transaction: Transaction) -> None:
        """Not mined yet: send again, with higher fees where it has waited long enough."""
        last = transaction.attempts[-1]
        now = self._clock.now()
        if now - last.created_at >= self._policy.bump_seconds:
            fees = bumped(last.fees, self._policy.bump_percent, self._policy.max_fee_wei)
            if fees is not None:
                attempt = self._sign(transaction.nonce, transaction.call, fees)
                await self._transactions.add_attempt(transaction.id, attempt)
                _log.warning("fee bumped", nonce=transaction.nonce, max_fee_wei=fees.max_fee)
                await self._send(transaction, attempt)
                return
        unsent = last.last_sent_at is None or last.outcome is not SendOutcome.ACCEPTED
        if unsent or now - (last.last_sent_at or 0.0) >= self._policy.resend_seconds:
            await self._send(transaction, last)

    async def _send(self, transaction: Transaction, attempt: Attempt) -> None:
        outcome, reason = await self._gateway.send(attempt)
        await self._transactions.record_send(attempt.hash, outcome, self._clock.now())
        if outcome is not SendOutcome.ACCEPTED:
            _log.warning("send", nonce=transaction.nonce, outcome=outcome.value, reason=reason)

    def _sign(self, nonce: int, call: Call, fees: Fees) -> Attempt:
        hash_, raw = self._signer.sign_transaction(
            chain_id=self._chain_id, nonce=nonce, call=call, fees=fees
        )
        return Attempt(hash_, raw, fees, self._clock.now(), None, None)

    def _capped(self, fees: Fees) -> Fees:
        cap = self._policy.max_fee_wei
        if fees.max_priority_fee > cap:
            raise ChainRefused(
                f"the chain asks {fees.max_priority_fee} wei per gas, above the cap of {cap}",
                hint="raise max_fee_gwei or wait",
            )
        return Fees(min(fees.max_fee, cap), fees.max_priority_fee)
