"""Gathers what a scrape of a node shows, and has its health judged.

What is gathered serves all that ask within a second, so that no number of scrapers keeps the
database from its work. Knows which part of a node knows what; names no metric.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from oracle import __version__
from oracle.bootstrap.parts import Parts
from oracle.core.health import Health, HealthLimits, health_of
from oracle.core.histogram import Histogram
from oracle.errors import StorageError
from oracle.ports.leases import WORKER_LEASE_PREFIX
from oracle.service.node import Node
from oracle.settings import Settings
from oracle.storage.measurements import Measurements
from oracle.storage.storage import live_leases
from oracle.web.health import health_routes
from oracle.web.metrics import metrics_route
from oracle.web.metrics_figures import Gas, NodeFigures, Stored, ViewFigures
from oracle.web.metrics_node import NODE_METRICS
from oracle.web.private import Part

_GATHERED_SECONDS: Final = 1.0

INFERENCE_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
ANSWER_BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300, 900, 3_600)


def health_limits(settings: Settings) -> HealthLimits:
    """From when on a process with these settings is called stalled."""
    return HealthLimits(
        stalled_seconds=max(settings.stalled_seconds, 3 * settings.poll_seconds),
        stale_head_seconds=settings.stale_head_seconds,
    )


async def metrics_part(parts: Parts, node: Node) -> Part:
    """`/metrics`, `/health` and `/ready` of a node."""
    scrape = _Scrape(parts, node)
    await scrape.begin()
    return Part([metrics_route(NODE_METRICS, scrape.figures), *health_routes(scrape.health)])


class _Scrape:
    """What is read of one node."""

    def __init__(self, parts: Parts, node: Node) -> None:
        self._parts = parts
        self._node = node
        self._limits = health_limits(parts.settings)
        self._measurements = Measurements(parts.storage.database)
        self._cursor = 0
        self._answer_seconds = Histogram(ANSWER_BOUNDS)
        self._inference_seconds = Histogram(INFERENCE_BOUNDS)
        self._one_at_a_time = asyncio.Lock()
        self._gathered: tuple[float, NodeFigures] | None = None

    async def begin(self) -> None:
        """Durations are told of from here on. Raises StorageError."""
        self._cursor = await self._measurements.newest()

    def health(self) -> Health:
        return health_of(self._node.vitals(), self._limits, self._parts.clock.now())

    async def figures(self) -> NodeFigures:
        async with self._one_at_a_time:
            if self._gathered is None or time.monotonic() - self._gathered[0] > _GATHERED_SECONDS:
                found = await self._gather()
                self._gathered = time.monotonic(), found
            return self._gathered[1]

    async def _gather(self) -> NodeFigures:
        try:
            stored = await self._stored()
        except StorageError:  # the node says so itself, and what else is known is wanted now
            stored = None
        funds, gateway = self._parts.guards.funds, self._parts.view_gateway
        return NodeFigures(
            version=__version__,
            heartbeat=self._node.heartbeat(),
            vitals=self._node.vitals(),
            health=self.health(),
            gas=Gas(funds.balances, funds.minimum, funds.floor),
            stored=stored,
            answer_seconds=self._answer_seconds,
            inference_seconds=self._inference_seconds,
            restarts=self._parts.engine.restarts,
            views=None
            if gateway is None
            else ViewFigures(gateway.tally.answered, gateway.tally.refused),
        )

    async def _stored(self) -> Stored:
        parts, storage = self._parts, self._parts.storage
        credit = parts.deployment.credit
        taken = await self._measurements.take(self._cursor, parts.senders())
        for answered in taken.answered:
            self._answer_seconds.add(answered.waited_seconds)
            if answered.inference_seconds is not None:
                self._inference_seconds.add(answered.inference_seconds)
        self._cursor = taken.cursor
        leases = await live_leases(storage)
        return Stored(
            totals=await storage.jobs.totals(),
            demands=await storage.demands.pending(),
            workers=len({one.holder for one in leases if one.name.startswith(WORKER_LEASE_PREFIX)}),
            open_transactions=taken.open_transactions,
            oldest_open=taken.oldest_open,
            earliest_deadline=taken.earliest_deadline,
            traces=await parts.serving.traces.usage(),
            credit=None if credit is None else await storage.vouchers.totals(credit),
        )
