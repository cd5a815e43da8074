"""Our transactions and every attempt made for them: `ports.sending.TransactionStore` over SQL.

Each method is one database transaction, which also moves the jobs that the transaction serves.
Knows nothing of sending: it is told what was sent and what came of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, insert, or_, select, update

from oracle.core.transaction import (
    Attempt,
    Call,
    Mined,
    Purpose,
    SendOutcome,
    Transaction,
    TransactionState,
)
from oracle.core.types import Address
from oracle.errors import IllegalTransition, NotFound, StorageError
from oracle.ports.clock import Clock
from oracle.ports.jobs import JobMove
from oracle.storage.conversion import (
    attempt_columns,
    attempt_of_row,
    mined_columns,
    transaction_of_row,
)
from oracle.storage.database import Database
from oracle.storage.job_rows import chunks, move_jobs, reopen_mined, under_way
from oracle.storage.tables import attempts, jobs, transaction_requests, transactions

_ANOTHERS_SECONDS: Final = 600.0

_NOT_ABANDONED = transactions.c.state != TransactionState.ABANDONED


class SqlTransactionStore:
    """Transactions in an SQL database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def highest_nonce(self, sender: Address) -> int | None:
        query = select(func.max(transactions.c.nonce)).where(
            transactions.c.sender == sender, _NOT_ABANDONED
        )

        def work(connection: Connection) -> int | None:
            highest: int | None = connection.scalar(query)
            return highest

        return await self._database.read(work)

    async def with_nonce(self, sender: Address, nonce: int) -> Transaction | None:
        holds = (transactions.c.sender == sender) & (transactions.c.nonce == nonce)

        def work(connection: Connection) -> Transaction | None:
            found = load_transactions(connection, holds & _NOT_ABANDONED, order=transactions.c.id)
            return found[0] if found else None

        return await self._database.read(work)

    async def reopen(self, transaction_id: int) -> None:
        """Raises NotFound."""

        def work(connection: Connection) -> None:
            _state(connection, transaction_id)
            reopen_mined(connection, transactions.c.id == transaction_id)

        await self._database.run(work)

    async def attempts_with(self, sender: Address, nonce: int) -> Sequence[bytes]:
        query = (
            select(attempts.c.hash)
            .join(transactions, transactions.c.id == attempts.c.transaction_id)
            .where(transactions.c.sender == sender, transactions.c.nonce == nonce)
        )

        def work(connection: Connection) -> list[bytes]:
            return list(connection.scalars(query))

        return await self._database.read(work)

    async def prepare(
        self,
        *,
        sender: Address,
        nonce: int,
        purpose: Purpose,
        call: Call,
        request_ids: Sequence[bytes],
        attempt: Attempt,
        moves: Sequence[JobMove],
        instead_of: int | None = None,
    ) -> Transaction:
        now = self._clock.now()

        def work(connection: Connection) -> Transaction:
            if instead_of is not None:
                _abandon(connection, instead_of)
            _check_nonce_free(connection, sender, nonce)
            _check_known(connection, request_ids)
            if purpose is Purpose.REVEAL:
                _check_not_under_way(connection, purpose, call, request_ids)
            if purpose is Purpose.COLLECT and _is_any_open(connection, purpose, sender, now):
                raise IllegalTransition("another worker collects at this moment")
            inserted = connection.execute(
                insert(transactions).values(
                    sender=sender,
                    nonce=nonce,
                    purpose=purpose,
                    state=TransactionState.OPEN,
                    created_at=now,
                    call_to=call.to,
                    call_gas=call.gas,
                    call_data=call.data,
                )
            )
            assert inserted.inserted_primary_key is not None
            (transaction_id,) = inserted.inserted_primary_key
            connection.execute(insert(attempts), attempt_columns(transaction_id, attempt))
            if request_ids:
                rows = [
                    {"transaction_id": transaction_id, "position": position, "request_id": key}
                    for position, key in enumerate(request_ids)
                ]
                connection.execute(insert(transaction_requests), rows)
            move_jobs(connection, moves, now)
            return _load_one(connection, transaction_id)

        return await self._database.run(work)

    async def add_attempt(self, transaction_id: int, attempt: Attempt) -> None:
        """Saves one more attempt, before it is sent.

        Raises:
            NotFound: no such transaction.
            StorageError: the transaction was given up.
        """

        def work(connection: Connection) -> None:
            if _state(connection, transaction_id) is TransactionState.ABANDONED:
                raise StorageError(f"transaction {transaction_id} was given up")
            connection.execute(insert(attempts), attempt_columns(transaction_id, attempt))

        await self._database.run(work)

    async def record_send(
        self, attempt_hash: bytes, outcome: SendOutcome, at: float, reason: str | None = None
    ) -> None:
        """Raises NotFound for an attempt that was not saved first."""
        statement = (
            update(attempts)
            .where(attempts.c.hash == attempt_hash)
            .values(outcome=outcome, last_sent_at=at, reason=reason)
        )

        def work(connection: Connection) -> None:
            if connection.execute(statement).rowcount == 0:
                raise NotFound(f"there is no attempt 0x{attempt_hash.hex()}")

        await self._database.run(work)

    async def record_mined(
        self, transaction_id: int, mined: Mined, moves: Sequence[JobMove]
    ) -> None:
        """Raises NotFound where the transaction has no such attempt."""
        now = self._clock.now()

        def work(connection: Connection) -> None:
            tried = connection.scalar(
                select(attempts.c.id).where(
                    attempts.c.transaction_id == transaction_id,
                    attempts.c.hash == mined.attempt_hash,
                )
            )
            if tried is None:
                raise NotFound(
                    f"transaction {transaction_id} has no attempt 0x{mined.attempt_hash.hex()}"
                )
            _update(connection, transaction_id, **mined_columns(mined))
            move_jobs(connection, moves, now)

        await self._database.run(work)

    async def abandon(self, transaction_id: int, moves: Sequence[JobMove]) -> None:
        """Gives a transaction up, which frees its nonce.

        Raises:
            NotFound: no such transaction.
            StorageError: it is not open.
        """
        now = self._clock.now()

        def work(connection: Connection) -> None:
            _abandon(connection, transaction_id)
            move_jobs(connection, moves, now)

        await self._database.run(work)

    async def open_transactions(self, sender: Address) -> Sequence[Transaction]:
        is_open = transactions.c.state == TransactionState.OPEN
        return await self._database.read(
            lambda connection: load_transactions(
                connection,
                (transactions.c.sender == sender) & is_open,
                order=transactions.c.nonce,
            )
        )

    async def any_open(self, purpose: Purpose, sender: Address) -> bool:
        now = self._clock.now()
        return await self._database.read(
            lambda connection: _is_any_open(connection, purpose, sender, now)
        )

    async def count_open(self, sender: Address) -> int:
        query = select(func.count()).where(
            transactions.c.sender == sender, transactions.c.state == TransactionState.OPEN
        )

        def work(connection: Connection) -> int:
            count: int = connection.execute(query).scalar_one()
            return count

        return await self._database.read(work)

    async def open_senders(self) -> list[Address]:
        query = select(transactions.c.sender).distinct()
        query = query.where(transactions.c.state == TransactionState.OPEN)
        return await self._database.read(
            lambda connection: [Address(one) for one in connection.scalars(query)]
        )

    async def under_way(self, purpose: Purpose) -> set[bytes]:
        return await self._database.read(lambda connection: under_way(connection, purpose))

    async def reverted(self, purpose: Purpose, request_ids: Sequence[bytes]) -> set[bytes]:
        served = transaction_requests.c.request_id
        query = (
            select(served)
            .join(transactions, transactions.c.id == transaction_requests.c.transaction_id)
            .where(
                transactions.c.state == TransactionState.REVERTED,
                transactions.c.purpose == purpose,
            )
        )

        def work(connection: Connection) -> set[bytes]:
            return {
                one
                for some in chunks(request_ids)
                for one in connection.scalars(query.where(served.in_(some)))
            }

        return await self._database.read(work)

    async def transactions_for(self, request_id: bytes) -> Sequence[Transaction]:
        """Transactions that serve a request, oldest first."""
        serving = select(transaction_requests.c.transaction_id).where(
            transaction_requests.c.request_id == request_id
        )
        return await self._database.read(
            lambda connection: load_transactions(
                connection, transactions.c.id.in_(serving), order=transactions.c.id
            )
        )


