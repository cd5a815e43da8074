"""An operator as the staking contract holds it: stake, offer, and what is free. Pure values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Final

from oracle.core.types import Address, format_opg
from oracle.errors import InputError


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request asks of whoever is bound by it. Base units, seconds, gas."""

    fee: int
    bond: int
    seconds_left: int
    window: int
    callback_gas_limit: int


@dataclass(frozen=True, slots=True)
class Offer:
    """Standing consent to be bound by a matching request.

    `price` and `max_bond` are base units, `min_time` and `max_window` seconds, `max_callback_gas`
    is gas; the offer takes a request only while fewer than `capacity` accepted ones are unanswered.
    A capacity of 0 is no offer.

    Raises:
        InputError: a bound that does not fit the one word an offer has on chain.
    """

    price: int
    max_bond: int
    capacity: int
    min_time: int
    max_window: int
    max_callback_gas: int

    def __post_init__(self) -> None:
        for name, bits in _OFFER_BITS.items():
            value: int = getattr(self, name)
            if not 0 <= value < 1 << bits:
                unit = _UNITS[name]
                said = format_opg if unit == " OPG" else str
                raise InputError(
                    f"an offer's {name} of {said(value)}{unit} does not fit: "
                    f"at least 0{unit}, at most {said(2**bits - 1)}{unit}"
                )

    def as_tuple(self) -> tuple[object, ...]:
        """The fields in ABI order."""
        return astuple(self)

    def objections(self, demand: Demand) -> Iterator[str]:
        """Each bound that a request is beyond, in words. Capacity and stake are not known here."""
        if not self.capacity:
            yield "it is withdrawn"
            return
        if demand.fee < self.price:
            yield (
                f"the fee of {format_opg(demand.fee)} OPG is below its price of "
                f"{format_opg(self.price)} OPG"
            )
        if demand.bond > self.max_bond:
            yield (
                f"the bond of {format_opg(demand.bond)} OPG is above its largest of "
                f"{format_opg(self.max_bond)} OPG"
            )
        if demand.seconds_left < self.min_time:
            yield (
                f"the {demand.seconds_left} s to the deadline are less than its {self.min_time} s"
            )
        if demand.window > self.max_window:
            yield (
                f"the challenge window of {demand.window} s is longer than its {self.max_window} s"
            )
        if demand.callback_gas_limit > self.max_callback_gas:
            yield (
                f"the callback gas of {demand.callback_gas_limit} is above its most of "
                f"{self.max_callback_gas}"
            )


_OFFER_BITS: Final = {
    "price": 80,
    "max_bond": 88,
    "capacity": 16,
    "min_time": 24,
    "max_window": 24,
    "max_callback_gas": 24,
}
"""Widths in `IOperatorStaking.Offer`."""

_UNITS: Final = {
    "price": " OPG",
    "max_bond": " OPG",
    "capacity": "",
    "min_time": " s",
    "max_window": " s",
    "max_callback_gas": " gas",
}


@dataclass(frozen=True, slots=True)
class SignerChange:
    """A signer that was announced, to sign from a Unix second on."""

    signer: Address
    effective_at: int


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
