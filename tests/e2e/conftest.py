"""Worlds to play in. The books of the shared one are checked when a test is over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.books import check_books
from tests.support.world import Stage, World, stage
from tests.support.world import world as open_world


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("anvil")


@pytest.fixture
async def world(shared_stage: Stage, tmp_path: Path) -> AsyncIterator[World]:
    """The shared devnet; undone after the test."""
    async with open_world(shared_stage, tmp_path / "data") as opened:
        yield opened
        await check_books(opened)


@pytest.fixture
def own_stage(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path / "stage") as started:
        yield started


@pytest.fixture
async def own_world(own_stage: Stage, tmp_path: Path) -> AsyncIterator[World]:
    """A devnet of the test's own, to reorganise and to halt; its books are the test's to check."""
    async with open_world(own_stage, tmp_path / "data", undo=False) as opened:
        yield opened
