"""A request's story as people read it: each entry as a sentence, with its transaction and its time.

Told from the index alone. Knows nothing of pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from oracle.core.chronicle import Entry, EntryKind
from oracle.core.types import format_opg

_NOTICES: Final = ("answered, not final", "final", "voided")

_WEIGHTS: Final = ("soft", "good", "warn", "bad")

_REASONS: Final = frozenset(
    {EntryKind.FRAUD_PROVEN, EntryKind.REVEAL_TIMED_OUT, EntryKind.EQUIVOCATION_SLASHED}
)

_TONES: Final = {
    EntryKind.SETTLED: "good",
    EntryKind.ANSWERED: "good",
    EntryKind.DEFAULTED: "bad",
    EntryKind.VOIDED: "bad",
    EntryKind.SLASHED: "bad",
    EntryKind.FRAUD_PROVEN: "bad",
    EntryKind.REVEAL_TIMED_OUT: "bad",
    EntryKind.EQUIVOCATION_SLASHED: "bad",
    EntryKind.SUSPENDED: "warn",
    EntryKind.REVEAL_DEMANDED: "warn",
    EntryKind.NOTICE_FAILED: "warn",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One thing that happened. `who` is the address that the sentence ends with, if any."""

    text: str
    who: str | None
    more: str


@dataclass(frozen=True, slots=True)
class Line:
    """What happened in one transaction."""

    block: int
    timestamp: int
    transaction: bytes
    sentences: tuple[Sentence, ...]
    tone: str


def lines_of(entries: Sequence[Entry]) -> list[Line]:
    """The story, a transaction at a time, in chain order."""
    return [_line(list(some)) for _, some in groupby(entries, key=attrgetter("transaction_hash"))]


def _line(some: list[Entry]) -> Line:
    """A conviction begins with its reason, whatever the order of its logs."""
    some = sorted(some, key=lambda one: one.kind not in _REASONS)
    tones = [_TONES.get(one.kind, "soft") for one in some]
    first = some[0]
    return Line(
        first.block_number,
        first.timestamp,
        first.transaction_hash,
        tuple(Sentence(*_told(one.kind, one.facts)) for one in some),
        max(tones, key=_WEIGHTS.index),
    )


def _told(kind: EntryKind, facts: Any) -> tuple[str, str | None, str]:
    """What happened, by whom, and what else."""
    match kind:
        case EntryKind.REQUESTED:
            fee = _opg(facts["fee"])
            return "Requested by", facts["requester"], f"for {fee}, {facts['input_bytes']} bytes"
        case EntryKind.ACCEPTED:
            return "Accepted by", facts["operator"], "whose bond is locked for it"
        case EntryKind.ANSWERED:
            size = facts["result_bytes"]
            said = f"{size} bytes" if size else "no output for this input"
            return "Answered by", facts["operator"], f"{said}; the challenge window began"
        case EntryKind.SETTLED:
            return "Final. The fee was paid to", facts["payout"], _opg(facts["fee"])
        case EntryKind.CANCELLED:
            return "Cancelled by the requester", None, f"{_opg(facts['refund'])} back"
        case EntryKind.EXPIRED:
            return "Nobody accepted it in time", None, f"{_opg(facts['refund'])} back"
        case EntryKind.DEFAULTED:
            back, lost = _opg(facts["refund"]), _opg(facts["penalty"])
            return "Not answered in time by", facts["operator"], f"{back} back, {lost} slashed"
        case EntryKind.SUSPENDED:
            return "The answer was suspended until what was demanded is shown", None, ""
        case EntryKind.RESUMED:
            return "All that was demanded was shown; the challenge window goes on", None, ""
        case EntryKind.VOIDED:
            back = _opg(facts["refund"])
            return "The answer was voided", None, f"the requester has its {back} back"
        case EntryKind.NOTICE_DELIVERED:
            return "The consumer was told:", facts["consumer"], _notice(facts)
        case EntryKind.NOTICE_FAILED:
            return "The consumer could not be told:", facts["consumer"], _notice(facts)
        case _:
            return _court(kind, facts)


def _court(kind: EntryKind, facts: Any) -> tuple[str, str | None, str]:
    match kind:
        case EntryKind.FRAUD_PROVEN:
            held = facts["held"]
            more = f"{_opg(held)} of its share is held for who announced first" if held else ""
            return "Proven wrong, before the court, by", facts["watcher"], more
        case EntryKind.EQUIVOCATION_SLASHED:
            return "Two contradicting answers were shown by", facts["watcher"], ""
        case EntryKind.REVEAL_DEMANDED:
            leaves, deposit = facts["leaves"], _opg(facts["deposit"])
            last = leaves["first"] + leaves["count"] - 1
            more = (
                f"leaves {leaves['first']} to {last} of tensor {leaves['tensor']}, "
                f"row {leaves['row']}, for a deposit of {deposit}"
            )
            return f"Demand {facts['number']}, made by", facts["demander"], more
        case EntryKind.REVEALED:
            return f"Demand {facts['number']} was met", None, f"{facts['data_bytes']} bytes shown"
        case EntryKind.DEMAND_DISMISSED:
            return f"Demand {facts['number']} was dismissed", None, f"{facts['rows']} rows"
        case EntryKind.REVEAL_TIMED_OUT:
            return f"Demand {facts['number']} was not met; shown by", facts["demander"], ""
        case EntryKind.DEMAND_REFUNDED:
            return f"Demand {facts['number']} came to nothing; repaid to", facts["demander"], ""
        case EntryKind.PRIORITY_CLAIMED:
            return "The watcher's share is due to, as announced earlier,", facts["holder"], ""
        case EntryKind.SHARE_COLLECTED:
            return "The watcher's share was paid to", facts["holder"], _opg(facts["amount"])
        case EntryKind.SLASHED:
            more = (
                f"{_opg(facts['to_requester'])} to the requester, {_opg(facts['to_watcher'])} "
                f"to the watcher, {_opg(facts['burned'])} burned"
            )
            return f"{_opg(facts['amount'])} slashed from", facts["operator"], more
        case _:
            return kind.value.replace("_", " ").capitalize(), None, ""


def _notice(facts: Any) -> str:
    number = facts["notice"]
    return _NOTICES[number] if 0 <= number < len(_NOTICES) else ""


def _opg(amount: int) -> str:
    return f"{format_opg(amount)} OPG"
