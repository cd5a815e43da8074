"""What people look up in a worker's database: jobs by the start of their id, transactions by age.

Read-only, and used by verbs, not by the worker's steps. Knows nothing of what is done about it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from oracle.core.job import Job, JobState
from oracle.core.transaction import Transaction, TransactionState
from oracle.errors import InputError, NotFound
from oracle.storage.conversion import job_of_row
from oracle.storage.database import Database
from oracle.storage.job_rows import chunks
from oracle.storage.tables import jobs, transaction_requests, transactions
from oracle.storage.transaction_store import load_transactions

_SHOWN_CANDIDATES = 5


class Lookup:
    """Look-ups in one open database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def job(self, start: bytes, half: int | None = None) -> Job:
        """The one job whose id starts like this.

        Args:
            start: the id's first bytes, possibly all 32.
            half: the next four bits, where the start ends in the middle of a byte.

        Raises:
            NotFound: there is none.
            InputError: there are several.
        """
        low = start + (b"" if half is None else bytes([half << 4]))
        high = start + (b"" if half is None else bytes([half << 4 | 15]))
        query = (
            select(jobs)
            .where(jobs.c.request_id.between(low.ljust(32, b"\0"), high.ljust(32, b"\xff")))
            .limit(_SHOWN_CANDIDATES)
        )

        def work(connection: Connection) -> list[Job]:
            return [job_of_row(row) for row in connection.execute(query).mappings()]

        found = await self._database.read(work)
        shown = "0x" + start.hex() + ("" if half is None else f"{half:x}")
        if not found:
            raise NotFound(f"there is no job {shown}", hint="`oracle job list` lists them")
        if len(found) > 1:
            candidates = ", ".join(f"0x{one.request_id.hex()}" for one in found)
            raise InputError(f"{shown} is the start of several jobs: {candidates}")
        return found[0]

    async def jobs(self, states: Sequence[JobState], limit: int) -> Sequence[Job]:
        """The latest jobs in these states (in any, where there are none), newest first."""
        query = (
            select(jobs).order_by(jobs.c.block_number.desc(), jobs.c.log_index.desc()).limit(limit)
        )
        if states:
            query = query.where(jobs.c.state.in_(states))

        def work(connection: Connection) -> list[Job]:
            return [job_of_row(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)

    async def transactions(
        self, limit: int, *, only: TransactionState | None = None
    ) -> Sequence[Transaction]:
        """The latest transactions, newest first; `only` those in one state."""
        ids = select(transactions.c.id).order_by(transactions.c.id.desc()).limit(limit)
        if only is not None:
            ids = ids.where(transactions.c.state == only)

        def work(connection: Connection) -> list[Transaction]:
            found = load_transactions(
                connection, transactions.c.id.in_(ids), order=transactions.c.id
            )
            return found[::-1]

        return await self._database.read(work)

    async def open_for(self, request_ids: Sequence[bytes]) -> Mapping[bytes, Sequence[Transaction]]:
        """The transactions not known to be mined that serve these requests, oldest first."""
        found: defaultdict[bytes, list[Transaction]] = defaultdict(list)

        def work(connection: Connection) -> list[Transaction]:
            opened = []
            for chunk in chunks(request_ids):
                serving = select(transaction_requests.c.transaction_id).where(
                    transaction_requests.c.request_id.in_(chunk)
                )
                is_open = transactions.c.state == TransactionState.OPEN
                opened += load_transactions(
                    connection, is_open & transactions.c.id.in_(serving), order=transactions.c.id
                )
            return opened

        for one in {made.id: made for made in await self._database.read(work)}.values():
            for request_id in one.request_ids:
                found[request_id].append(one)
        return found

    async def transaction(self, nonce: int) -> Transaction:
        """The transaction of a nonce that was not given up.

        Raises:
            NotFound: there is none.
            InputError: several keys have one.
        """
        condition = (transactions.c.nonce == nonce) & (
            transactions.c.state != TransactionState.ABANDONED
        )
        found = await self._database.read(
            lambda connection: load_transactions(connection, condition, order=transactions.c.id)
        )
        if not found:
            raise NotFound(
                f"no transaction of ours has nonce {nonce}", hint="`oracle tx list` lists them"
            )
        waiting = [one for one in found if one.state is TransactionState.OPEN] or found
        if len(waiting) > 1:
            senders = ", ".join(one.sender for one in waiting)
            raise InputError(f"several keys have a transaction with nonce {nonce}: {senders}")
        return waiting[0]
