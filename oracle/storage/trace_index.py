"""Which traces lie on the disk, for whom, and until when: a small SQLite file beside them.

Responsible for the rows alone; `trace_store` moves the files. A trace is held by the requests that
it answers, because the same program on the same input has the same root: it may go when the last of
them lets go. A hold without a time is one whose window is not known yet. What is owed and is not on
the disk has rows of its own, without a trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
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
from oracle.ports.traces import LeftOut, TraceHold
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

_unkept = Table(
    "unkept",
    _metadata,
    Column("root", BYTES32, primary_key=True),
    Column("holder", BYTES32, primary_key=True),
    Column("owed_until", Double, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("window", BigInteger, nullable=False),
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
    """Adds (trace, holder, bytes charged); a hold that was there waits for its time anew.

    Whoever was left out of the same trace holds it now.
    """
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
        left_out = _unkept.c.root == trace.root
        columns = ["root", "holder", "owed_until"]
        connection.execute(
            insert(_holds)
            .from_select(columns, select(*(_unkept.c[name] for name in columns)).where(left_out))
            .on_conflict_do_nothing()
        )
        connection.execute(delete(_unkept).where(left_out))


def leave_out(connection: Connection, one: LeftOut, owed_until: float) -> None:
    """Adds what is owed and not kept; what is said of it last counts."""
    said = {"owed_until": owed_until, "seconds": one.seconds, "window": one.window}
    connection.execute(
        insert(_unkept)
        .values(root=one.root, holder=one.holder, **said)
        .on_conflict_do_update(index_elements=["root", "holder"], set_=said)
    )


def hold(connection: Connection, holds: Sequence[TraceHold]) -> int:
    """Sets the times; how many of them are of holds that there are, or of what is not kept."""
    return sum(
        max(
            connection.execute(
                update(table)
                .where(table.c.root == one.root, table.c.holder == one.holder)
                .values(owed_until=one.owed_until)
            ).rowcount
            for table in (_holds, _unkept)
        )
        for one in holds
    )


def owed(connection: Connection, now: float) -> list[TraceHold]:
    """The holds that end at `now` or later or at no time yet, with those of what is not kept."""
    return [
        TraceHold(row.root, row.holder, row.owed_until)
        for table in (_holds, _unkept)
        for row in connection.execute(select(table).where(_lasts(table, now)))
    ]


def unkept(connection: Connection, now: float) -> list[LeftOut]:
    """What is owed and not kept."""
    query = select(_unkept).where(_lasts(_unkept, now))
    return [
        LeftOut(row.root, row.holder, row.seconds, row.window) for row in connection.execute(query)
    ]


def forget_unkept(connection: Connection, now: float) -> None:
    """Deletes the rows of what is not kept and not owed any more at `now`."""
    connection.execute(delete(_unkept).where(_unkept.c.owed_until < now))


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
    return exists().where(_holds.c.root == _traces.c.root, _lasts(_holds, now))


def _lasts(table: Table, now: float) -> ColumnElement[bool]:
    return table.c.owed_until.is_(None) | (table.c.owed_until >= now)


def _published(row: Row[Any]) -> PublishedTrace:
    return PublishedTrace(row.root, row.program_root, row.rows, row.byte_count)
