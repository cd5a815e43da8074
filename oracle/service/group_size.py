"""How many requests of a model are run in one call: what memory holds, and what answers wait for.

A group's traces are in memory together, here and in the inference process, and none of its answers
is saved before all of it has run. What a row takes is known from the last group; a program that
has not run yet begins with one request, for its traces may be of any size. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from oracle.core.model import Model
from oracle.core.types import Tier
from oracle.ports.clock import Clock
from oracle.ports.inference import Inference

TRACE_BYTES: Final = 64 << 20
"""Most bytes of the traces of one group, unless it is a single request."""

_SECONDS: Final = 2.0
"""Longest time in the model of one group, unless it is a single request."""

_UNKNOWN_REQUESTS: Final = 8
"""Of a model without traces, before it has run."""

_SMALLER_FOR_SECONDS: Final = 600.0
"""So long no larger group is tried after one that failed: memory may be had again."""

UNLIMITED: Final = 1 << 30
"""More requests or rows than there ever are in one group."""


@dataclass(frozen=True, slots=True)
class Room:
    """What one group may have: so many requests, with so many rows in all."""

    requests: int
    rows: int


class GroupSizes:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[bytes, int] = {}
        self._failed: dict[bytes, tuple[int, float]] = {}

    def room(self, model: Model) -> Room:
        """For the next group of a model; at least one request is run, however many rows it has."""
        most, rows = self.most(model.id), self._rows.get(model.id)
        if rows is not None:
            return Room(most, rows)
        unknown = _UNKNOWN_REQUESTS if model.terms.tier is Tier.UNPROVEN else 1
        return Room(min(most, unknown), UNLIMITED)

    def most(self, model_id: bytes) -> int:
        """Requests in one call, by what has failed."""
        most, until = self._failed.get(model_id, (UNLIMITED, 0.0))
        return most if self._clock.now() < until else UNLIMITED

    def ran(self, model_id: bytes, rows: int, runs: Iterable[Inference]) -> None:
        """Learns from the runs of a group of so many rows."""
        ended = list(runs)
        if not ended or not rows:
            return
        traced = max(_row_bytes(run) for run in ended)
        seconds = sum(run.seconds for run in ended) / rows
        by_bytes = TRACE_BYTES // max(traced, 1)
        by_seconds = int(_SECONDS / max(seconds, _SECONDS / UNLIMITED))
        self._rows[model_id] = max(1, min(by_bytes, by_seconds))

    def failed_above(self, model_id: bytes, requests: int) -> None:
        """A larger group failed as a whole, and each of its parts of this size did not."""
        smaller = min(requests, self.most(model_id))
        self._failed[model_id] = (smaller, self._clock.now() + _SMALLER_FOR_SECONDS)


def _row_bytes(run: Inference) -> int:
    """Of one row's trace."""
    if run.trace is None or not run.trace.trace.rows:
        return 0
    return sum(tensor.nbytes for tensor in run.trace.trace.rows[0])