def _check_nonce_free(connection: Connection, sender: Address, nonce: int) -> None:
    """Says in words what the unique index would refuse."""
    holder = connection.scalar(
        select(transactions.c.id).where(
            transactions.c.sender == sender, transactions.c.nonce == nonce, _NOT_ABANDONED
        )
    )
    if holder is not None:
        raise StorageError(
            f"nonce {nonce} of {sender} belongs to transaction {holder}",
            hint="abandon that transaction first, or take the next nonce",
        )


def _abandon(connection: Connection, transaction_id: int) -> None:
    state = _state(connection, transaction_id)
    if state is not TransactionState.OPEN:
        raise StorageError(f"transaction {transaction_id} is {state} and cannot be given up")
    _update(connection, transaction_id, state=TransactionState.ABANDONED)


def _check_known(connection: Connection, request_ids: Sequence[bytes]) -> None:
    known: set[bytes] = set()
    for chunk in chunks(request_ids):
        query = select(jobs.c.request_id).where(jobs.c.request_id.in_(chunk))
        known.update(connection.scalars(query))
    for request_id in request_ids:
        if request_id not in known:
            raise NotFound(f"there is no job 0x{request_id.hex()}")


def _check_not_under_way(
    connection: Connection, purpose: Purpose, call: Call, request_ids: Sequence[bytes]
) -> None:
    """A reveal moves no job, so no job's state holds it back: two workers may be at it."""
    serving = select(transaction_requests.c.transaction_id).where(
        transaction_requests.c.request_id.in_(request_ids)
    )
    query = select(transactions.c.id).where(
        transactions.c.id.in_(serving),
        transactions.c.state == TransactionState.OPEN,
        transactions.c.purpose == purpose,
        transactions.c.call_data == call.data,
    )
    if connection.scalars(query).first() is not None:
        raise IllegalTransition("another worker sends the same at this moment")


