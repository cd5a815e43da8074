"""An answer that a watcher looks into: where the matter stands, and what it has against it.

What was sent, paid and revealed is on the chain and is read from there; here is what only the
watcher knows, and what it must not lose: a proof, and the salt of its announcement. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from oracle.core.types import Address


class CaseState(StrEnum):
    """`OPEN`: to be examined. `ACCUSED`: there is a proof. `WITHHELD`: to be had by demands only.
    `HELD`: convicted, and the watcher's share is not paid yet. The others are ends; `MISSED`: there
    was a proof, and the answer became final before it was mined."""

    OPEN = "open"
    ACCUSED = "accused"
    WITHHELD = "withheld"
    HELD = "held"
    CLEAN = "clean"
    SKIPPED = "skipped"
    CONVICTED = "convicted"
    MISSED = "missed"
    OVER = "over"

    @property
    def ended(self) -> bool:
        return self not in _UNFINISHED


_UNFINISHED = frozenset({CaseState.OPEN, CaseState.ACCUSED, CaseState.WITHHELD, CaseState.HELD})

UNFINISHED = tuple(sorted(_UNFINISHED))


@dataclass(frozen=True, slots=True)
class Case:
    """One answer, as of one read of the watcher's table.

    Attributes:
        block_number, block_hash: where the answer was mined; another place is another answer.
        reason: why it stands where it does, in words.
        proof: as the court takes it, from ACCUSED on.
        salt: of the announcement; there before anything is announced.
        attempts: how often the present step failed.
        not_before: Unix second before which it is not tried again.
    """

    request_id: bytes
    operator: Address
    block_number: int
    block_hash: bytes
    state: CaseState = CaseState.OPEN
    reason: str = ""
    proof: bytes | None = None
    salt: bytes | None = None
    attempts: int = 0
    not_before: float = 0.0
