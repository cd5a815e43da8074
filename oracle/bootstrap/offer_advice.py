"""What will not go as an operator wants with a standing offer: said, and never refused.

Pure judgement over an offer, its model and the stake behind it. Knows neither chain nor disk.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from oracle.core.model import Model
from oracle.core.operator import Offer
from oracle.core.request import minimum_bond
from oracle.core.types import Tier, format_opg

_SHORTEST_REVEAL_SECONDS: Final = 300
"""In which a node that was started again, behind a full chain, shows what it has."""

LOCAL_MIN_TIME_SECONDS: Final = 30
"""On a chain of this machine nothing is in a transaction's way."""

_MINED_SECONDS: Final = 24
"""Two blocks of a chain that has one every 12 s: that of the request, and that of its answer."""

_ROOM: Final = 1.5
"""By so much a suggested limit is above what was measured: the machine is not always as idle."""


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


@dataclass(frozen=True, slots=True)
class FullRequest:
    """A request of a model with as many rows as one can have, as this machine runs it.

    Attributes:
        seconds: in the inference process, trace and all; `at_least` so many where it was not waited
            for.
        trace_bytes: what of it is kept until the window is over; 0 of a model without traces.
    """

    rows: int
    seconds: float
    trace_bytes: int
    at_least: bool = False

    @property
    def in_words(self) -> str:
        """How long it takes."""
        return f"{'more than' if self.at_least else 'about'} {_seconds(self.seconds)} here"


def default_min_time(bump_seconds: float, answer_margin_seconds: float, *, local: bool) -> int:
    """The shortest time to a deadline where the operator names none, in whole seconds.

    By default settings 120 on a real chain: whoever is bound must answer though its transaction is
    stuck, is replaced by one with higher fees, and has the usual margin from then on.
    """
    if local:
        return LOCAL_MIN_TIME_SECONDS
    return math.ceil(bump_seconds + answer_margin_seconds + _MINED_SECONDS)


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


def of_run_time(model: Model, full: FullRequest, limit_seconds: float) -> Advice | None:
    """A request that the node's own limit ends before it is done."""
    if full.seconds <= limit_seconds:
        return None
    mend = f"set inference_timeout_seconds to {math.ceil(_ROOM * full.seconds)} or more"
    if fewer := int(full.rows * limit_seconds / (_ROOM * full.seconds)):
        mend += f", or offer the model registered anew with oracle model add --max-rows {fewer}"
    return Advice(
        f"a full request for {model.name}, of {_rows(full)}, takes {full.in_words}, and a run may "
        f"take {limit_seconds:g} s: such a request is given up, and costs twice its fee",
        mend,
    )


def of_places(
    model: Model, offer: Offer, full: FullRequest, answer_margin_seconds: float
) -> Advice | None:
    """As many full requests at once as there are places, by the shortest deadline.

    Of a time that is shorter than twice the margin, half of it is the margin: none of it would be
    left for small models else.
    """
    margin = min(answer_margin_seconds, offer.min_time / 2)
    spent = offer.capacity * full.seconds
    if spent + margin <= offer.min_time:
        return None
    whole = math.ceil(spent + answer_margin_seconds)
    places = int((offer.min_time - margin) / full.seconds)
    if places:
        mend = f"--capacity {places} or --min-time {whole}"
    elif offer.capacity > 1:
        alone = math.ceil(full.seconds + answer_margin_seconds)
        mend = f"--min-time {whole}, or --capacity 1 --min-time {alone}"
    else:
        mend = f"--min-time {whole}"
    return Advice(
        f"a full request for {model.name}, of {_rows(full)}, takes {full.in_words}: the "
        f"{offer.capacity:,} at once that the offer has places for take {_seconds(spent)}, and may "
        f"have {offer.min_time} s to be answered in; each that is not costs twice its fee",
        f"set it again with {mend}",
    )


def of_traces(
    model: Model, offer: Offer, free: int, full: FullRequest, budget_bytes: int
) -> Advice | None:
    """What is kept of all requests that the free stake can back at once.

    Not the offer's places count here: an answer leaves its place, and its bond is locked and its
    trace kept until its window is over.
    """
    at_once = free // max(1, least_bond(model, offer))
    needed = at_once * full.trace_bytes
    if needed <= budget_bytes:
        return None
    return Advice(
        f"the free stake backs {at_once:,} requests for {model.name} at once, whose traces take up "
        f"to {_bytes(full.trace_bytes)} each, and trace_budget_bytes has room for "
        f"{budget_bytes // full.trace_bytes:,} of them: what has no room is not kept; its answer "
        "is given once a second run came to the same trace, and the trace is made again when it "
        "is demanded",
        f"set trace_budget_bytes to {needed} on a disk that has them, or lower what can be asked "
        "at once: oracle operator unbond AMOUNT, or a higher --price",
        note=True,
    )


def _rows(full: FullRequest) -> str:
    return "one row" if full.rows == 1 else f"{full.rows:,} rows"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def _bytes(count: int) -> str:
    if count >= 1 << 30:
        return f"{count / 2**30:.1f} GiB"
    return f"{count / 2**20:.1f} MiB" if count >= 1 << 20 else f"{count:,} bytes"