def _is_any_open(connection: Connection, purpose: Purpose, sender: Address, now: float) -> bool:
    """Another key's counts for a while only: whoever holds the key may be gone for good."""
    lately = transactions.c.created_at > now - _ANOTHERS_SECONDS
    query = select(transactions.c.id).where(
        transactions.c.state == TransactionState.OPEN,
        transactions.c.purpose == purpose,
        or_(transactions.c.sender == sender, lately),
    )
    return connection.scalars(query.limit(1)).first() is not None


def _state(connection: Connection, transaction_id: int) -> TransactionState:
    query = (
        select(transactions.c.state).where(transactions.c.id == transaction_id).with_for_update()
    )
    state = connection.scalar(query)
    if state is None:
        raise NotFound(f"there is no transaction {transaction_id}")
    return TransactionState(state)


def _update(connection: Connection, transaction_id: int, **columns: object) -> None:
    connection.execute(
        update(transactions).where(transactions.c.id == transaction_id).values(**columns)
    )


def _load_one(connection: Connection, transaction_id: int) -> Transaction:
    (found,) = load_transactions(
        connection, transactions.c.id == transaction_id, order=transactions.c.id
    )
    return found


def load_transactions(
    connection: Connection, condition: ColumnElement[bool], *, order: ColumnElement[int]
) -> list[Transaction]:
    """Transactions with their attempts and requests, in two statements and a third per chunk."""
    query = select(transactions).where(condition).order_by(order)
    rows = connection.execute(query).mappings().all()
    tried: defaultdict[int, list[Attempt]] = defaultdict(list)
    served: defaultdict[int, list[bytes]] = defaultdict(list)
    for ids in chunks([row["id"] for row in rows]):
        by_age = select(attempts).where(attempts.c.transaction_id.in_(ids)).order_by(attempts.c.id)
        for row in connection.execute(by_age).mappings():
            tried[row["transaction_id"]].append(attempt_of_row(row))
        by_position = (
            select(transaction_requests)
            .where(transaction_requests.c.transaction_id.in_(ids))
            .order_by(transaction_requests.c.position)
        )
        for row in connection.execute(by_position).mappings():
            served[row["transaction_id"]].append(row["request_id"])
    return [transaction_of_row(row, served[row["id"]], tried[row["id"]]) for row in rows]
