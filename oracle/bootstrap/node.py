"""A node from settings: its data directory claimed, its parts opened, its work run till drained."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from oracle.bootstrap import connection
from oracle.bootstrap.endpoints import ringing
from oracle.bootstrap.inference import opened_inference, warming
from oracle.bootstrap.keys import Reload, opened_signers
from oracle.bootstrap.parts import Instrument, Parts, bare, open_parts
from oracle.bootstrap.private import open_private
from oracle.bootstrap.readiness import lacks
from oracle.bootstrap.steps import Work, duties_of, work_of
from oracle.bootstrap.supervisor import Supervisor, reporting
from oracle.bootstrap.views import look_at_gateways
from oracle.core.types import Address
from oracle.inference.model_library import ModelLibrary
from oracle.service.fleet import Fleet
from oracle.service.node import Node
from oracle.settings import Settings
from oracle.storage.claim import claimed
from oracle.storage.heartbeat import HeartbeatFile

_log = structlog.get_logger("oracle.node")

_ANOTHER_RUNS = (
    "`oracle node stop` ends it; a second worker has a data_dir of its own and shares the "
    "database: docs/operations.md, several workers"
)


async def run_node(
    settings: Settings,
    operator: Address,
    *,
    instrument: Instrument = bare,
    settings_again: Callable[[], Settings] | None = None,
) -> None:
    """Runs a node until SIGTERM or SIGINT has drained it; a second signal ends it at once.

    Args:
        settings_again: reads the settings when a SIGHUP says that the keys have changed.
    """
    reload = Reload(settings_again or (lambda: settings))
    async with open_node(settings, operator, instrument=instrument, reload=reload) as node:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, reload.wanted.set)
        signalled = 0

        def on_signal() -> None:
            nonlocal signalled
            signalled += 1
            node.drain() if signalled == 1 else node.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        async with reporting(node, Supervisor.of_environment()):
            await node.run()


@asynccontextmanager
async def open_node(
    settings: Settings,
    operator: Address,
    *,
    instrument: Instrument = bare,
    reload: Reload | None = None,
) -> AsyncIterator[Node]:
    """A node with everything it needs opened, and closed again.

    Args:
        instrument: what each adapter goes through before the services get it.
        reload: has the keys read again while the node runs.

    Raises:
        StorageError: a node runs on this data directory already.
        ConfigurationError: keys, deployment, provider or operator are not as they must be.
        ChainUnreachable: the endpoint does not answer.
    """
    async with AsyncExitStack() as opened:
        claim = opened.enter_context(claimed(settings.data_dir, hint=_ANOTHER_RUNS))
        connection.deployment(settings)
        connection.rpc_urls(settings)
        models = instrument("models", ModelLibrary(settings.model_store))
        engine = await opened.enter_async_context(opened_inference(settings, models))
        signers = await opened.enter_async_context(opened_signers(settings))
        parts = await opened.enter_async_context(
            open_parts(
                settings,
                operator,
                instrument=instrument,
                signers=signers,
                reload=reload or Reload(lambda: settings),
                engine=engine,
                claim=claim,
            )
        )
        yield await opened.enter_async_context(_at_work(parts))


@asynccontextmanager
async def _at_work(parts: Parts) -> AsyncIterator[Node]:
    settings, deployment, rpc = parts.settings, parts.deployment, parts.rpc
    work = work_of(parts)
    node = _node(parts, work)
    async with AsyncExitStack() as opened:
        if parts.view_gateway is not None:
            opened.push_async_callback(parts.view_gateway.close)
        node.private = await opened.enter_async_context(open_private(parts, node))
        _log.info(
            "node",
            operator=parts.operator,
            signer=parts.key.address,
            chain=deployment.chain_id,
            endpoint=rpc.endpoint,
            serving=parts.serving.address,
            private=node.private,
        )
        lacking = await lacks(
            rpc,
            deployment,
            parts.operator,
            parts.sender,
            parts.library,
            parts.models,
            parts.offers,
        )
        for lack in lacking:
            if lack.kind != "model":
                _log.warning(lack.what, kind=lack.kind, next=lack.next_step)
        work.unserved.note(lacking)
        await opened.enter_async_context(
            warming(parts.engine, parts.offers, parts.ports.registry, parts.library)
        )
        ring = work.steps[0].doorbell.set
        await opened.enter_async_context(
            ringing(settings, deployment.chain_id, ring, lambda: parts.watch.head)
        )
        if parts.view_gateway is not None:
            await look_at_gateways(parts)
            parts.view_gateway.open(node)
        yield node


def _node(parts: Parts, work: Work) -> Node:
    settings = parts.settings
    return Node(
        work.steps,
        duties_of(settings),
        parts.watch,
        parts.ports.jobs,
        HeartbeatFile(settings.data_dir / "node.json"),
        parts.clock,
        parts.operator,
        drain_seconds=settings.drain_seconds,
        serving=parts.serving.address,
        fleet=Fleet(parts.lead, parts.ports.jobs, parts.ports.transactions, parts.senders),
        owed=work.reveal.owed,
        more_trouble=lambda: work.trouble(parts),
        wanting=lambda: work.unserved.reasons,
        endpoints=parts.rpc.reports,
        settings_waiting=lambda: parts.keys.reload.waiting,
    )
