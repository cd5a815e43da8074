"""A devnet with models, an operator and a requester, and nodes to serve it: for whole-system tests.

One devnet serves a whole test run (`Stage`); each test plays on it in a `World` that is undone
afterwards, with a data directory of its own. `tests.support.invariants` checks what must hold.
"""

from __future__ import annotations

import asyncio
import functools
import json
import multiprocessing
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from oracle.bootstrap.clock import SystemClock
from oracle.bootstrap.devnet import start_devnet
from oracle.bootstrap.node import open_node, run_node
from oracle.bootstrap.worker import Worker
from oracle.chain.contracts import Contracts
from oracle.chain.deployment import Deployment, DeploymentParameters
from oracle.chain.oracle_contract import RequestParams
from oracle.chain.rpc import Rpc
from oracle.client import OracleClient, Requested
from oracle.core.job import Job, JobState
from oracle.core.request import RequestState
from oracle.core.types import Address
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.anvil import Anvil, AnvilOptions
from oracle.devnet.samples import sample
from oracle.devnet.state import DevnetState
from oracle.service.node import Node
from oracle.settings import Settings
from oracle.storage.heartbeat import HeartbeatFile
from oracle.storage.storage import Storage, open_storage
from tests.support.anvil import Chain, random_chain_id
from tests.support.crash import Crash

T = TypeVar("T")

OPG = 10**18
DIGITS = "digits-mlp"
PATIENTS = "breast-cancer-gbt"
PATIENCE_SECONDS = 120.0

NODE_LOG = "forked.log"

QUICK: dict[str, Any] = {
    "poll_seconds": 0.05,
    "settle_seconds": 0.1,
    "resend_seconds": 1.0,
    "provider": "cpu",
    "log_level": "warning",
}
"""Settings that make a node as quick as a test wants it."""


async def until(condition: Callable[[], Awaitable[T]], seconds: float = PATIENCE_SECONDS) -> T:
    """The first true value of a condition that is looked at again and again."""
    async with asyncio.timeout(seconds):
        while not (found := await condition()):  # noqa: ASYNC110 - chains and processes set no event
            await asyncio.sleep(0.02)
    return found


@dataclass(frozen=True, slots=True)
class Stage:
    """A running devnet with everything on it. `settings` are those of its data directory."""

    anvil: Anvil
    log_file: Path
    settings: Settings
    deployment: Deployment
    operator: Address
    models: dict[str, bytes]


@contextmanager
def stage(
    data_dir: Path, *, slots_in_an_epoch: int | None = None, more: tuple[str, ...] = ()
) -> Iterator[Stage]:
    """Starts a devnet that mines a block per transaction and has windows of one second.

    Args:
        more: arguments for anvil.
    """
    with _started(data_dir, slots_in_an_epoch, more) as on:
        yield asyncio.run(_furnish(*on))


@asynccontextmanager
async def open_stage(data_dir: Path) -> AsyncIterator[Stage]:
    """As `stage`, for a caller that has an event loop."""
    with _started(data_dir) as on:
        yield await _furnish(*on)


@contextmanager
def _started(
    data_dir: Path, slots_in_an_epoch: int | None = None, more: tuple[str, ...] = ()
) -> Iterator[tuple[Anvil, Path, Settings]]:
    settings = Settings.model_construct(data_dir=data_dir)
    log_file = data_dir / "anvil.log"
    options = AnvilOptions(
        chain_id=random_chain_id(), slots_in_an_epoch=slots_in_an_epoch, more=more
    )
    anvil = Anvil.start(options, log_file)
    try:
        DevnetState.of(anvil, log_file).save(settings.devnet_dir)
        yield anvil, log_file, settings
    finally:
        anvil.resume()
        anvil.kill()


async def _furnish(anvil: Anvil, log_file: Path, settings: Settings) -> Stage:
    parameters = replace(DeploymentParameters.devnet(), default_window=1)
    ready = await start_devnet(settings, parameters=parameters, block_seconds=0)
    await ready.devnet.rpc.close()
    deployment = ready.devnet.contracts.deployment
    return Stage(anvil, log_file, settings, deployment, ready.operator, dict(ready.models))


