"""A transaction of ours, from intent to finality, and what a send can come to.

A transaction is one nonce; its attempts are the signed byte strings tried for it (the same call
with higher fees). Each attempt is saved before it is sent. A send has more than two outcomes: the
node took it, refused it as things are or for good, or nobody knows. Pure: no node, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from oracle.core.types import Address, format_wad


class Purpose(StrEnum):
    """Why a transaction is sent; jobs are moved by the purpose when it ends.

    `REVEAL` is the operator's answer to a demand, `COLLECT` draws what views cost; what follows
    is a watcher's.
    """

    ACCEPT = "accept"
    ANSWER = "answer"
    SETTLE = "settle"
    CANCEL = "cancel"
    REVEAL = "reveal"
    COLLECT = "collect"
    ANNOUNCE = "announce"
    PROVE = "prove"
    ALLOW = "allow"
    DEMAND = "demand"
    TIME_OUT = "time_out"
    SHARE = "share"


class SendOutcome(StrEnum):
    """What sending one attempt came to.

    `REFUSED`: as things are, by its price or its nonce. `UNFUNDED`: the sender cannot pay for it.
    `HOPELESS`: whatever happens, by the bytes themselves.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNFUNDED = "unfunded"
    HOPELESS = "hopeless"
    UNKNOWN = "unknown"


NOT_TAKEN = frozenset({SendOutcome.REFUSED, SendOutcome.UNFUNDED, SendOutcome.HOPELESS})
"""The endpoints have said that they do not have it."""


class TransactionState(StrEnum):
    """`OPEN`: not known to be mined. A reorg reopens what was `MINED` or `REVERTED`."""

    OPEN = "open"
    MINED = "mined"
    REVERTED = "reverted"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Call:
    """A contract call to be sent: destination, calldata and gas limit."""

    to: Address
    data: bytes
    gas: int


@dataclass(frozen=True, slots=True)
class Fees:
    """EIP-1559 fees in wei per gas."""

    max_fee: int
    max_priority_fee: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed transaction. `raw` is what is sent, byte for byte, however often.

    `reason` is what the endpoint said where it did not take it.
    """

    hash: bytes
    raw: bytes
    fees: Fees
    created_at: float
    last_sent_at: float | None
    outcome: SendOutcome | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Mined:
    """Where and how a transaction was mined. `gas_price` is the effective price in wei."""

    attempt_hash: bytes
    block_number: int
    block_hash: bytes
    succeeded: bool
    gas_used: int
    gas_price: int

    @property
    def cost_wei(self) -> int:
        return self.gas_used * self.gas_price


@dataclass(frozen=True, slots=True)
class Transaction:
    """One nonce of one key, the requests it serves, and its attempts (oldest first)."""

    id: int
    sender: Address
    nonce: int
    purpose: Purpose
    call: Call
    request_ids: tuple[bytes, ...]
    state: TransactionState
    attempts: tuple[Attempt, ...]
    mined: Mined | None
    created_at: float

    @property
    def lacking_wei(self) -> int | None:
        """What the sender must hold at least, where it cannot pay for what is to be sent."""
        last = self.attempts[-1]
        if self.state is not TransactionState.OPEN or last.outcome is not SendOutcome.UNFUNDED:
            return None
        return self.call.gas * last.fees.max_fee

    @property
    def refusal(self) -> str | None:
        """Why no endpoint has it, in words; None where one may have it, or it has ended."""
        if self.state is not TransactionState.OPEN:
            return None
        if any(one.outcome not in NOT_TAKEN for one in self.attempts):
            return None
        if self.lacking_wei is not None:
            return (
                f"{self.sender} has too little coin; send it {format_wad(self.lacking_wei)} or more"
            )
        return self.attempts[-1].reason or "they do not say why"


MINIMUM_BUMP_PERCENT = 10
"""Nodes replace a pending transaction only where both fees rise by at least this much."""


def bumped(fees: Fees, percent: int, cap_wei: int) -> Fees | None:
    """Fees raised by `percent`, at least the replacement minimum; None where the cap forbids it.

    Args:
        fees: of the last attempt.
        percent: the rise wanted.
        cap_wei: largest `max_fee` allowed, in wei per gas.
    """
    rise = max(percent, MINIMUM_BUMP_PERCENT)

    def raised(fee: int) -> int:
        return -(-fee * (100 + rise) // 100)

    higher = Fees(raised(fees.max_fee), raised(fees.max_priority_fee))
    return higher if higher.max_fee <= cap_wei else None
