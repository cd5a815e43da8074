"""The explorer's index as its follower writes it: entries with what they add up to, and the cursor.

One transaction a range of blocks: killed anywhere, the index is as of some block that was read. A
rewind takes the last entries away and makes what they touched again. Knows no chain.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Final, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    delete,
    func,
    inspect,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from oracle.core.adding_up import model_of, offers_of, operator_of, request_of, tally_of
from oracle.core.chronicle import NOBODY, Entry, RequestRecord, Standing, Tally
from oracle.core.event import BlockRef
from oracle.core.types import Address
from oracle.errors import StorageError, WrongChain
from oracle.storage.database import Database
from oracle.storage.explorer_tables import (
    SCHEMA_VERSION,
    blocks,
    entries,
    identity,
    metadata,
    models,
    offers,
    operators,
    requests,
    tallies,
)

BLOCKS_KEPT: Final = 512
"""How deep a reorg may be before everything is read again."""

_CHUNK: Final = 500
_ALL: Final = ("all", "")
_UNBOUND: Final = (Standing.REQUESTED, Standing.CANCELLED, Standing.EXPIRED)
"""A request that stands so never bound anybody, whomever it names."""

T = TypeVar("T")

TallyKey = tuple[str, str]


def prepare(connection: Connection) -> None:
    """Creates the tables in an empty file. Raises StorageError for one of another program."""
    present = set(inspect(connection).get_table_names())
    if not present:
        metadata.create_all(connection)
        connection.execute(insert(identity), {"id": 1, "schema_version": SCHEMA_VERSION})
        return
    if identity.name not in present:
        raise StorageError(
            f"the database is in use by another program: it has a table {min(present)!r}",
            hint="give the explorer a database of its own",
        )
    version = connection.scalar(select(identity.c.schema_version))
    if version != SCHEMA_VERSION:
        raise StorageError(
            f"the index has schema version {version}, this program needs {SCHEMA_VERSION}",
            hint="move the file away: the index is made again from the chain",
        )


class SqlExplorerStore:
    """One index, for its one writer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def bind(self, chain_id: int, oracle: Address, genesis_hash: bytes) -> None:
        """Makes the index one chain's and one deployment's, for good.

        Raises:
            WrongChain: it is another's.
        """
        wanted = {"chain_id": chain_id, "oracle": oracle, "genesis_hash": genesis_hash}

        def work(connection: Connection) -> None:
            bound = connection.execute(select(identity)).mappings().one()
            if bound["chain_id"] is None:
                connection.execute(update(identity).values(wanted))
            elif any(bound[name] != value for name, value in wanted.items()):
                raise WrongChain(
                    "the index is of another chain or another deployment",
                    hint="move the file away: the index is made again from the chain",
                )

        await self._database.run(work)

    async def recent_blocks(self, most: int = BLOCKS_KEPT) -> Sequence[BlockRef]:
        """The blocks that were stood on, newest first."""
        query = select(blocks).order_by(blocks.c.number.desc()).limit(most)

        def work(connection: Connection) -> list[BlockRef]:
            return [
                BlockRef(row.number, row.hash, row.timestamp) for row in connection.execute(query)
            ]

        return await self._database.read(work)

    async def ingest(self, last: BlockRef, found: Sequence[Entry]) -> None:
        """Adds what happened up to a block, which becomes the cursor. Again is the same as once."""

        def work(connection: Connection) -> None:
            _add(connection, found)
            _stand_on(connection, last)

        await self._database.run(work)

    async def add(self, found: Sequence[Entry]) -> None:
        """Adds what was left out up to the cursor, which stays where it is."""
        await self._database.run(lambda connection: _add(connection, found))

    async def bound(self) -> Mapping[Address, int]:
        """How many requests ever bound each operator, as of the cursor; 0 where none did."""
        count = (
            select(requests.c.operator, func.count())
            .where(requests.c.operator != NOBODY, requests.c.state.not_in(_UNBOUND))
            .group_by(requests.c.operator)
        )

        def work(connection: Connection) -> dict[Address, int]:
            known = dict.fromkeys(connection.scalars(select(operators.c.operator)), 0)
            return known | {row[0]: row[1] for row in connection.execute(count)}

        return await self._database.read(work)

    async def rewind(self, ancestor: BlockRef | None) -> None:
        """Takes away what happened after a block, which becomes the cursor; everything, if None."""
        number = -1 if ancestor is None else ancestor.number
        above = entries.c.block_number > number

        def work(connection: Connection) -> None:
            touched = _Touched.where(connection, above)
            connection.execute(delete(entries).where(above))
            connection.execute(delete(blocks).where(blocks.c.number > number))
            _make_again(connection, touched)
            if ancestor is not None:
                _stand_on(connection, ancestor)

        await self._database.run(work)


def _add(connection: Connection, found: Sequence[Entry]) -> None:
    if found:
        connection.execute(insert(entries).on_conflict_do_nothing(), _rows_of(found))
        _make_again(connection, _Touched.by(found))


