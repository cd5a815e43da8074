"""A copy of a job table that another process may be writing to, and the way back.

Responsible for copies that are whole, private, checked, and of this program's schema. Overwrites
nothing: what a copy takes the place of is moved aside. Copies SQLite only; servers have tools of
their own. Knows nothing of traces.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from oracle.errors import ConfigurationError, InputError, StorageError, WrongSchema
from oracle.storage.database import database_url
from oracle.storage.sqlite import FILE_MODE, explain
from oracle.storage.tables import SCHEMA_VERSION

_BESIDE: Final = ("-wal", "-shm")
_PAGES_AT_ONCE: Final = -1
"""All: with a write-ahead log the writer does not wait, and the copy is of one moment."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A whole copy, and what it says of itself. `cursor` is the block that was read last."""

    path: Path
    jobs: int
    cursor: int | None


def back_up(location: str, target: Path) -> Copy:
    """Copies the database while it is in use.

    Raises:
        ConfigurationError: it is a server's.
        InputError: the target exists.
        StorageError: one of the two cannot be read or written.
    """
    source = _file(location, "back it up")
    if not source.exists():
        raise StorageError(f"there is no database {source}", hint="no node has run here")
    if target.exists():
        raise InputError(f"{target} exists", hint="a backup is never overwritten: name another")
    _copy(source, target)
    return examine(target)


def put_back(location: str, backup: Path) -> tuple[Copy, list[Path]]:
    """Has a copy take the database's place; no process may have it open. Where the old files are.

    Raises:
        ConfigurationError: it is a server's.
        WrongSchema: the copy is of another version, or another program's.
        StorageError: one of the two cannot be read or written.
    """
    target = _file(location, "restore it")
    found = examine(backup)
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy(backup, fresh)
        with _explained(), closing(_opened(fresh, "rw")) as copy:
            # Who led when it was made leads nothing now, and need not be waited for.
            copy.execute("DELETE FROM leases")
            copy.commit()
        _require_unused(target)
        aside = _move_aside(target)
        fresh.rename(target)
        _flush_folder(target.parent)
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)
    return found, aside


def examine(path: Path) -> Copy:
    """Reads a copy through.

    Raises:
        WrongSchema: of another version, or another program's.
        StorageError: damaged, or none.
    """
    if not path.is_file():
        raise StorageError(f"there is no backup {path}")
    with _explained(), closing(_opened(path)) as copy:
        verdict = str(copy.execute("PRAGMA integrity_check(1)").fetchone()[0])
        if verdict != "ok":
            raise StorageError(f"{path} is damaged: {verdict}", hint="take an older one")
        tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master")}
        if not {"identity", "jobs", "blocks"} <= tables:
            raise WrongSchema(f"{path} is not the database of a node")
        (version,) = copy.execute("SELECT schema_version FROM identity").fetchone()
        if version != SCHEMA_VERSION:
            raise WrongSchema(
                f"{path} has schema version {version}, this program needs {SCHEMA_VERSION}",
                hint="restore it with the version of the program that wrote it",
            )
        (jobs,) = copy.execute("SELECT count(*) FROM jobs").fetchone()
        (cursor,) = copy.execute("SELECT max(number) FROM blocks").fetchone()
    return Copy(path, int(jobs), None if cursor is None else int(cursor))


def _file(location: str, wanted: str) -> Path:
    url = database_url(location)
    if url.get_backend_name() != "sqlite" or not url.database:
        shown = url.set(drivername="postgresql").render_as_string(hide_password=True)
        raise ConfigurationError(
            f"the database is a server's, which has tools of its own to {wanted}",
            hint=f"pg_dump --format=custom --file=FILE {shown}, and pg_restore",
        )
    return Path(url.database)


def _copy(source: Path, target: Path) -> None:
    """A whole copy under its final name, or none. One process may write to the source."""
    fresh = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, FILE_MODE))
        with (
            _explained(),
            closing(_opened(source, "rw")) as old,
            closing(_opened(fresh, "rw")) as new,
        ):
            old.backup(new, pages=_PAGES_AT_ONCE)
            new.execute("PRAGMA journal_mode = DELETE")  # one file, that can be carried away
        with fresh.open("rb") as written:
            os.fsync(written.fileno())
        fresh.rename(target)
        _flush_folder(target.parent)
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)


def _opened(path: Path, mode: str = "ro") -> sqlite3.Connection:
    """A connection that makes no file. `rw` tidies a log away that nobody else has open."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True)


def _require_unused(target: Path) -> None:
    """A worker that has the old file open would go on with it, beside one that has the new."""
    if not target.exists():
        return
    with closing(_opened(target, "rw")) as old:
        try:
            old.execute("PRAGMA busy_timeout = 0")
            old.execute("PRAGMA journal_mode = DELETE")  # refused while anybody else is connected
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise StorageError(
                    f"another process has {target} open",
                    hint="end every worker of this database first, spares too",
                ) from error
        except sqlite3.DatabaseError:
            return  # damaged: that is why a copy is put back


def _move_aside(target: Path) -> list[Path]:
    """A log that belongs to the old file would be taken for the new one's: all three move."""
    mark = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    moved = []
    for end in ("", *_BESIDE):
        old = target.with_name(target.name + end)
        if old.exists():
            kept = target.with_name(f"{target.name}.replaced-{mark}-{os.getpid()}{end}")
            old.rename(kept)
            moved.append(kept)
    return moved


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error) or StorageError(f"the database failed: {error}") from error
