"""How a node and its endpoints do, for whoever looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypedDict

from oracle.core.types import Address


class EndpointReport(TypedDict):
    """How one of the chain's endpoints is doing.

    `state` is one of: in use, ready, not asked yet, away, lagging, rate limited, wrong chain; `why`
    says more where it is not used. `lag` is in blocks. `calls` counts by method since the start.
    """

    address: str
    state: str
    why: str | None
    head: int | None
    lag: int
    failures: int
    calls_last_minute: int
    calls: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A running node's sign of life. Times are Unix seconds."""

    process_id: int
    operator: Address
    started_at: float
    beat_at: float
    head_block: int | None
    cursor_block: int | None
    draining: bool
    trouble: Mapping[str, str]
    """Step by step, the error of the last cycle where it failed, or what else is wrong with it."""
    serving: str | None = None
    """URL at which this machine serves traces."""
    private: str | None = None
    """URL of the server for its operator: page and figures."""
    standing: str | None = None
    """What this worker leads, or whom it stands by for."""
    endpoints: Sequence[EndpointReport] = ()
    settings_waiting: Sequence[str] = ()
    """Settings that were other when they were read again, by name: they take a restart."""
    ended: bool = False
    """The last one of a node that ended as it should."""


class HeartbeatSink(Protocol):
    def write(self, heartbeat: Heartbeat) -> None: ...
