"""What one check of an installation found, how bad it is, and what to do. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """`WARNING`: a node starts, and something will go wrong later. `SKIPPED`: needs one above."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do where it is not good."""

    check: str
    status: CheckStatus
    found: str
    mend: str | None = None