class _Touched:
    """What some entries are about."""

    def __init__(self, keys: Iterable[tuple[bytes | None, Address | None, bytes | None]]) -> None:
        self.requests: set[bytes] = set()
        self.operators: set[Address] = set()
        self.models: set[bytes] = set()
        self.offers: set[tuple[Address, bytes]] = set()
        for request_id, operator, model_id in keys:
            if request_id is not None:
                self.requests.add(request_id)
            if operator is not None and model_id is not None:
                self.offers.add((operator, model_id))
            elif operator is not None:
                self.operators.add(operator)
            elif model_id is not None:
                self.models.add(model_id)

    @classmethod
    def by(cls, found: Iterable[Entry]) -> _Touched:
        return cls((one.request_id, one.operator, one.model_id) for one in found)

    @classmethod
    def where(cls, connection: Connection, condition: ColumnElement[bool]) -> _Touched:
        query = select(entries.c.request_id, entries.c.operator, entries.c.model_id)
        found = connection.execute(query.where(condition).distinct())
        return cls((row[0], row[1], row[2]) for row in found)


def _make_again(connection: Connection, touched: _Touched) -> None:
    """Makes every row about what was touched what its entries come to now."""
    _requests(connection, sorted(touched.requests))
    for operator in touched.operators:
        found = operator_of(_entries(connection, entries.c.operator == operator))
        _replace(connection, operators, operators.c.operator == operator, found)
    for model_id in touched.models:
        model = model_of(
            _entries(connection, entries.c.model_id == model_id, entries.c.operator.is_(None))
        )
        _replace(connection, models, models.c.model_id == model_id, model)
    for operator, model_id in touched.offers:
        where = (offers.c.operator == operator) & (offers.c.model_id == model_id)
        offered = offers_of(
            _entries(connection, entries.c.operator == operator, entries.c.model_id == model_id)
        )
        _replace(connection, offers, where, offered.get((operator, model_id)))


def _requests(connection: Connection, ids: Sequence[bytes]) -> None:
    change: dict[TallyKey, Tally] = defaultdict(Tally)
    for chunk in _chunks(ids):
        among = requests.c.request_id.in_(chunk)
        for row in connection.execute(select(requests).where(among)):
            _count(change, RequestRecord(**row._mapping), -1)
        told: dict[bytes, list[Entry]] = defaultdict(list)
        for entry in _entries(connection, entries.c.request_id.in_(chunk)):
            if entry.request_id is not None:
                told[entry.request_id].append(entry)
        made = [one for one in map(request_of, told.values()) if one is not None]
        connection.execute(delete(requests).where(among))
        if made:
            connection.execute(insert(requests), [_row(one) for one in made])
        for record in made:
            _count(change, record, 1)
    _tally(connection, change)


def _count(change: dict[TallyKey, Tally], record: RequestRecord, sign: int) -> None:
    adds = tally_of(record)
    keys: list[TallyKey] = [_ALL, ("model", record.model_id.hex())]
    if record.operator != NOBODY:
        keys.append(("operator", record.operator))
    for key in keys:
        change[key] = change[key].plus(adds, sign)


def _tally(connection: Connection, change: Mapping[TallyKey, Tally]) -> None:
    for (scope, key), adds in change.items():
        if adds == Tally():
            continue
        where = (tallies.c.scope == scope) & (tallies.c.key == key)
        row = connection.execute(select(tallies).where(where)).one_or_none()
        total = (Tally(*row[2:]) if row else Tally()).plus(adds)
        values = {"scope": scope, "key": key, **asdict(total)}
        connection.execute(delete(tallies).where(where))
        if total != Tally():
            connection.execute(insert(tallies), values)


def _entries(connection: Connection, *where: ColumnElement[bool]) -> Iterator[Entry]:
    """In chain order, without their data, on which nothing depends."""
    query = (
        select(*(column for column in entries.c if column.name != "data"))
        .where(*where)
        .order_by(entries.c.block_number, entries.c.log_index)
    )
    for row in connection.execute(query):
        yield entry_of_row(row)


def entry_of_row(row: Row[Any], data: bytes = b"") -> Entry:
    """An entry as it was given."""
    return Entry(
        block_number=row.block_number,
        log_index=row.log_index,
        block_hash=row.block_hash,
        timestamp=row.timestamp,
        transaction_hash=row.transaction_hash,
        kind=row.kind,
        request_id=row.request_id,
        operator=row.operator,
        model_id=row.model_id,
        facts=json.loads(row.facts),
        data=data,
    )


def _rows_of(found: Sequence[Entry]) -> list[dict[str, Any]]:
    return [
        {
            **{one.name: getattr(entry, one.name) for one in fields(entry)},
            "facts": json.dumps(entry.facts, separators=(",", ":")),
            "data_bytes": len(entry.data),
            "data": entry.data or None,
        }
        for entry in found
    ]


def _replace(
    connection: Connection, table: Table, where: ColumnElement[bool], record: object | None
) -> None:
    connection.execute(delete(table).where(where))
    if record is not None:
        connection.execute(insert(table), _row(record))


def _row(record: Any) -> dict[str, Any]:
    return {one.name: getattr(record, one.name) for one in fields(record)}


def _stand_on(connection: Connection, block: BlockRef) -> None:
    connection.execute(delete(blocks).where(blocks.c.number >= block.number))
    values = {"number": block.number, "hash": block.hash, "timestamp": block.timestamp}
    connection.execute(insert(blocks), values)
    oldest = (
        select(blocks.c.number)
        .order_by(blocks.c.number.desc())
        .offset(BLOCKS_KEPT - 1)
        .limit(1)
        .scalar_subquery()
    )
    connection.execute(delete(blocks).where(blocks.c.number < oldest))


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
