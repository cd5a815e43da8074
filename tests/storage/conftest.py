"""Every storage test runs on each backend: SQLite, and PostgreSQL where a scratch one is named.

ORACLE_TEST_POSTGRESQL is the URL of a database whose tables these tests may drop.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData, create_engine

from oracle.storage import Storage, open_storage

from .building import SteppingClock

POSTGRESQL = os.environ.get("ORACLE_TEST_POSTGRESQL")


@pytest.fixture(params=["sqlite", *(["postgresql"] if POSTGRESQL else [])])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty database is, or will be."""
    if request.param == "sqlite":
        return str(tmp_path / "data" / "oracle.db")
    assert POSTGRESQL is not None
    engine = create_engine(POSTGRESQL)
    with engine.begin() as connection:
        _drop_everything(connection)
    engine.dispose()
    return POSTGRESQL


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
async def storage(location: str, clock: SteppingClock) -> AsyncIterator[Storage]:
    opened = open_storage(location, clock, lock_timeout_seconds=2.0)
    yield opened
    await opened.close()


def _drop_everything(connection: Connection) -> None:
    present = MetaData()
    present.reflect(connection)
    present.drop_all(connection)
