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
    """Until when a request needs its trace, by the chain's clock; any past time lets it go.

    `owed_until` is None where it is not known yet: the trace was saved, and no more was said.
    """

    root: bytes
    holder: bytes
    owed_until: float | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A trace that a request is owed and that is not kept: it takes `seconds` to show it all the
    same, of the `window` seconds that a demand leaves."""

    root: bytes
    holder: bytes
    seconds: float
    window: int


@dataclass(frozen=True, slots=True)
class TraceUsage:
    """Bytes on the disk; `held_bytes` are those that are owed, and must not be dropped.

    Attributes:
        unkept: requests whose traces are owed and not kept, at the last sweep.
    """

    traces: int
    used_bytes: int
    held_bytes: int
    budget_bytes: int
    trouble: str | None
    unkept: int


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

        Until `keep_until` says when, a hold does not end. A trace that is here is held once more,
        and held as well for those whom `leave_out` has named.

        Raises:
            TraceStoreFull: they do not fit beside what is still owed. Nothing owed is dropped.
            StorageError: the disk.
        """
        ...

    async def leave_out(self, one: LeftOut, owed_until: float) -> None:
        """Records that a trace is owed and not kept here, until its hold ends or it is saved.

        Raises:
            StorageError: the disk.
        """
        ...

    async def left_out(self) -> Sequence[LeftOut]:
        """What is owed and not kept here, as of the last sweep."""
        ...

    async def keep_until(self, holds: Sequence[TraceHold]) -> None:
        """Says when holds end, each at a time that is known; of what was left out, too.

        Those of traces that are neither here nor left out are logged and skipped.
        """
        ...

    async def holds(self) -> Sequence[TraceHold]:
        """Those that were not over at the last sweep, of what was left out, too."""
        ...

    async def sweep(self, now: float) -> int:
        """Drops the traces that nobody has held for a day at `now`, by the chain's clock; how many.

        What was left out is forgotten as soon as it is over. Until the first sweep, everything
        counts as held.
        """
        ...

    async def usage(self) -> TraceUsage: ...

    async def find(self, root: bytes) -> PublishedTrace | None: ...
