"""Opening: what is created and how privately, how durable it is, and what is refused."""

from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update

from oracle.errors import ConfigurationError, StorageError
from oracle.storage import Storage, open_storage
from oracle.storage.tables import SCHEMA_VERSION, identity

from .building import SteppingClock, block, seen


async def test_what_is_written_is_there_after_a_restart(
    location: str, clock: SteppingClock
) -> None:
    first = open_storage(location, clock)
    event = seen(11)
    (job,) = await first.jobs.ingest(block(11), [event], [])
    await first.close()
    second = open_storage(location, clock)
    assert await second.jobs.job(event.request_id) == job
    assert await second.jobs.cursor() == block(11)
    await second.close()


@pytest.mark.parametrize("version", [SCHEMA_VERSION - 1, SCHEMA_VERSION + 1])
async def test_another_schema_version_is_refused(
    location: str, clock: SteppingClock, version: int
) -> None:
    storage = open_storage(location, clock)

    def alter(connection: Connection) -> None:
        connection.execute(update(identity).values(schema_version=version))

    await storage.database.run(alter)
    await storage.close()
    with pytest.raises(
        StorageError, match=f"schema version {version}, this program needs {SCHEMA_VERSION}"
    ) as caught:
        open_storage(location, clock)
    assert caught.value.hint is not None


async def test_work_runs_on_one_thread_that_is_not_the_loops(storage: Storage) -> None:
    names = {
        await storage.database.run(lambda _: threading.current_thread().name) for _ in range(5)
    }
    assert len(names) == 1
    assert threading.current_thread().name not in names


# ---- SQLite's own


async def test_durability_is_as_promised(tmp_path: Path, clock: SteppingClock) -> None:
    storage = open_storage(tmp_path / "oracle.db", clock)

    def pragmas(connection: Connection) -> dict[str, Any]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names}

    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    assert await storage.database.run(pragmas) == expected
    assert await storage.database.read(pragmas) == expected
    await storage.close()


async def test_file_and_directory_are_private(tmp_path: Path, clock: SteppingClock) -> None:
    path = tmp_path / "new" / "deeper" / "oracle.db"
    storage = open_storage(path, clock)
    await storage.jobs.ingest(block(11), [], [])
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == {"oracle.db": 0o600, "oracle.db-wal": 0o600, "oracle.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    await storage.close()
    assert [each.name for each in path.parent.iterdir()] == ["oracle.db"]


async def test_a_url_and_a_path_are_the_same_file(tmp_path: Path, clock: SteppingClock) -> None:
    first = open_storage(f"sqlite:///{tmp_path}/oracle.db", clock)
    await first.jobs.ingest(block(11), [], [])
    await first.close()
    second = open_storage(tmp_path / "oracle.db", clock)
    assert await second.jobs.cursor() == block(11)
    await second.close()


def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, clock: SteppingClock
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    with pytest.raises(StorageError, match="not an SQLite database") as caught:
        open_storage(path, clock)
    assert caught.value.hint is not None
    assert path.read_text() == "not a database, " * 100


def test_a_database_of_another_program_is_refused_and_left_alone(
    tmp_path: Path, clock: SteppingClock
) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(StorageError, match="another program: it has a table 'recipes'"):
        open_storage(path, clock)
    assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]
    other.close()


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, clock: SteppingClock) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot create the database"):
        open_storage(tmp_path / "file" / "oracle.db", clock)
    with pytest.raises(StorageError, match="cannot be opened"):
        open_storage(tmp_path, clock)


@pytest.mark.parametrize("location", ["sqlite://", "sqlite:///:memory:", ":memory:"])
def test_memory_is_refused(location: str, clock: SteppingClock) -> None:
    with pytest.raises(ConfigurationError, match="needs a file"):
        open_storage(location, clock)


@pytest.mark.parametrize(
    "location", ["mysql://root:secret@host/name", "nonsense://secret", "postgresql://secret@h:x/"]
)
def test_other_databases_are_refused_without_telling_secrets(
    location: str, clock: SteppingClock
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_storage(location, clock)
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"


def test_a_database_whose_driver_is_missing_is_refused(clock: SteppingClock) -> None:
    with pytest.raises(ConfigurationError, match=r"postgresql\+absent is not installed") as caught:
        open_storage("postgresql+absent://user:secret@host/name", clock)
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"


def test_two_threads_open_a_new_file_at_once(tmp_path: Path, clock: SteppingClock) -> None:
    failures: list[BaseException] = []
    barrier = threading.Barrier(8)

    def opens() -> None:
        barrier.wait()
        try:
            open_storage(tmp_path / "oracle.db", clock).database.close_blocking()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=opens) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
