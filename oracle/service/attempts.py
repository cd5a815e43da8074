"""Signed byte strings for one key's nonces: within the fee cap, sent, the outcome written down.

Whoever begins, repeats, raises or replaces a transaction does it through here. Knows no job, and
does not decide when to do which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oracle.core.signing import signed_transaction
from oracle.core.transaction import (
    MINIMUM_BUMP_PERCENT,
    Attempt,
    Call,
    Fees,
    Purpose,
    SendOutcome,
    Transaction,
    bumped,
)
from oracle.core.types import Address
from oracle.errors import ChainRefused
from oracle.ports.clock import Clock
from oracle.ports.jobs import JobMove
from oracle.ports.sending import TransactionGateway, TransactionStore
from oracle.ports.signing import Signer

_GAS_HEADROOM_PERCENT = 20


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


def with_headroom(gas: int) -> int:
    """A gas limit that outlives small changes of the state since the estimate."""
    return gas * (100 + _GAS_HEADROOM_PERCENT) // 100


class Attempts:
    """Args: signer: the key whose nonces they are."""

    def __init__(
        self,
        transactions: TransactionStore,
        gateway: TransactionGateway,
        signer: Signer,
        clock: Clock,
        chain_id: int,
        policy: TransactPolicy,
    ) -> None:
        self._transactions = transactions
        self._gateway = gateway
        self._signer = signer
        self._clock = clock
        self._chain_id = chain_id
        self._policy = policy

    @property
    def sender(self) -> Address:
        return self._signer.address

    async def signed(self, nonce: int, call: Call, fees: Fees) -> Attempt:
        """One that is saved nowhere yet. Raises SignerError."""
        hash_, raw = await signed_transaction(
            self._signer, chain_id=self._chain_id, nonce=nonce, call=call, fees=fees
        )
        return Attempt(hash_, raw, fees, self._clock.now(), None, None)

    async def send(self, attempt: Attempt) -> tuple[SendOutcome, str | None]:
        """Sends what is saved, and writes down what came of it."""
        outcome, reason = await self._gateway.send(attempt)
        await self._transactions.record_send(attempt.hash, outcome, self._clock.now(), reason)
        return outcome, reason

    async def in_place_of(
        self, stuck: Transaction, fees: Fees, moves: Sequence[JobMove]
    ) -> tuple[Transaction, Attempt]:
        """Gives a transaction up, its jobs moved, for a transfer with its nonce.

        Whichever of the two is mined, the other never is.

        Raises:
            ChainUnreachable, SignerError, StorageError: nothing has changed.
        """
        call = await self._nothing()
        attempt = await self.signed(stuck.nonce, call, fees)
        return await self._saved(stuck.nonce, call, attempt, moves, instead_of=stuck.id)

    async def transfer(self, nonce: int, fees: Fees) -> tuple[Transaction, Attempt]:
        """A transfer of nothing to ourselves, saved, that uses a nonce up.

        Raises:
            StorageError: the nonce is another transaction's of ours.
            ChainUnreachable, SignerError: nothing was saved.
        """
        call = await self._nothing()
        return await self._saved(nonce, call, await self.signed(nonce, call, fees))

    async def raised(self, fees: Fees) -> Fees | None:
        """Fees that replace these: by our percentage, and up to what the chain asks now.

        None where the cap leaves no room for the rise that nodes demand of a replacement.
        """
        cap = self._policy.max_fee_wei
        least = bumped(fees, MINIMUM_BUMP_PERCENT, cap)
        if least is None:
            return None
        wanted = bumped(fees, self._policy.bump_percent, cap) or least
        asked = await self._gateway.fees()
        max_fee = min(cap, max(wanted.max_fee, asked.max_fee))
        return Fees(max_fee, min(max_fee, max(wanted.max_priority_fee, asked.max_priority_fee)))

    async def asked(self) -> Fees:
        """What the chain asks now, within the cap.

        Raises:
            ChainRefused: the cap is below it.
            ChainUnreachable: it could not be read.
        """
        fees, cap = await self._gateway.fees(), self._policy.max_fee_wei
        if fees.max_priority_fee > cap:
            raise ChainRefused(
                f"the chain asks {fees.max_priority_fee} wei per gas, above the cap of {cap}",
                hint="raise max_fee_gwei or wait",
            )
        return Fees(min(fees.max_fee, cap), fees.max_priority_fee)

    async def _nothing(self) -> Call:
        gas = await self._gateway.estimate_gas(self.sender, self.sender, b"")
        return Call(self.sender, b"", with_headroom(gas))

    async def _saved(
        self,
        nonce: int,
        call: Call,
        attempt: Attempt,
        moves: Sequence[JobMove] = (),
        *,
        instead_of: int | None = None,
    ) -> tuple[Transaction, Attempt]:
        made = await self._transactions.prepare(
            sender=self.sender,
            nonce=nonce,
            purpose=Purpose.CANCEL,
            call=call,
            request_ids=[],
            attempt=attempt,
            moves=moves,
            instead_of=instead_of,
        )
        return made, attempt
