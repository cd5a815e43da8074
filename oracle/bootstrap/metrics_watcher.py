"""A watcher's own server: what a scrape of it shows, and its health. On demand only.

Knows which part of a watcher knows what; names no metric.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import structlog

from oracle import __version__
from oracle.bootstrap.metrics import health_limits
from oracle.chain.rpc import Rpc
from oracle.core.case import CaseState
from oracle.core.health import Health, HealthLimits, health_of
from oracle.errors import StorageError
from oracle.ports.jobs import Totals
from oracle.settings import Settings
from oracle.storage.storage import Storage
from oracle.watcher.purse import Purse
from oracle.watcher.watcher import Watcher
from oracle.web import Server
from oracle.web.health import health_routes
from oracle.web.metrics import metrics_route
from oracle.web.metrics_watcher import WATCHER_METRICS, WatcherFigures
from oracle.web.private import Part, allowed_hosts, private_application

_log = structlog.get_logger("oracle.watcher")


@asynccontextmanager
async def open_watcher_server(
    settings: Settings, watcher: Watcher, purse: Purse, storage: Storage, rpc: Rpc
) -> AsyncIterator[str | None]:
    """The server; its URL, or None where settings name no port for it.

    Raises:
        ConfigurationError: the address cannot be had.
    """
    if settings.watcher_port is None:
        yield None
        return
    scrape = _Scrape(watcher, purse, storage, rpc, health_limits(settings))
    part = Part([metrics_route(WATCHER_METRICS, scrape.figures), *health_routes(scrape.health)])
    hosts = allowed_hosts(settings.private_host, settings.private_names.split())
    application = private_application([part], hosts=hosts)
    host, port = settings.private_host, settings.watcher_port
    async with Server(application, host=host, port=port, named="watcher") as server:
        _log.info("watcher", private=server.address)
        yield server.address


class _Scrape:
    def __init__(
        self, watcher: Watcher, purse: Purse, storage: Storage, rpc: Rpc, limits: HealthLimits
    ) -> None:
        self._watcher = watcher
        self._purse = purse
        self._storage = storage
        self._rpc = rpc
        self._limits = limits

    def health(self) -> Health:
        return health_of(self._watcher.vitals(), self._limits, time.time())

    async def figures(self) -> WatcherFigures:
        cases: Mapping[CaseState, int] | None = None
        totals: Totals | None = None
        # Where they cannot be read the watcher says so itself; what else is known is wanted now.
        with suppress(StorageError):
            cases = await self._storage.cases.counts()
            totals = await self._storage.jobs.totals()
        return WatcherFigures(
            version=__version__,
            vitals=self._watcher.vitals(),
            health=self.health(),
            failed=self._watcher.trouble is not None,
            endpoints=self._rpc.reports(),
            cases=cases,
            totals=totals,
            purse=self._purse.seen,
        )