@asynccontextmanager
async def world(place: Stage, folder: Path, *, undo: bool = True) -> AsyncIterator[World]:
    """Plays on a stage, with a data directory of its own, and undoes what happened to the chain."""
    async with await Rpc.connect(place.anvil.url) as rpc:
        chain = Chain(place.anvil, rpc, place.log_file)
        before = await chain.snapshot()
        # Undoing set the chain's clock back to that of the snapshot.
        now = max(int(time.time()), await chain.time() + 1)
        await rpc.request("evm_setNextBlockTimestamp", [now])
        await chain.mine()
        keys = place.settings.data_dir / "keys"
        settings = Settings.model_construct(
            **QUICK,
            data_dir=folder,
            rpc_url=place.anvil.url,
            deployment=place.settings.deployment_path,
            operator=place.operator,
            signer_keystore=keys / "signer.json",
            owner_keystore=keys / "owner.json",
            requester_keystore=keys / "requester.json",
            password_file=keys / "password",
        )
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - takes no time
        settings.model_store.symlink_to(place.settings.model_store)
        storage = open_storage(settings.database_url, SystemClock())
        opened = World(place, chain, settings, storage)
        try:
            yield opened
        finally:
            opened.end_processes()
            await storage.close()
            if undo:
                await chain.automine(True)
                await chain.revert(before)


class World:
    """Chain, people and the operator's job table; nodes come and go.

    Attributes:
        client: the requester's.
        storage: the job table of this world's nodes, to look at.
    """

    def __init__(self, place: Stage, chain: Chain, settings: Settings, storage: Storage) -> None:
        self.chain = chain
        self.settings = settings
        self.storage = storage
        self.operator = place.operator
        self.models = place.models
        self.deployment = place.deployment
        self.contracts = Contracts.at(chain.rpc, place.deployment)
        self.client = self.client_of(Person.REQUESTER)
        self._started: list[Callable[[], None]] = []

    def client_of(self, person: int) -> OracleClient:
        return OracleClient(self.chain.rpc, self.deployment, signer_of(person))

    # ---- nodes

    @asynccontextmanager
    async def node(self, **changes: Any) -> AsyncIterator[Node]:
        """A node in this process, ended at once when the context is left."""
        settings = self.settings.model_copy(update=changes)
        async with open_node(settings, self.operator) as node:
            running = asyncio.create_task(node.run())
            try:
                yield node
            finally:
                node.stop()
                await running

    async def worker(self, **changes: Any) -> Worker:
        """A node in a process of its own."""
        worker = await Worker.start(self.write_settings(**changes), self.settings.data_dir)
        self._started.append(functools.partial(_end, worker))
        return worker

    async def process(
        self, *, crash: Crash | None = None, wait: bool = True, **changes: Any
    ) -> ForkedNode:
        """As `worker`, from a process that has imported everything: started in no time.

        Args:
            crash: where it kills itself.
            wait: for its first beat, which it must reach.
        """
        settings = self.settings.model_copy(update=changes)
        node = ForkedNode(settings, self.operator, crash)
        self._started.append(node.end)
        if wait:
            await until(node.beats)
        return node

    def logged(self, event: str) -> list[dict[str, Any]]:
        """What the nodes of `process` have logged under these words, over all of their lives."""
        path = self.settings.data_dir / NODE_LOG
        lines = path.read_text().splitlines() if path.exists() else []
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in found if line.get("event") == event]

    def end_processes(self) -> None:
        """Ends what a failed test has left running."""
        for end in self._started:
            end()

    def write_settings(self, **changes: Any) -> Path:
        """The settings as a file, for processes."""
        values = self.settings.model_copy(update=changes).model_dump(exclude_none=True)
        lines = [f"{name} = {_toml(value)}" for name, value in values.items()]
        path = self.settings.data_dir / "oracle.toml"
        path.write_text("\n".join(lines) + "\n")
        return path

    # ---- asking

    async def ask(self, inputs: NDArray[Any] | None = None, **terms: Any) -> Requested:
        """A request to the digit model, by default of one image and by the standing offer."""
        return await self.client.request(DIGITS, [digit() if inputs is None else inputs], **terms)

    async def ask_several(self, requests: int) -> list[Requested]:
        """The first, which is due first, is run alone, as a model's first is by any new node; the
        others together, where no node runs yet."""
        first = await self.ask(time_to_answer=500)
        return [first, *[await self.ask(digit(index)) for index in range(1, requests)]]

    async def ask_bytes(self, data: bytes, **changes: Any) -> Requested:
        """A request whose input is any bytes; bound to the operator unless it is said otherwise."""
        return await self.client.send_request(await self.params(**changes), data)

    async def params(self, **changes: Any) -> RequestParams:
        terms = RequestParams(
            consumer=Address("0x" + "00" * 20),
            model_id=self.models[DIGITS],
            operator=self.operator,
            fee=OPG,
            bond=20 * OPG,
            value_at_risk=0,
            deadline=await self.chain.time() + 600,
            window=1,
            callback_gas_limit=0,
            eager=False,
        )
        return replace(terms, **changes)

    # ---- waiting

    async def job(self, request_id: bytes) -> Job | None:
        return await self.storage.jobs.job(request_id)

    async def until_job(self, request_id: bytes, *states: JobState) -> Job:
        """Waits for the job to stand in one of these states."""

        async def there() -> Job | None:
            job = await self.job(request_id)
            return job if job is not None and job.state in states else None

        try:
            found = await until(there)
        except TimeoutError:
            raise AssertionError(
                f"waited for {states}, stands at {await self.job(request_id)}"
            ) from None
        assert found is not None
        return found

    async def until_settled(self, *request_ids: bytes) -> list[Job]:
        """Waits for answers, lets their windows pass, and waits for the settlements."""

        async def settled(request_id: bytes) -> bool:
            job = await self.until_job(request_id, *JobState)
            if job.state is JobState.ANSWERED:
                await self.chain.travel_past(job.settle_at or 0)
            return job.state is JobState.SETTLED

        for request_id in request_ids:
            try:
                await until(functools.partial(settled, request_id))
            except TimeoutError:
                raise AssertionError(f"not settled: {await self.job(request_id)}") from None
        return [await self.until_job(one, JobState.SETTLED) for one in request_ids]

    async def state(self, request_id: bytes) -> RequestState:
        return (await self.client.state(request_id)).state


