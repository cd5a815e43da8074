"""Opening a database: the one way in. Joins the stores, their database and its schema."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oracle.ports import Clock
from oracle.storage.case_store import SqlCaseStore
from oracle.storage.database import LOCK_TIMEOUT_SECONDS, Database
from oracle.storage.demand_store import SqlDemandStore
from oracle.storage.job_store import SqlJobStore
from oracle.storage.schema import prepare_schema
from oracle.storage.transaction_store import SqlTransactionStore


@dataclass(frozen=True, slots=True)
class Storage:
    """All stores over one open database."""

    jobs: SqlJobStore
    transactions: SqlTransactionStore
    demands: SqlDemandStore
    cases: SqlCaseStore
    database: Database

    async def close(self) -> None:
        """Ends what was begun and closes the database."""
        await self.database.close()


def open_storage(
    location: str | Path, clock: Clock, *, lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS
) -> Storage:
    """Opens a database by file path or URL, and creates it where there is none.

    Args:
        location: a path, an `sqlite:///` URL or a `postgresql+psycopg://` URL.
        clock: what jobs are stamped by.
        lock_timeout_seconds: how long a transaction waits for another process's.

    Raises:
        StorageError: unreadable, locked, of another schema version or of another program.
        ConfigurationError: a database of a kind that is not supported.
    """
    database = Database(location, lock_timeout_seconds=lock_timeout_seconds)
    try:
        database.run_blocking(prepare_schema)
    except BaseException:
        database.close_blocking()
        raise
    return Storage(
        SqlJobStore(database, clock),
        SqlTransactionStore(database, clock),
        SqlDemandStore(database),
        SqlCaseStore(database),
        database,
    )
