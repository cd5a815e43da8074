"""Opening a database: the one way in. Joins the stores, their database and its schema."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oracle.ports.clock import Clock
from oracle.ports.leases import Lease
from oracle.storage.case_store import SqlCaseStore
from oracle.storage.database import LOCK_TIMEOUT_SECONDS, Database
from oracle.storage.demand_store import SqlDemandStore
from oracle.storage.job_store import SqlJobStore
from oracle.storage.lease_store import SqlLeaseStore
from oracle.storage.schema import prepare_schema
from oracle.storage.transaction_store import SqlTransactionStore
from oracle.storage.view_store import SqlViewStore
from oracle.storage.voucher_store import SqlVoucherStore


@dataclass(frozen=True, slots=True)
class Storage:
    """All stores over one open database."""

    jobs: SqlJobStore
    transactions: SqlTransactionStore
    demands: SqlDemandStore
    cases: SqlCaseStore
    views: SqlViewStore
    vouchers: SqlVoucherStore
    database: Database

    async def close(self) -> None:
        """Ends what was begun and closes the database."""
        await self.database.close()


def open_leases(
    location: str | Path, holder: str, *, former: str | None = None
) -> tuple[SqlLeaseStore, Database]:
    """The leases of a database that is open already, over a connection and a thread of their own.

    A lease must not wait behind the transactions of the worker that it is about.
    """
    database = Database(location)
    return SqlLeaseStore(database, holder, former), database


async def live_leases(storage: Storage) -> list[Lease]:
    """Which worker leads what, for whoever only looks."""
    return await SqlLeaseStore(storage.database, "").live()


async def database_id(storage: Storage) -> str:
    """What tells this database from every other, a copy of it included."""
    return await storage.database.read(storage.database.distinction)


def open_storage(
    location: str | Path,
    clock: Clock,
    *,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
    holder: str | None = None,
) -> Storage:
    """Opens a database by file path or URL, and creates it where there is none.

    Args:
        location: a path, an `sqlite:///` URL or a `postgresql+psycopg://` URL.
        clock: what jobs are stamped by.
        lock_timeout_seconds: how long a transaction waits for another process's.
        holder: the worker's name in its leases: what only the leader of the chain may write is
            refused to others. None, for whoever is no worker, is refused nothing.

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
        SqlJobStore(database, clock, holder),
        SqlTransactionStore(database, clock),
        SqlDemandStore(database),
        SqlCaseStore(database),
        SqlViewStore(database),
        SqlVoucherStore(database),
        database,
    )
