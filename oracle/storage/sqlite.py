"""What is peculiar to SQLite: file modes, pragmas, how a transaction begins, what its errors mean.

All SQL that only SQLite understands is here. Knows nothing of tables.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from oracle.errors import ConfigurationError, StorageError

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600

READ_OPTIONS: Mapping[str, Any] = {"sqlite_begin": "BEGIN"}
WRITE_OPTIONS: Mapping[str, Any] = {"sqlite_begin": "BEGIN IMMEDIATE"}
"""Writers take the write lock first: a lock upgraded half-way can fail without any waiting."""

BESIDE_OPTIONS = WRITE_OPTIONS
"""There is one writer at a time in any case."""

NOW = "(julianday('now') - 2440587.5) * 86400.0"
"""Unix seconds, by the clock of this machine: whoever shares the file is on it."""

_MEANINGS: tuple[tuple[str, str, str], ...] = (
    # prefix of the error's name, what it means, what to do
    (
        "SQLITE_BUSY",
        "the database is locked by another process",
        "is a second worker running on this file? stop it, or end whatever has the file open",
    ),
    (
        "SQLITE_LOCKED",
        "the database is locked by another connection",
        "end whatever else has the file open",
    ),
    (
        "SQLITE_FULL",
        "the disk is full; nothing was written",
        "free space on the disk of the database, then start again; no work is lost",
    ),
    (
        "SQLITE_NOTADB",
        "the file is not an SQLite database",
        "check the path; the file was left as it is",
    ),
    (
        "SQLITE_CORRUPT",
        "the database file is damaged",
        "move the file and its -wal and -shm away together and restore a backup, or start a new"
        " database and let it read the chain again",
    ),
    (
        "SQLITE_READONLY",
        "the database cannot be written to",
        "check the owner and mode of the file and of its directory",
    ),
    (
        "SQLITE_CANTOPEN",
        "the database file cannot be opened",
        "check the path, and the owner and mode of the file and of its directory",
    ),
    (
        "SQLITE_IOERR",
        "the disk failed under the database",
        "check the disk and the system's log; network file systems are not suitable",
    ),
    (
        "SQLITE_CONSTRAINT",
        "the database refused a row that breaks a rule",
        "this is a defect of the worker: please report it with this message",
    ),
)


def engine(url: URL, lock_timeout_seconds: float) -> Engine:
    """An engine for a database file, which is created, private to its owner, where there is none.

    Raises:
        StorageError: the file or its directory cannot be made.
        ConfigurationError: the URL names no file.
    """
    if not url.database or url.database == ":memory:":
        raise ConfigurationError(
            "an SQLite database needs a file: what is only in memory is lost in a crash",
            hint="give a path, such as data/oracle.db",
        )
    _create_private(Path(url.database))
    created = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        # The driver begins nothing by itself: the event below does.
        connect_args={"timeout": lock_timeout_seconds, "isolation_level": None},
    )
    event.listen(created, "connect", _configure)
    event.listen(created, "begin", _begin)
    return created


def explain(error: BaseException) -> StorageError | None:
    """What a driver error means to an operator, or None where it says nothing particular."""
    name = getattr(error, "sqlite_errorname", None)
    if name is None:
        return None
    for prefix, meaning, hint in _MEANINGS:
        if name.startswith(prefix):
            return StorageError(f"{meaning} ({name}: {error})", hint=hint)
    return None


def place(connection: Connection) -> str:
    """What a copy of the file has otherwise."""
    file = Path(connection.engine.url.database or "").stat()
    return f"{file.st_dev}-{file.st_ino}"


def _create_private(path: Path) -> None:
    try:
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        if not path.exists():
            # SQLite gives its -wal and -shm files the mode of the database file.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, FILE_MODE))
    except OSError as error:
        raise StorageError(
            f"cannot create the database {path}: {error.strerror}",
            hint="check the path, and the owner and mode of its directory",
        ) from error


def _configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA foreign_keys = ON")
        mode = _write_ahead(cursor)
        cursor.execute("PRAGMA synchronous = FULL")
    finally:
        cursor.close()
    if mode != "wal":
        raise StorageError(
            f"the database cannot keep a write-ahead log (it stays in {mode} mode)",
            hint="put it on a local disk: network file systems cannot hold it",
        )


def _write_ahead(cursor: Any) -> str:
    """Turns the write-ahead log on.

    SQLite does not wait for a lock here, and two processes may open a new file at the same moment;
    the loser asks again once the winner is through, which a plain read waits for.
    """
    for _ in range(100):
        try:
            return str(cursor.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
        cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return str(cursor.execute("PRAGMA journal_mode = WAL").fetchone()[0])


def _begin(connection: Connection) -> None:
    begin = connection.get_execution_options().get("sqlite_begin", "BEGIN")
    connection.exec_driver_sql(begin)
