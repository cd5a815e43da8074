"""Every storage test runs on each backend: SQLite, and a real PostgreSQL that the run starts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from oracle.storage import Storage, open_storage
from tests.support.postgresql import PostgresqlServer

from .building import SteppingClock


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where an empty database is, or will be."""
    if request.param == "sqlite":
        yield str(tmp_path / "data" / "oracle.db")
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    url = server.new_database()
    yield url
    server.drop(url)


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
async def storage(location: str, clock: SteppingClock) -> AsyncIterator[Storage]:
    opened = open_storage(location, clock, lock_timeout_seconds=2.0)
    yield opened
    await opened.close()
