"""An index of a test's own, and devnets that can be reorganised."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.bring_up import fund
from tests.explorer.indexing import Index, open_index
from tests.support.world import OPG, Stage, World, stage
from tests.support.world import world as open_world


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    async with open_index(tmp_path / "explorer.sqlite") as opened:
        yield opened


@pytest.fixture
def own_stage(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path / "stage") as started:
        yield started


@pytest.fixture
async def own_world(own_stage: Stage, tmp_path: Path) -> AsyncIterator[World]:
    """A devnet of the test's own, to reorganise."""
    async with open_world(own_stage, tmp_path / "data", undo=False) as opened:
        yield opened


@pytest.fixture
async def court(world: World) -> AsyncIterator[World]:
    """A world whose clock runs, and a watcher with money for deposits."""
    treasurer = world.chain.sender(Person.DEPLOYER)
    await fund(treasurer, world.contracts, signer_of(Person.WATCHER).address, opg=1_000 * OPG)
    await world.chain.rpc.request("evm_setIntervalMining", [1])
    yield world
    await world.chain.rpc.request("evm_setIntervalMining", [0])
