"""Builds a watcher from settings: its own database, the operator's tools, and a key that pays."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from oracle.bootstrap import connection
from oracle.bootstrap.node import SystemClock
from oracle.bootstrap.verify import LocalRunner
from oracle.chain.court_contract import CourtBinding
from oracle.chain.court_reader import CourtReader
from oracle.chain.gateway import Gateway
from oracle.chain.keystore import LocalSigner
from oracle.chain.reader import Reader
from oracle.client import OracleClient, connect
from oracle.core.case import Case, CaseState
from oracle.core.model import Model
from oracle.core.schema import ModelSchema
from oracle.core.types import Tier
from oracle.inference.model_library import ModelLibrary
from oracle.ports import DatabaseIdentity, Inference, Tensors
from oracle.service.transact import Transact
from oracle.settings import Settings
from oracle.storage.claim import claimed
from oracle.storage.storage import Storage, open_storage
from oracle.verify.places import EndpointPrograms, Folder, Uri
from oracle.verify.sources import FileSource
from oracle.watcher.convict import Convict
from oracle.watcher.demand import Demand
from oracle.watcher.examine import Examine
from oracle.watcher.follow import Follow
from oracle.watcher.outbox import Outbox
from oracle.watcher.policy import WatcherPolicy
from oracle.watcher.report import WatchReport
from oracle.watcher.subject import Subjects
from oracle.watcher.watcher import Watcher

DATABASE = "watcher.sqlite"


@dataclass(frozen=True, slots=True)
class OpenWatcher:
    """A watcher, and what it leaves to be told."""

    watcher: Watcher
    client: OracleClient
    court: CourtBinding
    storage: Storage

    async def report(self) -> WatchReport:
        """What it watched so far."""
        me = self.client.sender.address
        return WatchReport(
            await self.storage.cases.everything(),
            await self.storage.jobs.totals(),
            await self.court.claimable(me) + await self.client.staking.claimable(me),
        )


async def run_watcher(
    settings: Settings, key: LocalSigner, policy: WatcherPolicy, *, once: bool = False
) -> WatchReport:
    """Watches until SIGTERM or SIGINT, or once until every answer up to the head is decided."""
    async with open_watcher(settings, key, policy) as opened:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, opened.watcher.stop)
        await opened.watcher.run(done=opened.watcher.idle if once else None)
        return await opened.report()


async def watch_request(
    settings: Settings, key: LocalSigner, policy: WatcherPolicy, request_id: bytes
) -> Case | None:
    """Watches one request until its answer is decided; None where it ends without an answer."""
    async with open_watcher(settings, key, replace(policy, only=request_id)) as opened:

        async def case() -> Case | None:
            return next(iter(await opened.storage.cases.everything()), None)

        async def done() -> bool:
            found = await case()
            if found is not None:
                return found.state.ended
            return (await opened.client.state(request_id)).state.terminal

        await opened.watcher.run(done=done)
        return await case()


@asynccontextmanager
async def open_watcher(
    settings: Settings, key: LocalSigner, policy: WatcherPolicy
) -> AsyncIterator[OpenWatcher]:
    """A watcher with everything it needs opened, and closed again.

    Args:
        key: pays gas and deposits, and gets the rewards. Nothing else may send with it.

    Raises:
        StorageError: a watcher runs on this data directory already.
        ConfigurationError, ChainUnreachable: as for a node.
    """
    folder = settings.data_dir / "watcher"
    if policy.only is not None:
        folder /= policy.only.hex()
    folder.mkdir(parents=True, exist_ok=True)
    with claimed(folder):
        async with connect(
            connection.rpc_url(settings),
            connection.deployment(settings),
            key,
            timeout_seconds=settings.rpc_timeout_seconds,
        ) as client:
            storage = open_storage(folder / DATABASE, SystemClock())
            try:
                yield await _opened(settings, client, storage, policy)
            finally:
                await storage.close()


async def _opened(
    settings: Settings, client: OracleClient, storage: Storage, policy: WatcherPolicy
) -> OpenWatcher:
    clock, rpc, deployment = SystemClock(), client.rpc, client.deployment
    key = client.sender.signer
    reader = await Reader.open(rpc, deployment.oracle, largest_span=settings.range_blocks)
    await storage.jobs.bind(
        DatabaseIdentity(deployment.chain_id, deployment.oracle, key.address, reader.genesis_hash)
    )
    gateway = Gateway(rpc)
    transact = Transact(
        storage.jobs,
        storage.transactions,
        gateway,
        key,
        clock,
        deployment.chain_id,
        connection.transact_policy(settings),
    )
    court = CourtBinding(rpc, deployment.court)
    proceedings = CourtReader(rpc, deployment.court, largest_span=settings.range_blocks)
    subjects = Subjects(client, Places(settings.model_store))
    outbox = Outbox(
        storage.transactions, transact, gateway, court, key.address, policy.max_gas_price_wei
    )

    def new_runner() -> OneRun:
        return OneRun(settings)

    examine = Examine(client, subjects, new_runner, policy)
    convict = Convict(client, court, proceedings, subjects, outbox, policy)
    demand = Demand(client, court, proceedings, subjects, outbox, convict, new_runner, policy)
    watcher = Watcher(
        Follow(reader, storage.cases, storage.jobs, policy),
        {
            CaseState.OPEN: examine.step,
            CaseState.ACCUSED: convict.step,
            CaseState.HELD: convict.step,
            CaseState.WITHHELD: demand.step,
        },
        storage.cases,
        transact,
        clock,
        poll_seconds=settings.poll_seconds,
        abreast=policy.abreast,
    )
    return OpenWatcher(watcher, client, court, storage)


class Places:
    """Where programs are looked for: the models here, the registered URI, the endpoint."""

    def __init__(self, folder: Path) -> None:
        self._library = ModelLibrary(folder)

    def __call__(self, model: Model, endpoint: str | None) -> Sequence[FileSource]:
        places: list[FileSource] = [Folder(self._look)]
        if model.uri:
            places.append(Uri(model.uri))
        if endpoint is not None:
            places.append(EndpointPrograms(endpoint))
        return places

    def _look(self, root: bytes, tier: Tier) -> bytes | None:
        return self._library.read_program(root) if self._library.has(root) else None


class OneRun:
    """A run on this machine, whose engine ends with it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def run(
        self, file: bytes, root: bytes, schema: ModelSchema, tier: Tier, inputs: Tensors
    ) -> Inference:
        runner = LocalRunner(self._settings)
        try:
            return await runner.run(file, root, schema, tier, inputs)
        finally:
            runner.close()
