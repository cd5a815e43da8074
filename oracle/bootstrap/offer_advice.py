"""What will not go as an operator wants with a standing offer: said, and never refused.

Pure judgement over an offer, its model and the stake behind it. Knows neither chain nor disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from oracle.core.model import Model
from oracle.core.operator import Offer
from oracle.core.request import minimum_bond
from oracle.core.types import Tier, format_opg

_SHORTEST_REVEAL_SECONDS: Final = 300
"""In which a node that was started again, behind a full chain, shows what it has."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing about an offer, and what mends it; a `note` may be just what is wanted."""

    what: str
    next_step: str
    note: bool = False

    def as_facts(self) -> dict[str, str]:
        """By name, for scripts."""
        kind = "note" if self.note else "warning"
        return {"kind": kind, "what": self.what, "next": self.next_step}


def least_bond(model: Model, offer: Offer) -> int:
    """The smallest bond of a request that such an offer can take."""
    return minimum_bond(model.terms.min_bond, offer.price)


def never_matched(model: Model, offer: Offer) -> Iterator[Advice]:
    """Why no request that the contract takes can match the offer."""
    least, shortest = least_bond(model, offer), model.terms.challenge_window
    if offer.max_bond < least:
        yield Advice(
            f"no request matches it: a bond for {model.name} at this price is "
            f"{format_opg(least)} OPG at least, and the offer takes {format_opg(offer.max_bond)}",
            f"set it again with --max-bond {format_opg(least)} or more",
        )
    if offer.max_window < shortest:
        yield Advice(
            f"no request matches it: the shortest window of {model.name} is {shortest} s, and the "
            f"offer takes {offer.max_window} s",
            f"set it again with --max-window {shortest} or more",
        )


def of_reveal_window(model: Model) -> Advice | None:
    """What an operator cannot keep, whatever its node does."""
    seconds = model.terms.reveal_window
    if model.terms.tier is Tier.UNPROVEN or seconds >= _SHORTEST_REVEAL_SECONDS:
        return None
    return Advice(
        f"whoever demands a part of a trace of {model.name} must be shown it within {seconds} s, "
        "or the bond is lost: a node that is started again, or a full chain, takes longer",
        f"take it back: oracle operator offer 0x{model.id.hex()} --capacity 0 --price 0 "
        "--max-bond 0; offer a model with a longer reveal window",
    )


def of_stake(offer: Offer, free: int) -> Advice | None:
    """What the free stake is too little for."""
    bond = "oracle operator bond AMOUNT"
    if free < offer.max_bond:
        return Advice(
            f"{format_opg(free)} OPG of the stake are free: until there is more, no request with a "
            f"higher bond binds you, and you offer up to {format_opg(offer.max_bond)}",
            bond,
        )
    if free < offer.capacity * offer.max_bond:
        at_once = free // offer.max_bond
        return Advice(
            f"{format_opg(free)} OPG of the stake are free, enough for {at_once} of its "
            f"{offer.capacity} places where each locks the largest bond; smaller bonds lock less",
            bond,
            note=True,
        )
    return None
