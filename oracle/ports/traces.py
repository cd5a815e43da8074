"""Traces that answers commit to, kept as long as somebody may ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from oracle.ports.inference import CommittedTrace
from oracle.ports.publishing import PublishedTrace


@dataclass(frozen=True, slots=True)
class TraceToKeep:
    """A trace that an answer commits to. `holder` is the request's id."""

    holder: bytes
    committed: CommittedTrace

    @property
    def root(self) -> bytes:
        return self.committed.root


@dataclass(frozen=True, slots=True)
class TraceHold:
    """Until when a request needs its trace, by the chain's clock; any past time lets it go."""

    root: bytes
    holder: bytes
    owed_until: float


@dataclass(frozen=True, slots=True)
class TraceUsage:
    """Bytes on the disk; `held_bytes` are those that are owed, and must not be dropped."""

    traces: int
    used_bytes: int
    held_bytes: int
    budget_bytes: int
    trouble: str | None


class TraceStore(Protocol):
    """Traces until their challenge windows close, and for a day more where there is room.

    Requests with the same root share a trace.
    """

    @property
    def trouble(self) -> str | None:
        """What the operator must see to; None where all is well."""
        ...

    async def save(self, traces: Sequence[TraceToKeep]) -> None:
        """Keeps traces, all or none, durable when it returns; each is held by its request.

        Until `keep_until` says when, a hold does not end. A trace that is here is held once more.

        Raises:
            TraceStoreFull: they do not fit beside what is still owed. Nothing owed is dropped.
            StorageError: the disk.
        """
        ...

    async def keep_until(self, holds: Sequence[TraceHold]) -> None:
        """Says when holds end. Those of traces that are not here are logged and skipped."""
        ...

    async def holds(self) -> Sequence[TraceHold]:
        """Those that have a time and were not over at the last sweep."""
        ...

    async def sweep(self, now: float) -> int:
        """Drops the traces that nobody has held for a day at `now`, by the chain's clock; how many.

        Until the first sweep, everything counts as held.
        """
        ...

    async def usage(self) -> TraceUsage: ...

    async def find(self, root: bytes) -> PublishedTrace | None: ...
