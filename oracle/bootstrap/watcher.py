"""Builds a watcher from settings: its own database, the operator's tools, and a key that pays."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from oracle.bootstrap import connection
from oracle.bootstrap.clock import SystemClock
from oracle.bootstrap.metrics_watcher import open_watcher_server
from oracle.bootstrap.verify import LocalRunner
from oracle.chain.court_contract import CourtBinding
from oracle.chain.court_reader import CourtReader
from oracle.chain.gateway import Gateway
from oracle.chain.keystore import LocalSigner
from oracle.chain.reader import Reader
from oracle.client import OracleClient, connect
from oracle.client.trace_reader import ReadLimits
from oracle.core.case import Case, CaseState
from oracle.core.model import Model
from oracle.core.schema import ModelSchema
from oracle.core.types import Tier, format_wad
from oracle.inference.model_library import ModelLibrary
from oracle.ports.inference import Inference, Tensors
from oracle.ports.jobs import DatabaseIdentity
from oracle.service.transact import Transact
from oracle.settings import Settings
from oracle.storage.claim import claimed
from oracle.storage.storage import Storage, open_storage
from oracle.verify.places import FETCH_SECONDS, EndpointPrograms, Folder, Uri
from oracle.verify.sources import FileSource
from oracle.watcher.convict import Convict
from oracle.watcher.demand import Demand
from oracle.watcher.examine import Examine
from oracle.watcher.follow import Follow
from oracle.watcher.outbox import Outbox
from oracle.watcher.policy import WatcherPolicy
from oracle.watcher.purse import Purse
from oracle.watcher.report import WatchReport
from oracle.watcher.retire import Retire
from oracle.watcher.subject import Subjects
from oracle.watcher.watcher import Watcher

DATABASE = "cases.sqlite"

_log = structlog.get_logger("oracle.watcher")


@dataclass(frozen=True, slots=True)
class OpenWatcher:
    """A watcher, and what it leaves to be told."""

    watcher: Watcher
    client: OracleClient
    court: CourtBinding
    storage: Storage
    missed_before: frozenset[bytes]
    purse: Purse

    async def report(self) -> WatchReport:
        """What it watched so far."""
        me = self.client.sender.address
        cases = await self.storage.cases.everything()
        return WatchReport(
            cases,
            _missed(cases) - self.missed_before,
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
        async with open_watcher_server(
            settings, opened.watcher, opened.purse, opened.storage, opened.client.rpc
        ):
            rpc = opened.client.rpc
            _log.info(
                "watching",
                chain=rpc.chain_id,
                endpoint=rpc.endpoint,
                key=key.address,
                **{name.lower(): format_wad(held) for name, (held, _) in opened.purse.seen.items()},
                from_block=policy.start_block,
            )
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
        StorageError: a watcher with this key runs on this data directory already.
        ConfigurationError, ChainUnreachable: as for a node.
    """
    deployment = connection.deployment(settings)
    # A key of its own has a memory of its own, and so has a local chain that began anew.
    chain = f"{deployment.chain_id}-{deployment.genesis_hash.hex()[:8]}"
    folder = settings.data_dir / "watcher" / f"{chain}-{key.address}"
    if policy.only is not None:
        folder /= policy.only.hex()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        claim = claimed(
            folder,
            runs=f"a watcher with this key, {key.address}, runs",
            hint="end that one, or give this one a key of its own: --keystore",
        )
        held.enter_context(claim)
        async with connect(
            connection.rpc_urls(settings),
            deployment,
            key,
            timeout_seconds=settings.rpc_timeout_seconds,
            policy=connection.rpc_policy(settings),
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
    limits = ReadLimits(public_only=not connection.asks_private(settings))
    subjects = Subjects(client, Places(settings.model_store, limits))
    outbox = Outbox(
        storage.transactions, transact, gateway, court, key.address, policy.max_gas_price_wei
    )

    def new_runner() -> OneRun:
        return OneRun(settings)

    examine = Examine(client, subjects, new_runner, policy, limits)
    purse = Purse(gateway, client.token, court, key.address, clock, demands=policy.demand)
    await purse.look()
    convict = Convict(client, court, proceedings, subjects, outbox, purse, policy)
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
        look=purse.look,
        retire=Retire(court, subjects, outbox),
        poll_seconds=settings.poll_seconds,
        abreast=policy.abreast,
        hang_seconds=settings.hang_seconds,
    )
    before = _missed(await storage.cases.everything())
    return OpenWatcher(watcher, client, court, storage, before, purse)


def _missed(cases: Sequence[Case]) -> frozenset[bytes]:
    return frozenset(one.request_id for one in cases if one.state is CaseState.MISSED)


class Places:
    """Where programs are looked for: the models here, the registered URI, the endpoint."""

    def __init__(self, folder: Path, limits: ReadLimits) -> None:
        self._library = ModelLibrary(folder)
        self._limits = replace(limits, piece_seconds=FETCH_SECONDS)

    def __call__(self, model: Model, endpoint: str | None) -> Sequence[FileSource]:
        places: list[FileSource] = [Folder(self._look)]
        if model.uri:
            places.append(Uri(model.uri, public_only=self._limits.public_only))
        if endpoint is not None:
            places.append(EndpointPrograms(endpoint, self._limits))
        return places

    def _look(self, root: bytes, tier: Tier) -> bytes | None:
        return self._library.read_model(root, tier) if self._library.has(root, tier) else None


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
