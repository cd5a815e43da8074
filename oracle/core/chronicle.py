"""What an index of the chain keeps: entries, each one event, and records of what they add up to.

An entry can be kept and told again; a record is one request, model, operator or offer as it stands.
How entries become records is said in `adding_up`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from oracle.core.types import ZERO_ADDRESS, Address


class EntryKind(StrEnum):
    """What happened."""

    # the oracle, of a request
    REQUESTED = "requested"
    ACCEPTED = "accepted"
    ANSWERED = "answered"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DEFAULTED = "defaulted"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    VOIDED = "voided"
    SETTLED = "settled"
    NOTICE_DELIVERED = "notice_delivered"
    NOTICE_FAILED = "notice_failed"
    # the court, of a request
    FRAUD_PROVEN = "fraud_proven"
    PRIORITY_CLAIMED = "priority_claimed"
    SHARE_COLLECTED = "share_collected"
    REVEAL_DEMANDED = "reveal_demanded"
    REVEALED = "revealed"
    DEMAND_DISMISSED = "demand_dismissed"
    REVEAL_TIMED_OUT = "reveal_timed_out"
    DEMAND_REFUNDED = "demand_refunded"
    EQUIVOCATION_SLASHED = "equivocation_slashed"
    # the registry, of a model
    MODEL_REGISTERED = "model_registered"
    MODEL_DEPRECATED = "model_deprecated"
    # the staking contract, of an operator
    OPERATOR_REGISTERED = "operator_registered"
    SIGNER_ANNOUNCED = "signer_announced"
    PAYOUT_CHANGED = "payout_changed"
    BONDED = "bonded"
    UNBONDING_STARTED = "unbonding_started"
    STAKE_WITHDRAWN = "stake_withdrawn"
    OFFER_SET = "offer_set"
    ENDPOINT_SET = "endpoint_set"
    SLASHED = "slashed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event.

    Attributes:
        request_id, operator, model_id: what it is about. `operator` is that of the staking
            contract's events, `model_id` that of the registry's and of offers; a slash is about a
            request and an operator.
        facts: everything else, as JSON has it; bytes are 0x-hex.
        data: large bytes: an input, a result, what was revealed.
    """

    block_number: int
    log_index: int
    block_hash: bytes
    timestamp: int
    transaction_hash: bytes
    kind: EntryKind
    request_id: bytes | None = None
    operator: Address | None = None
    model_id: bytes | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    data: bytes = b""

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in the chain's order."""
        return self.block_number, self.log_index


class Standing(StrEnum):
    """Where a request stands by its logs; the words of `core.request.RequestState`."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    ANSWERED = "answered"
    REVEAL_PENDING = "reveal_pending"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DEFAULTED = "defaulted"
    SLASHED = "slashed"
    SETTLED = "settled"


class Dispute(StrEnum):
    """What became of a dispute over an answer, where there was one."""

    DEMANDED = "demanded"
    """Leaves are to be shown."""
    MET = "met"
    """All that was demanded was shown, or came to nothing."""
    CONVICTED = "convicted"


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as it stands. Base units, blocks, Unix seconds.

    `operator` is who is bound to it, or whom it names; the zero address where anybody may take it.
    """

    request_id: bytes
    model_id: bytes
    requester: Address
    operator: Address
    fee: int
    bond: int
    deadline: int
    state: Standing
    created_block: int
    created_log: int
    created_at: int
    updated_block: int
    answered_block: int | None = None
    answered_at: int | None = None
    settle_at: int | None = None
    ended_block: int | None = None
    ended_at: int | None = None
    earned: int = 0
    refunded: int = 0
    slashed: int = 0
    input_bytes: int = 0
    result_bytes: int | None = None
    dispute: Dispute | None = None
    dispute_block: int | None = None
    dispute_log: int | None = None
    convicted_by: Address | None = None
    convicted_how: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One model as registered. `name`, `schema` and `uri` are a stranger's text."""

    model_id: bytes
    registrar: Address
    name: str
    tier: int
    epsilon: int
    program_root: bytes
    challenge_window: int
    reveal_window: int
    min_bond: int
    registered_block: int
    registered_log: int
    registered_at: int
    deprecated_at: int | None
    schema: str
    uri: str


@dataclass(frozen=True, slots=True)
class OperatorRecord:
    """One operator. `stake` is all that it has at stake, what is unbonding included."""

    operator: Address
    signer: Address
    payout: Address
    stake: int
    slashed: int
    endpoint: str
    registered_block: int
    registered_log: int
    registered_at: int


@dataclass(frozen=True, slots=True)
class OfferRecord:
    """An operator's latest offer for a model; of capacity 0 it is none."""

    operator: Address
    model_id: bytes
    price: int
    max_bond: int
    capacity: int
    min_time: int
    max_window: int
    max_callback_gas: int
    set_block: int
    set_at: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What requests add up to, of all, of an operator or of a model. Amounts in base units."""

    requests: int = 0
    answered: int = 0
    settled: int = 0
    defaulted: int = 0
    convicted: int = 0
    disputed: int = 0
    earned: int = 0
    locked: int = 0

    def plus(self, other: Tally, sign: int = 1) -> Tally:
        """The sum, or the difference."""
        return Tally(
            self.requests + sign * other.requests,
            self.answered + sign * other.answered,
            self.settled + sign * other.settled,
            self.defaulted + sign * other.defaulted,
            self.convicted + sign * other.convicted,
            self.disputed + sign * other.disputed,
            self.earned + sign * other.earned,
            self.locked + sign * other.locked,
        )


NOBODY: Final = ZERO_ADDRESS
"""The operator of a request that anybody may take."""
