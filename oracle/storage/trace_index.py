"""Which traces lie on the disk, for whom, and until when: a small SQLite file beside them.

Responsible for the rows alone; `trace_store` moves the files. A trace is held by the requests that
it answers, because the same program on the same input has the same root: it may go when the last of
them lets go. A hold without a time is one whose window is not known yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Exists,
    ForeignKey,
    MetaData,
    Row,
    Select,
    Table,
    delete,
    exists,
    func,
    inspect,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from oracle.errors import StorageError
from oracle.ports.publishing import PublishedTrace
from oracle.ports.traces import TraceHold
from oracle.storage.types import BYTES32

FORMAT = 2

_metadata = MetaData()

_format = Table("format", _metadata, Column("number", BigInteger, nullable=False))

_traces = Table(
    "traces",
    _metadata,
    Column("root", BYTES32, primary_key=True),
    Column("program_root", BYTES32, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("byte_count", BigInteger, nullable=False),
    Column("charged", BigInteger, nullable=False),
    Column("saved_at", Double, nullable=False),
)

_holds = Table(
    "holds",
    _metadata,
    Column("root", ForeignKey(_traces.c.root, ondelete="CASCADE"), primary_key=True),
    Column("holder", BYTES32, primary_key=True),
    Column("owed_until", Double),
)


def prepare(connection: Connection) -> None:
    """Creates the tables in an empty file. Raises StorageError for one of another program."""
    present = set(inspect(connection).get_table_names())
    if not present:
        _metadata.create_all(connection)
        connection.execute(_format.insert(), {"number": FORMAT})
        return
    if _format.name not in present or connection.scalar(select(_format.c.number)) != FORMAT:
        raise StorageError(
            "the index of the traces is of another version, or of another program",
            hint="use the version that wrote it, until the windows of its answers have closed",
        )


def add(
    connection: Connection, traces: Sequence[tuple[PublishedTrace, bytes, int]], at: float
) -> None:
    """Adds (trace, holder, bytes charged); a hold that was there waits for its time anew."""
    for trace, holder, charged in traces:
        connection.execute(
            insert(_traces)
            .values(
                root=trace.root,
                program_root=trace.program_root,
                rows=trace.rows,
                byte_count=trace.byte_count,
                charged=charged,
                saved_at=at,
            )
            .on_conflict_do_nothing()
        )
        connection.execute(
            insert(_holds)
            .values(root=trace.root, holder=holder, owed_until=None)
            .on_conflict_do_update(index_elements=["root", "holder"], set_={"owed_until": None})
        )


def hold(connection: Connection, holds: Sequence[TraceHold]) -> int:
    """Sets the times; how many of them are of holds that there are."""
    return sum(
        connection.execute(
            update(_holds)
            .where(_holds.c.root == one.root, _holds.c.holder == one.holder)
            .values(owed_until=one.owed_until)
        ).rowcount
        for one in holds
    )


def owed(connection: Connection, now: float) -> list[TraceHold]:
    """The holds that end at `now` or later; not those whose end is not known yet."""
    query = select(_holds).where(_holds.c.owed_until >= now)
    return [TraceHold(row.root, row.holder, row.owed_until) for row in connection.execute(query)]


def find(connection: Connection, root: bytes) -> PublishedTrace | None:
    """A trace's facts."""
    row = connection.execute(select(_traces).where(_traces.c.root == root)).one_or_none()
    return None if row is None else _published(row)


def everything(connection: Connection) -> list[PublishedTrace]:
    """All traces, in no particular order."""
    return [_published(row) for row in connection.execute(select(_traces))]


def recent(connection: Connection, most: int) -> list[PublishedTrace]:
    """The latest traces, newest first."""
    query = select(_traces).order_by(_traces.c.saved_at.desc()).limit(most)
    return [_published(row) for row in connection.execute(query)]


def expired(connection: Connection, now: float) -> list[tuple[bytes, int]]:
    """(root, bytes charged) of what nobody holds any more; what was let go first comes first."""
    last = select(func.max(_holds.c.owed_until)).where(_holds.c.root == _traces.c.root)
    query: Select[Any] = (
        select(_traces.c.root, _traces.c.charged)
        .where(~_still_held(now))
        .order_by(last.scalar_subquery(), _traces.c.saved_at)
    )
    return [(row[0], row[1]) for row in connection.execute(query)]


def remove(connection: Connection, roots: Sequence[bytes]) -> None:
    """Forgets traces and their holds."""
    for root in roots:
        connection.execute(delete(_traces).where(_traces.c.root == root))


def sums(connection: Connection, now: float) -> tuple[int, int, int]:
    """How many traces there are, bytes charged for them, and for those that are still held."""
    count, charged = connection.execute(
        select(func.count(), func.coalesce(func.sum(_traces.c.charged), 0))
    ).one()
    held = connection.scalar(
        select(func.coalesce(func.sum(_traces.c.charged), 0)).where(_still_held(now))
    )
    return count, charged, held or 0


def _still_held(now: float) -> Exists:
    until = _holds.c.owed_until
    return exists().where(_holds.c.root == _traces.c.root, until.is_(None) | (until >= now))


def _published(row: Row[Any]) -> PublishedTrace:
    return PublishedTrace(row.root, row.program_root, row.rows, row.byte_count)
