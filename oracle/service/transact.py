"""Durable transactions: one nonce each, saved before sent, followed until a block holds them.

A send that nobody answered is not a failure: its bytes are sent again until they are mined or the
nonce is gone. Fees rise by whole attempts on the same nonce, up to a cap. A transaction whose bytes
no node will ever take is given up, and a nonce that nobody uses is used up by a transfer to
ourselves, so that those behind it go on. What a mined transaction means for jobs comes from the
logs (`watch`); here only jobs that one left behind are put back a step. Knows no contract.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence, Set
from dataclasses import replace

import structlog

from oracle.core.backoff import backoff_seconds
from oracle.core.job import Trigger
from oracle.core.serving import SENT, UNDONE
from oracle.core.transaction import (
    NOT_TAKEN,
    Attempt,
    Call,
    Fees,
    Mined,
    Purpose,
    SendOutcome,
    Transaction,
    TransactionState,
)
from oracle.core.types import format_wad
from oracle.errors import ChainRefused, ContractReverted, OracleError, SignerError, StorageError
from oracle.ports.clock import Clock
from oracle.ports.jobs import JobMove, JobPatch, JobStore
from oracle.ports.sending import TransactionGateway, TransactionStore
from oracle.ports.signing import Signer
from oracle.service import journal
from oracle.service.attempts import Attempts, TransactPolicy, with_headroom
from oracle.service.nonces import Nonces

_log = structlog.get_logger("oracle.transact")

_SLOWEST_RETRY_SECONDS = 30.0

_WITHDRAWN = "its transaction was withdrawn"


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
        self._sender = signer.address
        self._clock = clock
        self._policy = policy
        self._attempts = Attempts(transactions, gateway, signer, clock, chain_id, policy)
        self._nonce_lock = asyncio.Lock()
        self._following = asyncio.Lock()
        self._nonces = Nonces(policy.bump_seconds)
        self._at_cap: str | None = None
        self._unsigned: str | None = None

    @property
    def trouble(self) -> str | None:
        """What is wrong though every call went well, in words, or None."""
        found = (self._nonces.trouble, self._at_cap, self._unsigned)
        return "; ".join(one for one in found if one) or None

    async def under_way(self, purpose: Purpose) -> Set[bytes]:
        """The requests that open transactions of this purpose serve: not to be served twice."""
        return await self._transactions.under_way(purpose)

    async def reverted(self, purpose: Purpose, request_ids: Sequence[bytes]) -> Set[bytes]:
        """Those of the requests that a mined transaction of this purpose reverted over."""
        return await self._transactions.reverted(purpose, request_ids)

    async def room(self) -> int:
        """How many more transactions may be opened now."""
        open_now = await self._transactions.count_open(self._sender)
        return self._policy.max_in_flight - open_now

    async def submit(self, purpose: Purpose, call: Call, request_ids: Sequence[bytes]) -> None:
        """Saves a transaction with its jobs' moves, then sends it.

        Raises:
            ChainUnreachable: the nonce or fees could not be read; nothing was saved.
            ChainRefused: the fee cap is below the chain's price; nothing was saved.
            SignerError: the key that pays gave no signature; nothing was saved.
        """
        async with self._nonce_lock:
            sender = self._sender
            on_chain, highest, fees = await asyncio.gather(
                self._gateway.next_nonce(sender, pending=True),
                self._transactions.highest_nonce(sender),
                self._attempts.asked(),
            )
            nonce = on_chain if highest is None else max(on_chain, highest + 1)
            if highest is not None and on_chain > highest + 1:
                self._nonces.taken(highest + 1, on_chain - 1)
            call = replace(call, gas=with_headroom(call.gas))
            attempt = await self._attempts.signed(nonce, call, fees)
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
        journal.moved(moves)
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
        async with self._following:
            return await self._follow(cursor_block)

    async def _follow(self, cursor_block: int) -> bool:
        ended = False
        open_now = await self._transactions.open_transactions(self._sender)
        self._at_cap = self._unsigned = None
        if not open_now:
            self._nonces.closed()
            return False
        latest = await self._gateway.next_nonce(self._sender, pending=False)
        taken: list[int] = []
        waiting: list[int] = []
        for transaction in open_now:
            if transaction.nonce < latest:
                ended |= await self._close(transaction, cursor_block, taken)
            elif await self._press(transaction):
                ended = True
            else:
                waiting.append(transaction.nonce)
        if taken:
            last = max(taken) if waiting or open_now[-1].nonce > max(taken) else latest - 1
            self._nonces.taken(min(taken), last)
        if waiting and min(waiting) > latest:
            await self._fill_gap(latest, waiting)
        else:
            self._nonces.closed()
        return ended

    async def withdraw(self, unwanted: Callable[[Transaction], bool]) -> None:
        """Gives up open transactions that have become of no use, and leaves no nonce unused.

        What no node ever took is dropped where none of ours waits behind it. The nonce of any other
        is used up by a transfer to ourselves, if the fee cap has room for the rise.

        Raises:
            ChainUnreachable, SignerError: some are left; try again.
        """
        async with self._following, self._nonce_lock:
            sender = self._sender
            latest = await self._gateway.next_nonce(sender, pending=False)
            needed = False
            for one in reversed(await self._transactions.open_transactions(sender)):
                if one.nonce < latest or not unwanted(one):
                    needed = True
                elif needed or any(tried.outcome not in NOT_TAKEN for tried in one.attempts):
                    needed = True
                    await self._replace(one)
                else:
                    await self._drop(one)

    async def _drop(self, transaction: Transaction) -> None:
        _log.info("transaction of no use", nonce=transaction.nonce)
        moves = await self._left_behind(transaction, _WITHDRAWN)
        await self._transactions.abandon(transaction.id, moves)
        journal.moved(moves)

    async def _replace(self, transaction: Transaction) -> None:
        fees = await self._attempts.raised(transaction.attempts[-1].fees)
        if fees is None:
            return
        _log.info("transaction of no use", nonce=transaction.nonce)
        moves = await self._left_behind(transaction, _WITHDRAWN)
        filling = await self._attempts.in_place_of(transaction, fees, moves)
        journal.moved(moves)
        await self._send(*filling)

    async def _fill_gap(self, latest: int, waiting: Sequence[int]) -> None:
        """Uses up the nonces that hold ours up and that nobody will use."""
        pending = await self._gateway.next_nonce(self._sender, pending=True)
        for nonce in self._nonces.free(latest, pending, waiting, self._clock.now()):
            async with self._nonce_lock:
                fees = await self._attempts.asked()
                try:
                    filling = await self._attempts.transfer(nonce, fees)
                except StorageError as error:
                    # One of ours was mined with it: `watch` has yet to see the reorg that undid it,
                    # or its receipt was of a fork that was gone when it was written down.
                    _log.warning("nonce not filled", nonce=nonce, reason=error.message)
                    await self._reopen_if_undone(nonce)
                    return
            _log.warning("nonce used up by a transfer to ourselves", nonce=nonce)
            await self._send(*filling)

    async def _reopen_if_undone(self, nonce: int) -> None:
        closed = await self._transactions.with_nonce(self._sender, nonce)
        if closed is None or closed.state is TransactionState.OPEN:
            return
        if any([await self._gateway.mined(one.hash) is not None for one in closed.attempts]):
            return
        _log.warning("a transaction that was mined is not on the chain", nonce=nonce)
        await self._transactions.reopen(closed.id)

    async def _close(self, transaction: Transaction, cursor_block: int, taken: list[int]) -> bool:
        """The nonce is used on chain: by one of our attempts, or by somebody else with our key."""
        for attempt in reversed(transaction.attempts):
            mined = await self._gateway.mined(attempt.hash)
            if mined is None:
                continue
            if mined.block_number > cursor_block:
                return False
            await self._record(transaction, mined)
            return True
        if await self._gateway.next_nonce(self._sender, pending=False) <= transaction.nonce:
            return False
        reason = f"somebody else used nonce {transaction.nonce}"
        ours = await self._mined_of_ours(transaction.nonce)
        if ours in {one.hash for one in transaction.attempts}:
            return False  # its receipt came after its nonce
        if ours is None:
            taken.append(transaction.nonce)
        else:
            reason = "what was sent with its nonce before was mined instead"
        moves = await self._left_behind(transaction, reason)
        await self._transactions.abandon(transaction.id, moves)
        journal.moved(moves)
        return True

    async def _mined_of_ours(self, nonce: int) -> bytes | None:
        """What is mined with a nonce, where it was sent by us, whatever became of it since."""
        for one in await self._transactions.attempts_with(self._sender, nonce):
            if await self._gateway.mined(one) is not None:
                return one
        return None

    async def _record(self, transaction: Transaction, mined: Mined) -> None:
        reason = None
        if not mined.succeeded:
            reason = await self._why_reverted(transaction, mined)
            _log.error(
                "transaction reverted",
                purpose=transaction.purpose.value,
                hash="0x" + mined.attempt_hash.hex(),
                reason=reason,
            )
        self._nonces.mined(transaction.nonce)
        moves = await self._left_behind(transaction, reason, reverted=not mined.succeeded)
        await self._transactions.record_mined(transaction.id, mined, moves)
        journal.moved(moves)

    async def _why_reverted(self, transaction: Transaction, mined: Mined) -> str:
        """The contract's error, as it is given on the state that the block left."""
        sender, block = transaction.sender, mined.block_number
        try:
            await self._gateway.replay(sender, transaction.call, block=block)
        except ContractReverted as error:
            return f"reverted on chain: {error.message}"
        except OracleError as error:
            return f"reverted on chain; the reason cannot be read: {error.message}"
        return "reverted on chain, by something that was so only within its block"

    async def _left_behind(
        self, transaction: Transaction, reason: str | None, *, reverted: bool = False
    ) -> list[JobMove]:
        """Jobs that the chain's logs have not moved on, one step back to be judged again.

        Nobody is bound yet by an acceptance that reverted: a second one is not tried.
        """
        undone = UNDONE.get(transaction.purpose)
        if undone is None:
            return []
        waiting, trigger = undone
        moves = []
        for job in await self._jobs.jobs_of(transaction.request_ids):
            if job.state is waiting:
                wait = backoff_seconds(job.attempts, _SLOWEST_RETRY_SECONDS)
                patch: JobPatch = {
                    "attempts": job.attempts + 1,
                    "not_before": self._clock.now() + wait,
                    "reason": reason,
                }
                moves.append(JobMove(job.request_id, trigger, patch))
                if reverted and transaction.purpose is Purpose.ACCEPT:
                    moves.append(JobMove(job.request_id, Trigger.DECLINE, {"reason": reason}))
        return moves

    async def _press(self, transaction: Transaction) -> bool:
        """Not mined yet: send again, with higher fees where it has waited long enough.

        True where it was given up.
        """
        usable = [one for one in transaction.attempts if one.outcome is not SendOutcome.HOPELESS]
        if not usable:
            await self._give_up(transaction, "the node refuses it for good")
            return True
        if unsent := [one for one in usable if one.last_sent_at is None]:
            return any([await self._send(transaction, one) for one in unsent])
        now = self._clock.now()
        if now - transaction.attempts[-1].created_at >= self._policy.bump_seconds:
            anew = await self._offered_anew(transaction)
            if anew is not None:
                return await self._send(transaction, anew)
        # A replacement that was refused leaves the pool with the one before it, if it is there.
        held = [one for one in usable if one.outcome is SendOutcome.ACCEPTED]
        for attempt in {one.hash: one for one in (*held[-1:], usable[-1])}.values():
            if self._is_due(attempt, now) and await self._send(transaction, attempt):
                return True
        return False

    async def _offered_anew(self, transaction: Transaction) -> Attempt | None:
        """Signed at another fee and saved, to be sent; None where the last attempt stands."""
        tried = transaction.attempts[-1]
        if tried.outcome is SendOutcome.UNFUNDED:
            fees = await self._cheaper(transaction)  # by a higher fee it would cost no less
        elif (fees := await self._attempts.raised(tried.fees)) is None:
            self._at_cap = (
                f"the transaction with nonce {transaction.nonce} waits at the largest fee that "
                "max_fee_gwei allows: raise it, or wait"
            )
        if fees is None:
            return None
        try:
            attempt = await self._attempts.signed(transaction.nonce, transaction.call, fees)
        except SignerError as error:  # what is signed can still be sent again
            self._unsigned = f"no fee is bumped: {error.message}"
            return None
        await self._transactions.add_attempt(transaction.id, attempt)
        facts = {"nonce": transaction.nonce, "max_fee_wei": fees.max_fee}
        if fees.max_fee < tried.fees.max_fee:
            _log.warning("fee lowered", **facts)
        else:
            _log.warning("fee bumped", **facts)
        return attempt

    async def _cheaper(self, transaction: Transaction) -> Fees | None:
        """What the chain asks by now, for what its sender cannot pay for and no endpoint has."""
        if transaction.refusal is None:
            return None
        tried = transaction.attempts[-1].fees
        try:
            asked = await self._attempts.asked()
        except ChainRefused:  # above the cap: no cheaper
            return None
        return asked if 10 * asked.max_fee <= 9 * tried.max_fee else None

    def _is_due(self, attempt: Attempt, now: float) -> bool:
        """Whether to send again: what may not have arrived at once, then ever more slowly."""
        assert attempt.last_sent_at is not None
        pause = self._policy.resend_seconds
        if attempt.outcome is not SendOutcome.ACCEPTED:
            pause = min(pause, attempt.last_sent_at - attempt.created_at)
        return now - attempt.last_sent_at >= pause

    async def _send(self, transaction: Transaction, attempt: Attempt) -> bool:
        """Sends an attempt. True where the transaction was given up for it."""
        outcome, reason = await self._attempts.send(attempt)
        if outcome is not SendOutcome.ACCEPTED:
            cost = format_wad(transaction.call.gas * attempt.fees.max_fee)
            poor = outcome is SendOutcome.UNFUNDED
            _log.warning(
                "send",
                nonce=transaction.nonce,
                outcome=outcome.value,
                reason=reason,
                **({"next": f"send {transaction.sender} {cost} of the coin"} if poor else {}),
            )
        if outcome is SendOutcome.HOPELESS and all(
            one.outcome is SendOutcome.HOPELESS or one.hash == attempt.hash
            for one in transaction.attempts
        ):
            await self._give_up(transaction, reason or "the node refuses it for good")
            return True
        return False

    async def _give_up(self, transaction: Transaction, reason: str) -> None:
        """No node takes these bytes, so none ever had them: the nonce is free for others."""
        _log.error("transaction given up", nonce=transaction.nonce, reason=reason)
        moves = await self._left_behind(transaction, f"the transaction was refused: {reason}")
        await self._transactions.abandon(transaction.id, moves)
        journal.moved(moves)
