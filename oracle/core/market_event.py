"""What happened at the registry and at the staking contract: models, operators, offers, stakes.

One frozen type per contract event, as in `core.event`. The explorer follows them; workers read the
contracts' views instead. Knows no ABI.
"""

from __future__ import annotations

from dataclasses import dataclass

from oracle.core.event import LoggedEvent
from oracle.core.model import ModelTerms
from oracle.core.operator import Offer
from oracle.core.types import Address


@dataclass(frozen=True, slots=True)
class ModelRegistered(LoggedEvent):
    """`name`, `schema` and `uri` are a stranger's text, of any length and kind."""

    model_id: bytes
    registrar: Address
    terms: ModelTerms
    name: str
    schema: str
    uri: str


@dataclass(frozen=True, slots=True)
class ModelDeprecated(LoggedEvent):
    model_id: bytes


@dataclass(frozen=True, slots=True)
class OperatorRegistered(LoggedEvent):
    operator: Address
    signer: Address
    payout: Address


@dataclass(frozen=True, slots=True)
class SignerAnnounced(LoggedEvent):
    """`effective_at` is the Unix second from which it signs."""

    operator: Address
    signer: Address
    effective_at: int


@dataclass(frozen=True, slots=True)
class PayoutChanged(LoggedEvent):
    operator: Address
    payout: Address


@dataclass(frozen=True, slots=True)
class StakeBonded(LoggedEvent):
    """Base units; `stake` is all that the operator has at stake then."""

    operator: Address
    source: Address
    amount: int
    stake: int


@dataclass(frozen=True, slots=True)
class UnbondingStarted(LoggedEvent):
    """Still at stake until it is withdrawn, from the Unix second `available_at` on."""

    operator: Address
    index: int
    amount: int
    available_at: int


@dataclass(frozen=True, slots=True)
class StakeWithdrawn(LoggedEvent):
    operator: Address
    index: int
    to: Address
    amount: int


@dataclass(frozen=True, slots=True)
class OfferSet(LoggedEvent):
    """An offer of capacity 0 takes back the one before."""

    operator: Address
    model_id: bytes
    offer: Offer


@dataclass(frozen=True, slots=True)
class EndpointSet(LoggedEvent):
    """`uri` is a stranger's text; empty where it is withdrawn."""

    operator: Address
    uri: str


@dataclass(frozen=True, slots=True)
class StakeSlashed(LoggedEvent):
    """How a slash was split, in base units; `cause` is the request's id."""

    operator: Address
    cause: bytes
    amount: int
    requester: Address
    to_requester: int
    watcher: Address
    to_watcher: int
    burned: int
