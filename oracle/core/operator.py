"""An operator as the staking contract holds it: stake, offer, and what is free. Pure values."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from oracle.core.types import Address


@dataclass(frozen=True, slots=True)
class Offer:
    """Standing consent to be bound by a matching request.

    `price` and `max_bond` are base units, `min_time` is in seconds; the offer takes a request only
    while fewer than `capacity` accepted ones are unanswered. A capacity of 0 is no offer.
    """

    price: int
    max_bond: int
    capacity: int
    min_time: int

    def as_tuple(self) -> tuple[object, ...]:
        """The fields in ABI order."""
        return astuple(self)


@dataclass(frozen=True, slots=True)
class OperatorStatus:
    """Amounts in base units. `free` is what can back new requests or be unbonded."""

    operator: Address
    signer: Address
    payout: Address
    stake: int
    locked: int
    free: int
    unanswered: int
    accepted: int
