"""One database behind one thread: transactions that run off the event loop, and errors in words.

Whatever is given to `run` is one transaction: it is committed when it returns and rolled back when
it raises. Knows SQLAlchemy, and nothing of tables or of what is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Double,
    Engine,
    literal_column,
    make_url,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError, StatementError

from oracle.errors import ConfigurationError, OracleError, StorageError
from oracle.storage import postgresql, sqlite

Result = TypeVar("Result")
Work = Callable[[Connection], Result]

LOCK_TIMEOUT_SECONDS = 5.0

_BACKENDS: Mapping[str, ModuleType] = {"sqlite": sqlite, "postgresql": postgresql}


def database_url(location: str | Path) -> URL:
    """The URL of a database given by file path or by URL.

    Raises:
        ConfigurationError: neither, or a database that is not supported.
    """
    if isinstance(location, Path) or "://" not in location:
        return URL.create("sqlite", database=str(location))
    try:
        url = make_url(location)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.get_backend_name() not in _BACKENDS:
        kind = location.partition("://")[0]  # the rest may hold a password
        raise ConfigurationError(
            f"{kind}://… is not a database this worker can use",
            hint="give a file path, or postgresql+psycopg://user:password@host/database",
        )
    return url


def is_there(location: str | Path) -> bool:
    """Whether opening it finds a file, or another's server, rather than makes a file.

    Raises:
        ConfigurationError: as `database_url`.
    """
    url = database_url(location)
    return url.get_backend_name() != "sqlite" or Path(url.database or "").is_file()


class Database:
    """One engine, one connection, one thread. Calls are served in the order they are made."""

    def __init__(
        self, location: str | Path, *, lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS
    ) -> None:
        url = database_url(location)
        self._backend = _BACKENDS[url.get_backend_name()]
        self.now: ColumnElement[float] = literal_column(self._backend.NOW, Double)
        """The database's own clock in an SQL expression: Unix seconds at this moment."""
        self._engine: Engine = self._backend.engine(url, lock_timeout_seconds)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="storage")
        self._closed = False

    async def run(self, work: Work[Result]) -> Result:
        """Runs `work` in a transaction that may write. No other writer runs meanwhile.

        A caller that is cancelled leaves the transaction to end by itself, as a whole.

        Raises:
            StorageError: the database is locked, full, damaged, or refused a value.
        """
        return await self._off_loop(work, self._backend.WRITE_OPTIONS)

    async def read(self, work: Work[Result]) -> Result:
        """Runs `work` on one snapshot. It waits for no writer, and must not write.

        Raises:
            StorageError: the database is damaged or cannot be read.
        """
        return await self._off_loop(work, self._backend.READ_OPTIONS)

    async def run_beside(self, work: Work[Result]) -> Result:
        """`run`, without waiting for the other writers: `work` locks the rows that it changes.

        Raises:
            StorageError: as of `run`.
        """
        return await self._off_loop(work, self._backend.BESIDE_OPTIONS)

    def run_blocking(self, work: Work[Result]) -> Result:
        """`run`, for a caller that has no event loop yet."""
        return self._thread.submit(self._transact, work, self._backend.WRITE_OPTIONS).result()

    def distinction(self, connection: Connection) -> str:
        """What tells this database from every other, a copy included; as work for `read`."""
        copied = connection.exec_driver_sql("SELECT database_id FROM identity").scalar_one()
        return f"{bytes(copied).hex()}-{self._backend.place(connection)}"

    async def close(self) -> None:
        """Lets what was begun end, then closes the connection. Closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown(wait=False)

    def close_blocking(self) -> None:
        """`close`, for a caller that has no event loop."""
        self._closed = True
        self._thread.submit(self._engine.dispose).result()
        self._thread.shutdown()

    async def _off_loop(self, work: Work[Result], options: Mapping[str, Any]) -> Result:
        if self._closed:
            raise StorageError("the database is closed", hint="the worker is shutting down")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._transact, work, options)

    def _transact(self, work: Work[Result], options: Mapping[str, Any]) -> Result:
        try:
            with self._engine.connect() as connection:
                connection = connection.execution_options(**options)
                with connection.begin():
                    return work(connection)
        except OracleError:
            raise
        except (SQLAlchemyError, OverflowError) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> StorageError:
        cause = error.orig if isinstance(error, StatementError) and error.orig else error
        explained: StorageError | None = self._backend.explain(cause)
        if explained is not None:
            return explained
        if isinstance(error, DBAPIError):
            return StorageError(f"the database failed: {cause}")
        return StorageError(f"a value cannot be stored: {cause}")
