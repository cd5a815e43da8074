"""Chains for every test package.

`anvil` is one chain for the whole run, with the contracts on it, put back after each test: quick. A
test that kills, suspends or restarts its chain, or needs options, takes `own_anvil` or `own_chain`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from oracle.chain.contracts import Contracts
from oracle.chain.deployer import deploy
from oracle.chain.deployment import Deployment, DeploymentParameters
from oracle.chain.rpc import Rpc
from oracle.chain.sender import TransactionSender
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.anvil import Anvil, AnvilOptions
from tests.support.anvil import Chain, own_chain, random_chain_id
from tests.support.invariants import check_invariants
from tests.support.postgresql import PostgresqlServer, postgresql_server
from tests.support.scene import Scene
from tests.support.world import Stage, World, stage
from tests.support.world import world as open_world

pytest_plugins = ["tests.support.failures"]

# A run in the background ignores Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes, says the machine and not the code.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

CHAIN_FIXTURES = {"anvil", "own_anvil", "deployment", "contracts", "scene", "shared_stage"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks whatever uses a chain, so that `-m "not anvil"` needs none."""
    for item in items:
        if CHAIN_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("anvil")


@pytest.fixture(autouse=True)
def logging_of_its_own() -> Iterator[None]:
    """A verb that a test calls sets up logging for its process, and so for the tests after it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """One server for the whole run, in each of its processes; a database for each test."""
    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="session")
def shared_anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Anvil, Path]]:
    log_file = tmp_path_factory.mktemp("anvil") / "anvil.log"
    anvil = Anvil.start(AnvilOptions(chain_id=random_chain_id()), log_file)
    yield anvil, log_file
    anvil.kill()


@pytest.fixture(scope="session")
def deployment(shared_anvil: tuple[Anvil, Path]) -> Deployment:
    """The contracts on the shared chain, with devnet parameters."""
    return asyncio.run(deploy_to(shared_anvil[0].url))


@pytest.fixture(scope="session")
def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A devnet with models and an operator, for tests that play whole scenarios."""
    with stage(tmp_path_factory.mktemp("stage")) as started:
        yield started


@pytest.fixture
async def world(shared_stage: Stage, tmp_path: Path) -> AsyncIterator[World]:
    """The shared devnet; its books are checked after the test, and it is put back."""
    async with open_world(shared_stage, tmp_path / "data") as opened:
        yield opened
        await check_invariants(opened, quiet=False)


@pytest.fixture
async def anvil(shared_anvil: tuple[Anvil, Path], deployment: Deployment) -> AsyncIterator[Chain]:
    """The shared chain; whatever a test does to its state is undone."""
    process, log_file = shared_anvil
    async with await Rpc.connect(process.url) as rpc:
        chain = Chain(process, rpc, log_file)
        before = await chain.snapshot()
        yield chain
        await chain.automine(True)
        await chain.revert(before)


@pytest.fixture
async def own_anvil(tmp_path: Path) -> AsyncIterator[Chain]:
    """A fresh chain of the test's own, without contracts."""
    async with own_chain(tmp_path / "anvil") as chain:
        yield chain


@pytest.fixture
def contracts(anvil: Chain, deployment: Deployment) -> Contracts:
    return Contracts.at(anvil.rpc, deployment)


@pytest.fixture
async def scene(anvil: Chain, contracts: Contracts) -> Scene:
    """The shared chain with a model, a bonded operator without offers, and a requester with OPG."""
    return await Scene.set(anvil, contracts)


async def deploy_to(url: str, parameters: DeploymentParameters | None = None) -> Deployment:
    """Deploys the contracts with anvil's first account."""
    async with await Rpc.connect(url) as rpc:
        sender = TransactionSender(rpc, signer_of(Person.DEPLOYER))
        return await deploy(sender, parameters or DeploymentParameters.devnet())
