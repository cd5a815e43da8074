"""What a monitor asks of a worker's database, from one snapshot: read-only, and a little each time.

Responsible for durations of answers by a cursor over the transactions, so that a scrape costs what
happened since the last one. Knows nothing of how often it is asked, nor of buckets.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, exists, func, select

from oracle.core.job import JobState
from oracle.core.transaction import Purpose, TransactionState
from oracle.core.types import Address
from oracle.storage.database import Database
from oracle.storage.tables import jobs, transaction_requests, transactions

_BOUND = (JobState.ACCEPTED, JobState.COMPUTED, JobState.ANSWERING)
_MOST_TRANSACTIONS = 1_000
"""Read at once; what is beyond comes next time."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer that was sent for the first time.

    Attributes:
        waited_seconds: from when the request was seen until the answer was about to be sent.
        inference_seconds: time in the model; None where it was computed elsewhere.
    """

    waited_seconds: float
    inference_seconds: float | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """One look.

    Attributes:
        answered: what was sent since the cursor.
        cursor: where to go on.
        open_transactions, oldest_open: not known to be mined; when the first was made.
        earliest_deadline: of what binds us and is not answered; None where nothing is.
    """

    answered: Sequence[Answered]
    cursor: int
    open_transactions: int
    oldest_open: float | None
    earliest_deadline: int | None


class Measurements:
    """Looks into one open database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self) -> int:
        """Where a cursor begins that wants nothing of the past."""
        query = select(func.coalesce(func.max(transactions.c.id), 0))
        return await self._database.read(lambda connection: connection.execute(query).scalar_one())

    async def take(self, cursor: int, senders: Collection[Address]) -> Measurement:
        """A look at what these keys sent after the cursor, and at what is open now.

        Raises:
            StorageError: the database cannot be read.
        """
        return await self._database.read(lambda connection: _take(connection, cursor, senders))


def _take(connection: Connection, cursor: int, senders: Collection[Address]) -> Measurement:
    ours = transactions.c.sender.in_(senders)
    is_open = ours & (transactions.c.state == TransactionState.OPEN)
    waiting = select(func.count(), func.min(transactions.c.created_at)).where(is_open)
    count, oldest = connection.execute(waiting).one()
    last = _last_of_the_next(connection, cursor)
    deadline = select(func.min(jobs.c.deadline)).where(jobs.c.state.in_(_BOUND))
    return Measurement(
        _answered(connection, cursor, last, senders),
        last,
        count,
        oldest,
        connection.scalar(deadline),
    )


def _last_of_the_next(connection: Connection, cursor: int) -> int:
    following = (
        select(transactions.c.id)
        .where(transactions.c.id > cursor)
        .order_by(transactions.c.id)
        .limit(_MOST_TRANSACTIONS)
        .subquery()
    )
    last: int = connection.execute(
        select(func.coalesce(func.max(following.c.id), cursor))
    ).scalar_one()
    return last


def _answered(
    connection: Connection, cursor: int, last: int, senders: Collection[Address]
) -> list[Answered]:
    served, before = transaction_requests, transaction_requests.alias("before")
    earlier = transactions.alias("earlier")
    # An answer that was given up and sent anew is one answer.
    was_sent_before = exists(
        select(before.c.request_id)
        .join(earlier, earlier.c.id == before.c.transaction_id)
        .where(
            before.c.request_id == served.c.request_id,
            earlier.c.purpose == Purpose.ANSWER,
            earlier.c.id < transactions.c.id,
        )
    )
    query = (
        select(transactions.c.created_at - jobs.c.seen_at, jobs.c.inference_seconds)
        .join(served, served.c.transaction_id == transactions.c.id)
        .join(jobs, jobs.c.request_id == served.c.request_id)
        .where(
            transactions.c.id > cursor,
            transactions.c.id <= last,
            transactions.c.purpose == Purpose.ANSWER,
            transactions.c.sender.in_(senders),
            ~was_sent_before,
        )
    )
    return [Answered(max(0.0, waited), spent) for waited, spent in connection.execute(query)]
