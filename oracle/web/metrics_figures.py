"""What a scrape of a node shows, gathered. Knows neither how it is gathered nor how it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oracle.core.dispute import RevealDemand
from oracle.core.health import Health, Vitals
from oracle.core.histogram import Histogram
from oracle.core.types import Address
from oracle.ports.health import Heartbeat
from oracle.ports.jobs import Totals
from oracle.ports.traces import TraceUsage
from oracle.ports.views import CreditTotals


@dataclass(frozen=True, slots=True)
class Gas:
    """What the sending keys held at the last look, and should hold. In wei."""

    balances: Mapping[Address, int]
    minimum: int
    floor: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database says.

    Attributes:
        totals, demands, workers: of the operator, whichever worker did it.
        open_transactions, oldest_open: of this worker's keys.
        earliest_deadline: of the operator's bound requests without an answer.
        traces: on this worker's disk.
        credit: of priced views; None where the deployment has no credit for them.
    """

    totals: Totals
    demands: Sequence[RevealDemand]
    workers: int
    open_transactions: int
    oldest_open: float | None
    earliest_deadline: int | None
    traces: TraceUsage
    credit: CreditTotals | None = None


@dataclass(frozen=True, slots=True)
class ViewFigures:
    """What a gateway has given since its start, free and paid, and refused, by reason."""

    answered: Mapping[str, int]
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """Everything that a scrape of a node shows.

    Attributes:
        stored: None where the database cannot be read.
        answer_seconds, inference_seconds: of this process, since it was started.
        restarts: of the process that runs models.
        views: None where nothing is answered in views.
    """

    version: str
    heartbeat: Heartbeat
    vitals: Vitals
    health: Health
    gas: Gas
    stored: Stored | None
    answer_seconds: Histogram
    inference_seconds: Histogram
    restarts: int
    views: ViewFigures | None = None