_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.support.world"])


class ForkedNode:
    """A node in a process of its own, to be killed and told to end."""

    def __init__(self, settings: Settings, operator: Address, crash: Crash | None = None) -> None:
        self._heartbeat = HeartbeatFile(settings.data_dir / "node.json")
        self._process = _forks.Process(target=_serve, args=(settings, operator, crash), daemon=True)
        self._process.start()

    async def beats(self) -> bool:
        """As `has_beaten`, of a node that must not end before."""
        assert self.running, f"the node ended with {self._process.exitcode}"
        return await self.has_beaten()

    async def has_beaten(self) -> bool:
        beat = self._heartbeat.read()
        return beat is not None and beat.process_id == self._process.pid

    @property
    def running(self) -> bool:
        return self._process.is_alive()

    def signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    async def kill(self) -> None:
        """Ends it as a power cut would."""
        self.signal(signal.SIGKILL)
        assert await self.exit_code() == -signal.SIGKILL

    def end(self) -> None:
        """Ends it at once, if it runs."""
        if self.running:
            self.signal(signal.SIGKILL)
        self._process.join()

    async def exit_code(self) -> int | None:
        """Waits for its end."""
        await asyncio.to_thread(self._process.join, PATIENCE_SECONDS)
        return self._process.exitcode


def _end(worker: Worker) -> None:
    worker.process.kill()
    worker.process.wait()


def _serve(settings: Settings, operator: Address, crash: Crash | None) -> None:
    _log_to(settings.data_dir / NODE_LOG)
    if crash is None:
        asyncio.run(run_node(settings, operator))
    else:
        asyncio.run(run_node(settings, operator, instrument=crash))


def _log_to(path: Path) -> None:
    """One JSON object a line, kept over restarts: what a test counts alerts by."""
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(path.open("a", buffering=1)),
    )


async def ended(worker: Worker) -> int:
    """The exit code of a worker that is about to end."""
    return await asyncio.to_thread(worker.process.wait, PATIENCE_SECONDS)


def digit(index: int = 0) -> NDArray[np.float32]:
    """A held-out image, as one row."""
    images, _ = sample(DIGITS).held_out_samples()
    return images[index : index + 1].astype(np.float32)


def _toml(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return f'"{value}"'
