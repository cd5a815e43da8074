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

BLOCK_SECONDS: Final = 12

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
        seconds: in the inference process, trace and all.
        trace_bytes: what of it is kept until the window is over; 0 of a model without traces.
    """

    rows: int
    seconds: float
    trace_bytes: int

    @property
    def in_words(self) -> str:
        """How long it takes."""
        return f"about {_seconds(self.seconds)} here"


@dataclass(frozen=True, slots=True)
class NotDone:
    """A request that was not waited for to the end: no more is known of its time than that.

    Attributes:
        rows: of a full request.
        tried: of the run that was waited for, all of them or fewer.
        seconds: so long it was waited for.
    """

    rows: int
    tried: int
    seconds: float


@dataclass(frozen=True, slots=True)
class NotTimed:
    """Why nothing was measured.

    Attributes:
        broken: whether a request would fare no better: it cannot be run.
        ends_process: whether that is since it ends the inference process.
    """

    why: str
    broken: bool = False
    ends_process: bool = False


def default_min_time(
    bump_seconds: float, answer_margin_seconds: float, confirmations: int, *, local: bool
) -> int:
    """The shortest time to a deadline where the operator names none, in whole seconds.

    By default settings 120 on a real chain: whoever is bound must answer though its transaction is
    stuck, is replaced by one with higher fees, and has the usual margin from then on. The node sees
    a request only under so many `confirmations`.
    """
    if local:
        return LOCAL_MIN_TIME_SECONDS
    unseen = confirmations * BLOCK_SECONDS
    return math.ceil(bump_seconds + answer_margin_seconds + _MINED_SECONDS + unseen)


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
        f"{_take_back(model)}; offer a model with a longer reveal window",
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


def seconds_to_run(offer: Offer, answer_margin_seconds: float, confirmations: int) -> float:
    """What is left for running what has the shortest time that the offer takes; below 0, too.

    Of a time that is shorter than twice the margin, half of it is the margin: none of it would be
    left for small models else.
    """
    margin = min(answer_margin_seconds, offer.min_time / 2)
    return offer.min_time - margin - confirmations * BLOCK_SECONDS


def of_places(
    model: Model,
    offer: Offer,
    full: FullRequest,
    answer_margin_seconds: float,
    confirmations: int = 0,
) -> Advice | None:
    """As many full requests at once as there are places, by the shortest deadline."""
    left = seconds_to_run(offer, answer_margin_seconds, confirmations)
    spent = offer.capacity * full.seconds
    if spent <= left:
        return None
    besides = answer_margin_seconds + confirmations * BLOCK_SECONDS
    whole = math.ceil(spent + besides)
    places = max(0, int(left / full.seconds))
    if places:
        mend = f"--capacity {places} or --min-time {whole}"
    elif offer.capacity > 1:
        alone = math.ceil(full.seconds + besides)
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
    trace kept until its window is over. Nothing is said where requests need lock no bond: no stake
    is their limit, and no room is enough for them.
    """
    if not (least := least_bond(model, offer)):
        return None
    at_once = free // least
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


def of_not_done(
    model: Model, offer: Offer, found: NotDone, limit_seconds: float, left_seconds: float | None
) -> Advice:
    """Of what is only known to take longer: no numbers that would do, for none is known.

    Args:
        left_seconds: see `seconds_to_run`; None to be silent about the offer's shortest time.
    """
    part = "" if found.tried == found.rows else f", tried with {_in_rows(found.tried)}"
    what = (
        f"a full request for {model.name}, of {_rows(found)}{part}, was not done within "
        f"{_seconds(found.seconds)} here"
    )
    if found.seconds > limit_seconds:
        what += f", and a run may take {limit_seconds:g} s: such a request is given up, and costs"
    elif left_seconds is not None and offer.capacity * found.seconds > left_seconds:
        what += (
            f", and the {offer.capacity:,} at once that the offer has places for may have "
            f"{offer.min_time} s to be answered in: each that is not costs"
        )
    else:
        what += ": what is not answered by its deadline costs"
    return Advice(f"{what} twice its fee", _fewer_rows_or_none(model, found.rows))


def of_not_timed(model: Model, found: NotTimed, rows: int) -> Advice:
    """A warning where a request would fail here as well, else a note."""
    if not found.broken:
        return Advice(
            f"how long a full request for {model.name} takes here could not be found out: "
            f"{found.why}",
            "`oracle node doctor`, on the machine of the node",
            note=True,
        )
    fate = "ends the inference process" if found.ends_process else "cannot be run"
    mend = _fewer_rows_or_none(model, rows)
    if found.ends_process:
        mend = f"give it more memory (inference_memory_mib); or {mend}"
    return Advice(
        f"a full request for {model.name} {fate} here: {found.why}; unanswered requests cost "
        "twice their fee",
        mend,
    )


def _fewer_rows_or_none(model: Model, rows: int) -> str:
    if rows == 1:
        return _take_back(model)
    return f"offer the model registered anew with fewer rows (--max-rows); or {_take_back(model)}"


def _take_back(model: Model) -> str:
    shown = f"0x{model.id.hex()}"
    return f"take it back: oracle operator offer {shown} --capacity 0 --price 0 --max-bond 0"


def _rows(full: FullRequest | NotDone) -> str:
    return _in_rows(full.rows)


def _in_rows(count: int) -> str:
    return "one row" if count == 1 else f"{count:,} rows"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def _bytes(count: int) -> str:
    if count >= 1 << 30:
        return f"{count / 2**30:.1f} GiB"
    return f"{count / 2**20:.1f} MiB" if count >= 1 << 20 else f"{count:,} bytes"
