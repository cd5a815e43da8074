"""What is peculiar to PostgreSQL: its isolation, its lock for writers, its time limits and errors.

Writers take one advisory lock, so they follow each other as they do on SQLite, and the same code is
right on both. Knows nothing of tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import NoSuchModuleError

from oracle.errors import ConfigurationError, StorageError

READ_OPTIONS: Mapping[str, Any] = {"isolation_level": "REPEATABLE READ"}
WRITE_OPTIONS: Mapping[str, Any] = {"isolation_level": "READ COMMITTED", "one_writer": True}
"""READ COMMITTED, so that what is read after waiting for the lock is what its last holder wrote."""

BESIDE_OPTIONS: Mapping[str, Any] = {"isolation_level": "READ COMMITTED"}
"""For what locks the rows that it changes by itself, and so needs no turn among the writers."""

NOW = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)"
"""Unix seconds, by the server's clock, as of this moment: now() is when the transaction began."""

CONNECT_SECONDS = 5
"""For each address of the server, with its greeting. A lease lasts twice as long by default."""

STATEMENT_SECONDS = 30.0
"""After which the server ends a statement, or a transaction that stands still: its worker may be
behind a cut network, and its locks would keep all other writers waiting. A lock is waited for for
less."""

SILENCE_SECONDS = 35.0
"""After which this side ends a connection on which no answer comes: later than the server would,
and long before the watchdog ends the worker."""

NETWORK: Mapping[str, int] = {
    "connect_timeout": CONNECT_SECONDS,
    # A dead peer is noticed, and a way that closes when unused is kept open, on a quiet connection,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # and on one where what was sent is not acknowledged. Linux counts it for the former, too.
    "tcp_user_timeout": 20_000,  # milliseconds
}
"""Parameters of libpq that a URL may set otherwise."""

_WRITER_LOCK = 0x6F7261636C65

_MEANINGS: tuple[tuple[str, str, str], ...] = (
    # prefix of the SQLSTATE, what it means, what to do
    ("55P03", "the database is locked by another process", "is another worker stuck?"),
    (
        "57014",
        "a statement took too long, and the database ended it",
        "is the database overloaded, or its disk slow?",
    ),
    (
        "25P03",
        "a transaction stood still for too long, and the database ended it",
        "was this worker suspended, or is its machine overloaded?",
    ),
    ("53100", "the disk is full; nothing was written", "free space on the database server"),
    ("53300", "the database takes no more connections", "raise its max_connections"),
    ("08", "the database cannot be reached", "check that the server runs and the URL is right"),
    ("57P", "the database server is stopping", "start it again"),
    ("28", "the database refused the login", "check user and password in the URL"),
    ("XX00", "the database is damaged", "restore a backup"),
    (
        "23",
        "the database refused a row that breaks a rule",
        "this is a defect of the worker: please report it with this message",
    ),
)


def engine(url: URL, lock_timeout_seconds: float) -> Engine:
    """An engine for a PostgreSQL database.

    Raises:
        ConfigurationError: its driver is not installed.
    """
    limits = {
        "lock_timeout": lock_timeout_seconds,
        "statement_timeout": STATEMENT_SECONDS,
        "idle_in_transaction_session_timeout": STATEMENT_SECONDS,
    }
    options = " ".join(f"-c {name}={round(limits[name] * 1000)}" for name in limits)
    network = {name: value for name, value in NETWORK.items() if name not in url.query}
    try:
        created = create_engine(
            url,
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={"options": options, **network},
        )
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigurationError(
            f"the driver for {url.drivername} is not installed: {error}",
            hint="pip install 'psycopg[binary]' and write the URL as postgresql+psycopg://…",
        ) from error
    event.listen(created, "begin", _begin)
    if created.driver == "psycopg":
        from oracle.storage.postgresql_connection import connector  # the driver may not be there

        connect = connector(SILENCE_SECONDS)
        event.listen(
            created, "do_connect", lambda _dialect, _record, args, rest: connect(*args, **rest)
        )
    return created


def explain(error: BaseException) -> StorageError | None:
    """What a driver error means to an operator, or None where it says nothing particular."""
    code = getattr(error, "sqlstate", None)
    for prefix, meaning, hint in _MEANINGS:
        if code is not None and code.startswith(prefix):
            return StorageError(f"{meaning} ({code}: {error})", hint=hint)
    return None


def place(connection: Connection) -> str:
    """What a copy of the database on the same server has otherwise."""
    query = text("SELECT oid FROM pg_database WHERE datname = current_database()")
    return str(connection.scalar(query))


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("one_writer"):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK})
