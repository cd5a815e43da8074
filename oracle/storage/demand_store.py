"""Demands to reveal that were made on our answers, until each is met: kept across restarts.

Each method is one database transaction. Knows nothing of traces, nor of how a demand is met.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from oracle.core.dispute import DemandedLeaves, RevealDemand
from oracle.core.receipt import AnswerCommitment
from oracle.storage.database import Database
from oracle.storage.tables import cursors, demands

_CURSOR = "demands"


class SqlDemandStore:
    """Demands in an SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cursor(self) -> int | None:
        """The last block whose demands are in the table."""
        query = select(cursors.c.block_number).where(cursors.c.name == _CURSOR)
        return await self._database.read(lambda connection: connection.scalar(query))

    async def note(
        self, last_block: int | None, found: Sequence[RevealDemand]
    ) -> list[RevealDemand]:
        """Adds demands and moves the cursor, all or nothing; those that are new, or have changed.

        After a reorg a demand of the same number may be another one.
        """

        def work(connection: Connection) -> list[RevealDemand]:
            added = []
            for demand in found:
                place = (
                    demands.c.request_id == demand.request_id,
                    demands.c.number == demand.number,
                )
                document = _written(demand)
                if connection.scalar(select(demands.c.document).where(*place)) == document:
                    continue
                connection.execute(delete(demands).where(*place))
                row = {
                    "request_id": demand.request_id,
                    "number": demand.number,
                    "pending": True,
                    "document": document,
                }
                connection.execute(insert(demands).values(row))
                added.append(demand)
            if last_block is None:
                return added
            connection.execute(delete(cursors).where(cursors.c.name == _CURSOR))
            connection.execute(
                insert(cursors).values({"name": _CURSOR, "block_number": last_block})
            )
            return added

        return await self._database.run(work)

    async def count(self, request_id: bytes | None = None) -> int:
        """How many were ever noted, of one request or of all, whatever became of them."""
        query = select(func.count()).select_from(demands)
        if request_id is not None:
            query = query.where(demands.c.request_id == request_id)
        return await self._database.read(lambda connection: connection.scalar(query)) or 0

    async def pending(self) -> list[RevealDemand]:
        """Demands that are not known to be over, the most urgent first."""
        query = select(demands.c.document).where(demands.c.pending)
        documents = await self._database.read(lambda connection: list(connection.scalars(query)))
        return sorted(map(_read, documents), key=lambda demand: demand.deadline)

    async def close(self, demand: RevealDemand) -> None:
        """A demand is over: met, too late, or gone with its request."""
        await self._set(demand, pending=False)

    async def closed(self, found: Sequence[RevealDemand]) -> list[RevealDemand]:
        """Those of them that were closed."""

        def is_closed(connection: Connection, demand: RevealDemand) -> bool:
            return connection.scalar(select(demands.c.pending).where(_is(demand))) is False

        return await self._database.read(
            lambda connection: [one for one in found if is_closed(connection, one)]
        )

    async def reopen(self, demand: RevealDemand) -> None:
        """A demand that was closed is pending on the chain all the same."""
        await self._set(demand, pending=True)

    async def _set(self, demand: RevealDemand, *, pending: bool) -> None:
        query = update(demands).where(_is(demand)).values(pending=pending)
        await self._database.run(lambda connection: connection.execute(query))


def _is(demand: RevealDemand) -> ColumnElement[bool]:
    """This demand, and not another one of its number from before a reorg."""
    return and_(
        demands.c.request_id == demand.request_id,
        demands.c.number == demand.number,
        demands.c.document == _written(demand),
    )


def _written(demand: RevealDemand) -> str:
    return json.dumps(asdict(demand), default=bytes.hex, sort_keys=True)


def _read(document: str) -> RevealDemand:
    values = json.loads(document)
    commitment = values["commitment"]
    return RevealDemand(
        **values
        | {
            "request_id": bytes.fromhex(values["request_id"]),
            "program_root": bytes.fromhex(values["program_root"]),
            "leaves": DemandedLeaves(**values["leaves"]),
            "commitment": AnswerCommitment(
                commitment["operator"],
                bytes.fromhex(commitment["result_hash"]),
                bytes.fromhex(commitment["trace_root"]),
            ),
        }
    )
