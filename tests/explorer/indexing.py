"""An index over a real SQLite file, and all that is in it, to compare with another's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from oracle.core.chronicle import Entry
from oracle.core.event import BlockRef
from oracle.storage.database import Database
from oracle.storage.explorer_lookup import ExplorerLookup
from oracle.storage.explorer_store import SqlExplorerStore, prepare
from oracle.storage.explorer_tables import metadata


@dataclass(frozen=True)
class Index:
    database: Database
    store: SqlExplorerStore
    lookup: ExplorerLookup

    async def fill(self, chapters: Iterable[tuple[BlockRef, list[Entry]]]) -> None:
        for block, entries in chapters:
            await self.store.ingest(block, entries)

    async def everything(self, *, but: tuple[str, ...] = ("explorer_identity",)) -> dict[str, Any]:
        """Every row of every table, in no particular order."""

        def work(connection: Connection) -> dict[str, Any]:
            return {
                table.name: {tuple(row) for row in connection.execute(select(table))}
                for table in metadata.sorted_tables
                if table.name not in but
            }

        return await self.database.read(work)


@asynccontextmanager
async def open_index(file: Path) -> AsyncIterator[Index]:
    database = Database(file)
    await database.run(prepare)
    try:
        yield Index(database, SqlExplorerStore(database), ExplorerLookup(database))
    finally:
        await database.close()
