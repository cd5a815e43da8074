"""The time, as services ask for it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """The worker's wall clock; Unix seconds."""

    def now(self) -> float: ...
