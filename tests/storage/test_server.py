"""The servers that these tests run on: the one that is found, or the one in a package."""

from __future__ import annotations

import pytest

from oracle.storage import open_storage
from tests.support.postgresql import (
    PostgresqlServer,
    packaged_programs,
    postgresql_server,
    programs,
)

from .building import SteppingClock, block


async def test_the_packages_server_does_where_there_is_no_other(clock: SteppingClock) -> None:
    with postgresql_server(packaged_programs()) as server:
        url = server.new_database()
        storage = open_storage(url, clock)
        await storage.jobs.ingest(block(11), [], [])
        assert await storage.jobs.cursor() == block(11)
        await storage.close()


def test_the_programs_on_path_are_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (programs() / "postgres").exists()
    monkeypatch.setenv("PATH", "/nowhere")
    assert programs() == packaged_programs()


def test_each_database_is_empty_and_can_be_dropped(postgresql: PostgresqlServer) -> None:
    url = postgresql.new_database()
    assert url != postgresql.new_database()
    postgresql.drop(url)
    postgresql.drop(url)
