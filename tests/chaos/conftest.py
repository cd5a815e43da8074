"""What the fifteen are provoked on: real chains, real node processes, and what is between them.

`world` is the shared devnet, undone after each test. `arena` is a devnet of the file's own, for
what cannot be undone (forks, time); its tests follow one another on the same chain, each with a job
table of its own, and each checks the invariants itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.world import Stage, World, stage
from tests.support.world import world as open_world


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("anvil")
            item.add_marker("chaos")


@pytest.fixture(scope="module")
def arena_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("arena")) as started:
        yield started


@pytest.fixture
async def arena(arena_stage: Stage, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(arena_stage, tmp_path / "data", undo=False) as opened:
        yield opened


@pytest.fixture
async def arena_proxy(arena: World) -> AsyncIterator[FaultProxy]:
    """Between a node and the arena's chain."""
    async with fault_proxy(arena.chain.url) as started:
        yield started
        arena.end_processes()


@pytest.fixture
async def proxy(world: World) -> AsyncIterator[FaultProxy]:
    """Between a node and the shared chain."""
    async with fault_proxy(world.chain.url) as started:
        yield started
        world.end_processes()
