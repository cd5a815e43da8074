"""Builds a node from settings: adapters into verbs, verbs into steps, steps into loops."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol, TypeVar

import structlog

from oracle.bootstrap import connection
from oracle.bootstrap.readiness import lacks
from oracle.bootstrap.receipts import NodeReceipts
from oracle.bootstrap.serving import open_serving
from oracle.chain.court_contract import CourtBinding
from oracle.chain.court_reader import CourtReader
from oracle.chain.gateway import Gateway
from oracle.chain.oracle_contract import OracleBinding
from oracle.chain.reader import Reader
from oracle.chain.registry_contract import RegistryBinding
from oracle.chain.rpc import Rpc
from oracle.chain.staking_contract import StakingBinding
from oracle.core.types import Address, opg
from oracle.errors import ConfigurationError
from oracle.inference.engine import EngineSettings, LocalEngine
from oracle.inference.model_library import ModelLibrary
from oracle.inference.provider import select_provider
from oracle.ports import DatabaseIdentity, Signer
from oracle.service.accept import Accept
from oracle.service.admit import Admit
from oracle.service.answer import Answer
from oracle.service.infer import Infer
from oracle.service.node import Duty, Node, Step
from oracle.service.policy import Policy
from oracle.service.post import Post
from oracle.service.retain import Retain
from oracle.service.reveal import Reveal, RevealPolicy
from oracle.service.settle import Settle
from oracle.service.transact import Transact
from oracle.service.watch import Watch, WatchPolicy
from oracle.settings import Settings
from oracle.storage.claim import claimed
from oracle.storage.heartbeat import HeartbeatFile
from oracle.storage.storage import open_storage

_log = structlog.get_logger("oracle.node")

_FOLLOW_SECONDS = 1.0
_RETAIN_SECONDS = 10.0

Adapter = TypeVar("Adapter")


class Instrument(Protocol):
    """Puts something, such as a clock, between the services and the adapter of a port."""

    def __call__(self, name: str, adapter: Adapter, /) -> Adapter: ...


def _bare(_name: str, adapter: Adapter, /) -> Adapter:
    return adapter


class SystemClock:
    """The wall clock."""

    def now(self) -> float:
        return time.time()


async def run_node(
    settings: Settings, operator: Address, *, instrument: Instrument = _bare
) -> None:
    """Runs a node until SIGTERM or SIGINT has drained it; a second signal ends it at once."""
    async with open_node(settings, operator, instrument=instrument) as node:
        loop = asyncio.get_running_loop()
        signalled = 0

        def on_signal() -> None:
            nonlocal signalled
            signalled += 1
            node.drain() if signalled == 1 else node.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        await node.run()


@asynccontextmanager
async def open_node(
    settings: Settings, operator: Address, *, instrument: Instrument = _bare
) -> AsyncIterator[Node]:
    """A node with everything it needs opened, and closed again.

    Args:
        instrument: what each adapter goes through before the services get it.

    Raises:
        StorageError: a node runs on this data directory already.
        ConfigurationError: keys, deployment, provider or operator are not as they must be.
        ChainUnreachable: the endpoint does not answer.
    """
    with claimed(settings.data_dir):
        async with _open_claimed(settings, operator, instrument) as node:
            yield node


@asynccontextmanager
async def _open_claimed(
    settings: Settings, operator: Address, instrument: Instrument
) -> AsyncIterator[Node]:
    clock = SystemClock()
    key = connection.signer(settings, "signer")
    deployment = connection.deployment(settings)
    rpc = await Rpc.connect(
        connection.rpc_url(settings),
        chain_id=deployment.chain_id,
        timeout_seconds=settings.rpc_timeout_seconds,
    )
    try:
        await deployment.verify(rpc)
        staking = StakingBinding(rpc, deployment.staking)
        await _check_signer(staking, operator, key)
        reader = await Reader.open(rpc, deployment.oracle, largest_span=settings.range_blocks)
        store = ModelLibrary(settings.model_store)
        provider = select_provider(settings.provider)
        engine = LocalEngine(
            instrument("models", store),
            provider=provider,
            settings=EngineSettings(
                threads=settings.threads, timeout_seconds=settings.inference_timeout_seconds
            ),
        )
        storage = open_storage(settings.database_url, clock)
        opened = AsyncExitStack()
        try:
            await storage.jobs.bind(
                DatabaseIdentity(
                    deployment.chain_id, deployment.oracle, operator, reader.genesis_hash
                )
            )
            models = RegistryBinding(
                rpc, deployment.registry, deployed_block=deployment.deployed_block
            )
            receipts = NodeReceipts(
                contracts=connection.contracts(deployment),
                jobs=storage.jobs,
                transactions=storage.transactions,
                chain=reader,
                registry=models,
            )
            serving = await opened.enter_async_context(
                open_serving(settings, store, clock, receipts)
            )
            traces = instrument("traces", serving.traces)
            registry = instrument("registry", models)
            staking = instrument("staking", staking)
            engine_in_use = instrument("engine", engine)
            key = instrument("signer", key)
            contract = instrument("contract", OracleBinding(rpc, deployment.oracle))
            gateway = instrument("gateway", Gateway(rpc))
            jobs = instrument("jobs", storage.jobs)
            transactions = instrument("transactions", storage.transactions)
            watch = Watch(
                instrument("reader", reader),
                staking,
                jobs,
                operator,
                WatchPolicy(
                    start_block=deployment.deployed_block,
                    confirmations=settings.confirmations,
                    range_blocks=settings.range_blocks,
                ),
            )
            transact = Transact(
                jobs,
                transactions,
                gateway,
                key,
                clock,
                deployment.chain_id,
                connection.transact_policy(settings),
            )
            post = Post(jobs, gateway, transact, contract, key.address)
            domain = deployment.domain
            policy = Policy(
                minimum_fee=opg(settings.minimum_fee_opg),
                answer_margin_seconds=settings.answer_margin_seconds,
                max_callback_gas=settings.max_callback_gas,
                max_window_seconds=settings.max_window_seconds,
                wei_per_opg=settings.wei_per_opg,
                margin_percent=settings.margin_percent,
            )
            admit = Admit(jobs, registry, staking, gateway, store, engine, operator, policy)
            accept = Accept(
                jobs,
                contract,
                gateway,
                transact,
                key,
                clock,
                domain,
                operator,
                margin_seconds=settings.answer_margin_seconds,
            )
            infer = Infer(jobs, registry, engine_in_use, traces, key, clock, domain, operator)
            answer = Answer(
                jobs,
                contract,
                gateway,
                post,
                key,
                clock,
                domain,
                operator,
                batch=settings.answer_batch,
            )
            settle = Settle(
                jobs, contract, gateway, post, clock, operator, batch=settings.settle_batch
            )

            reveal = Reveal(
                instrument("reader", reader),
                CourtReader(rpc, deployment.court, largest_span=settings.range_blocks),
                storage.demands,
                jobs,
                transactions,
                CourtBinding(rpc, deployment.court),
                gateway,
                transact,
                traces,
                serving.prover,
                clock,
                operator,
                key.address,
                RevealPolicy(deployment.deployed_block, settings.range_blocks),
            )

            async def follow() -> bool:
                return await transact.cycle(watch.cursor.number if watch.cursor else -1)

            steps = [
                Step(
                    "watch",
                    watch.cycle,
                    wakes=("admit", "infer", "follow", "settle"),
                    idle_seconds=settings.poll_seconds,
                ),
                Step("admit", admit.cycle, wakes=("accept",), idle_seconds=5.0, intake=True),
                Step("accept", accept.cycle, idle_seconds=5.0, intake=True),
                Step("infer", infer.cycle, wakes=("answer",), idle_seconds=1.0),
                Step("answer", answer.cycle, idle_seconds=1.0),
                Step("settle", settle.cycle),
                Step("reveal", reveal.cycle, idle_seconds=settings.poll_seconds),
                Step("follow", follow, wakes=("answer", "settle")),
                Step("retain", Retain(traces, clock).cycle),
            ]
            duties = [
                Duty("settle", settings.settle_seconds),
                Duty("follow", max(_FOLLOW_SECONDS, settings.poll_seconds)),
                Duty("retain", _RETAIN_SECONDS),
            ]
            _log.info(
                "node",
                operator=operator,
                signer=key.address,
                chain=deployment.chain_id,
                endpoint=rpc.endpoint,
                provider=provider.name,
                serving=serving.address,
            )
            for lack in await lacks(rpc, deployment, operator, key.address, store):
                _log.warning(lack.what, kind=lack.kind, next=lack.next_step)
            yield Node(
                steps,
                duties,
                watch,
                jobs,
                HeartbeatFile(settings.data_dir / "node.json"),
                clock,
                operator,
                drain_seconds=settings.drain_seconds,
                serving=serving.address,
            )
        finally:
            await opened.aclose()
            await storage.close()
            engine.close()
    finally:
        await rpc.close()


async def _check_signer(staking: StakingBinding, operator: Address, key: Signer) -> None:
    status = await staking.status(operator)
    if status.signer != key.address:
        raise ConfigurationError(
            f"the signer of {operator} is {status.signer}, the keystore holds {key.address}",
            hint="point signer_keystore at the registered key, or rotate the signer",
        )
