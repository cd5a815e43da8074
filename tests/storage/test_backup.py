"""Copies of a job table that is in use, and what is refused to take its place."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from oracle.errors import ConfigurationError, InputError, StorageError, WrongSchema
from oracle.storage import open_storage
from oracle.storage.backup import back_up, examine, put_back
from oracle.storage.tables import SCHEMA_VERSION

from .building import SteppingClock, block, seen


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


async def test_a_copy_is_whole_and_private_while_somebody_writes(
    tmp_path: Path, clock: SteppingClock
) -> None:
    location = str(tmp_path / "node.sqlite")
    storage = open_storage(location, clock)
    ended = asyncio.Event()

    async def write() -> int:
        number = 0
        while not ended.is_set() or number < 5:
            number += 1
            await storage.jobs.ingest(block(10 + number), [seen(10 + number)], [])
        return number

    writing = asyncio.create_task(write())
    copies = []
    for number in range(5):
        target = tmp_path / "copies" / f"{number}.sqlite"
        copies.append(await asyncio.to_thread(back_up, location, target))
    ended.set()
    written = await writing
    await storage.close()
    assert [one.jobs for one in copies] == sorted(one.jobs for one in copies)
    for one in copies:  # of one moment: as many jobs as blocks that were read
        assert one.jobs <= written
        assert one.cursor is None or one.cursor == 10 + one.jobs
        assert stat.S_IMODE(one.path.stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "copies").iterdir()) == [
        f"{number}.sqlite" for number in range(5)
    ]


async def test_what_is_put_back_is_read_and_what_was_there_is_kept(
    tmp_path: Path, clock: SteppingClock
) -> None:
    location = str(tmp_path / "node.sqlite")
    storage = open_storage(location, clock)
    event = seen(11)
    await storage.jobs.ingest(block(11), [event], [])
    copy = back_up(location, tmp_path / "copy.sqlite")
    await storage.jobs.ingest(block(12), [seen(12)], [])
    await storage.close()
    found, aside = put_back(location, copy.path)
    assert (found.jobs, found.cursor) == (1, 11)
    again = open_storage(location, clock)
    assert await again.jobs.cursor() == block(11)
    assert await again.jobs.job(event.request_id) is not None
    await again.close()
    assert [examine(one).jobs for one in aside] == [2]
    assert examine(copy.path).jobs == 1, "the copy itself is not used up"


@pytest.mark.parametrize("version", [SCHEMA_VERSION - 1, SCHEMA_VERSION + 1])
def test_a_copy_of_another_schema_is_refused(
    tmp_path: Path, clock: SteppingClock, version: int
) -> None:
    location = str(tmp_path / "node.sqlite")
    asyncio.run(open_storage(location, clock).close())
    copy = back_up(location, tmp_path / "copy.sqlite").path
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("UPDATE identity SET schema_version = ?", (version,))
        connection.commit()
    before = Path(location).read_bytes()
    with pytest.raises(WrongSchema, match=f"schema version {version}") as refused:
        put_back(location, copy)
    assert refused.value.exit_code == 4
    assert refused.value.hint is not None
    assert Path(location).read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"node.sqlite", "copy.sqlite"}


def test_what_is_no_copy_is_refused(tmp_path: Path) -> None:
    location = str(tmp_path / "node.sqlite")
    (tmp_path / "notes").write_text("not a database, " * 100)
    with pytest.raises(StorageError, match="not an SQLite database"):
        put_back(location, tmp_path / "notes")
    with closing(sqlite3.connect(tmp_path / "other")) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
        other.commit()
    with pytest.raises(WrongSchema, match="not the database of a node"):
        put_back(location, tmp_path / "other")
    with pytest.raises(StorageError, match="there is no backup"):
        put_back(location, tmp_path / "nowhere")
    with pytest.raises(StorageError, match="there is no database"):
        back_up(location, tmp_path / "copy")
    assert not Path(location).exists()


def test_a_servers_database_is_left_to_its_tools_without_telling_secrets(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        back_up("postgresql+psycopg://user:secret@host/name", tmp_path / "copy")
    assert "pg_dump" in str(refused.value.hint)
    assert "secret" not in f"{refused.value.message} {refused.value.hint}"


async def test_nothing_is_overwritten(tmp_path: Path, clock: SteppingClock) -> None:
    location = str(tmp_path / "node.sqlite")
    await open_storage(location, clock).close()
    (tmp_path / "copy").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        back_up(location, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "mine"
