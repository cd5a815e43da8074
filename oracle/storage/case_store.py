"""What a watcher found out, and how far it has read: kept across restarts, in the worker's tables.

Each method is one database transaction. Knows nothing of what a case is about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from oracle.core.case import UNFINISHED, Case, CaseState
from oracle.core.types import Address
from oracle.storage.database import Database
from oracle.storage.tables import cases, cursors

_CURSOR = "cases"


class SqlCaseStore:
    """Cases in an SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cursor(self) -> int | None:
        """The last block whose answers are in the table."""
        query = select(cursors.c.block_number).where(cursors.c.name == _CURSOR)
        return await self._database.read(lambda connection: connection.scalar(query))

    async def note(self, last_block: int, answers: Sequence[Case]) -> list[Case]:
        """Adds answers and moves the cursor, all or nothing; the cases that are new.

        An answer that is known is left alone; one mined at another place begins anew.
        """

        def work(connection: Connection) -> list[Case]:
            added = []
            for case in answers:
                query = select(cases.c.block_hash).where(cases.c.request_id == case.request_id)
                known = connection.scalar(query)
                if known == case.block_hash:
                    continue
                connection.execute(delete(cases).where(cases.c.request_id == case.request_id))
                connection.execute(insert(cases).values(asdict(case)))
                added.append(case)
            connection.execute(delete(cursors).where(cursors.c.name == _CURSOR))
            row = {"name": _CURSOR, "block_number": last_block}
            connection.execute(insert(cursors).values(row))
            return added

        return await self._database.run(work)

    async def save(self, case: Case) -> None:
        """Writes where a case stands now; one that a reorg has replaced is left alone."""
        query = (
            update(cases)
            .where(cases.c.request_id == case.request_id, cases.c.block_hash == case.block_hash)
            .values(asdict(case))
        )
        await self._database.run(lambda connection: connection.execute(query))

    async def reopen_convictions(self) -> None:
        """A fork may have taken one away: they are looked up on the chain again."""

        def work(connection: Connection) -> None:
            for state, proof in (
                (CaseState.ACCUSED, cases.c.proof.is_not(None)),
                (CaseState.HELD, cases.c.proof.is_(None)),
            ):
                connection.execute(
                    update(cases)
                    .where(cases.c.state == CaseState.CONVICTED, proof)
                    .values(state=state, attempts=0, not_before=0.0)
                )

        await self._database.run(work)

    async def unfinished(self, due_at: float | None = None) -> list[Case]:
        """Cases that have not ended, oldest first; only those due, if a time is given."""
        query = select(cases).where(cases.c.state.in_(UNFINISHED))
        if due_at is not None:
            query = query.where(cases.c.not_before <= due_at)
        query = query.order_by(cases.c.block_number, cases.c.request_id)
        return await self._database.read(
            lambda connection: [_case(row) for row in connection.execute(query).mappings()]
        )

    async def everything(self) -> list[Case]:
        """All cases, oldest first."""
        query = select(cases).order_by(cases.c.block_number)
        return await self._database.read(
            lambda connection: [_case(row) for row in connection.execute(query).mappings()]
        )

    async def counts(self) -> Mapping[CaseState, int]:
        """How many cases stand where; reads none of them."""
        query = select(cases.c.state, func.count()).group_by(cases.c.state)
        return await self._database.read(
            lambda connection: {CaseState(state): n for state, n in connection.execute(query)}
        )


def _case(row: RowMapping) -> Case:
    values = dict(row)
    values["operator"] = Address(values["operator"])
    values["state"] = CaseState(values["state"])
    return Case(**values)
