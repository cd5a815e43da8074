"""Puts the explorer together: chain, index, follower, verifications in processes, and the site."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from oracle.bootstrap import connection
from oracle.bootstrap.explorer_check import ProcessChecks
from oracle.chain.deployment import Deployment
from oracle.chain.protocol_reader import ProtocolReader
from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.explorer.checks import CheckLimits, Checks
from oracle.explorer.completeness import Completeness
from oracle.explorer.evidence import Evidence
from oracle.explorer.follow import Follow, FollowPolicy
from oracle.explorer.site import site
from oracle.explorer.status import Status
from oracle.settings import Settings
from oracle.storage.claim import claimed
from oracle.storage.database import Database
from oracle.storage.explorer_lookup import ExplorerLookup
from oracle.storage.explorer_store import SqlExplorerStore, prepare
from oracle.web.server import Server

DATABASE = "explorer.sqlite"


@dataclass(frozen=True, slots=True)
class ExplorerOptions:
    """What the command line says.

    Attributes:
        private_endpoints: whether verifications may ask private addresses; None for "where the
            chain is local".
        check_limits: what verifications may cost.
    """

    host: str = "127.0.0.1"
    port: int = 0
    private_endpoints: bool | None = None
    check_limits: CheckLimits = field(default_factory=CheckLimits)


@dataclass(frozen=True, slots=True)
class OpenExplorer:
    """A running explorer."""

    address: str
    follow: Follow
    lookup: ExplorerLookup
    following: asyncio.Task[None]


async def serve(opened: OpenExplorer) -> None:
    """Waits for SIGTERM or SIGINT. Raises WrongChain where the chain is replaced meanwhile."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    waiting = asyncio.create_task(over.wait())
    await asyncio.wait({waiting, opened.following}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if opened.following.done():
        opened.following.result()


@asynccontextmanager
async def open_explorer(
    settings: Settings, options: ExplorerOptions
) -> AsyncIterator[OpenExplorer]:
    """An explorer that follows and serves until the context is left.

    Raises:
        StorageError: another explorer has this index, or it is of another version.
        ConfigurationError, ChainUnreachable, WrongChain: as for every reader.
    """
    deployment = connection.deployment(settings)
    folder = index_folder(settings, deployment)
    rpc = await connection.open_rpc(settings, deployment)
    with ExitStack() as held:
        try:
            claim = claimed(
                folder,
                runs="an explorer of this deployment runs on {data_dir}",
                hint="end that one, or give this one a data_dir of its own",
            )
            held.enter_context(claim)
            async with _opened(settings, options, deployment, rpc, folder) as opened:
                yield opened
        finally:
            await rpc.close()


def index_folder(settings: Settings, deployment: Deployment) -> Path:
    """Where the index of a deployment lies: a local chain that began anew has another one."""
    chain = f"{deployment.chain_id}-{deployment.genesis_hash.hex()[:8]}-{deployment.oracle[2:10]}"
    return settings.data_dir / "explorer" / chain


@asynccontextmanager
async def _opened(
    settings: Settings,
    options: ExplorerOptions,
    deployment: Deployment,
    rpc: Rpc,
    folder: Path,
) -> AsyncIterator[OpenExplorer]:
    reader = await ProtocolReader.open(rpc, deployment, largest_span=settings.range_blocks)
    file = folder / DATABASE
    writing = Database(file)
    reading: Database | None = None
    try:
        await writing.run(prepare)
        store = SqlExplorerStore(writing)
        await store.bind(deployment.chain_id, deployment.oracle, reader.genesis_hash)
        reading = Database(file)  # a page waits for no range that is being written
        lookup = ExplorerLookup(reading)
        follow = Follow(
            reader,
            store,
            Completeness(StakingBinding(rpc, deployment.staking), store, deployment.deployed_block),
            FollowPolicy(
                start_block=deployment.deployed_block,
                confirmations=settings.confirmations,
                range_blocks=settings.range_blocks,
                poll_seconds=settings.poll_seconds,
            ),
        )
        private = options.private_endpoints
        public_only = not (connection.asks_private(settings) if private is None else private)
        runner = ProcessChecks(settings, public_only=public_only)
        checks = Checks(runner, options.check_limits)
        application = site(lookup, checks, Evidence(rpc), Status(lookup, follow, deployment))
        server = Server(application, host=options.host, port=options.port)
        async with server:
            following = asyncio.create_task(follow.run())
            try:
                assert server.address is not None
                yield OpenExplorer(server.address, follow, lookup, following)
            finally:
                await checks.close()
                following.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await following
    finally:
        if reading is not None:
            await reading.close()
        await writing.close()
