"""Answers that were given in views: `ports.views.ViewStore` over SQL.

Each method is one database transaction. Knows nothing of how an answer is made or signed; that
nothing is signed twice is the sign-once record's (`job_store`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Row, delete, insert, select

from oracle.core.document import Reader, hexadecimal, written
from oracle.core.saved_receipt import read_request
from oracle.core.types import Address
from oracle.ports.views import HeldVoucher, ViewAnswer
from oracle.storage.database import Database
from oracle.storage.job_rows import chunks
from oracle.storage.tables import views
from oracle.storage.voucher_store import record


class SqlViewStore:
    """Views in an SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def view(self, request_id: bytes) -> ViewAnswer | None:
        return (await self.views_of([request_id])).get(request_id)

    async def views_of(self, request_ids: Sequence[bytes]) -> Mapping[bytes, ViewAnswer]:
        def work(connection: Connection) -> dict[bytes, ViewAnswer]:
            found: dict[bytes, ViewAnswer] = {}
            for chunk in chunks(request_ids):
                query = select(views).where(views.c.request_id.in_(chunk))
                found |= {row.request_id: _read(row) for row in connection.execute(query)}
            return found

        return await self._database.read(work)

    async def keep(self, answer: ViewAnswer) -> ViewAnswer:
        def work(connection: Connection) -> ViewAnswer:
            found = _locked(connection, [answer.request_id])
            if not found:
                return _put(connection, answer, (None, None))
            ((known, paid),) = found
            if known.signer is not None and answer.signer is None:
                return known
            return _put(connection, answer, paid)

        return await self._database.run(work)

    async def keep_paid(
        self, answer: ViewAnswer, contract: Address, voucher: HeldVoucher, price: int
    ) -> ViewAnswer:
        def work(connection: Connection) -> ViewAnswer:
            for _, paid in _locked(connection, [answer.request_id]):
                if paid[0] is not None:
                    return _put(connection, answer, paid)
            record(connection, contract, voucher, price)
            return _put(connection, answer, (voucher.payer, voucher.total))

        return await self._database.run(work)

    async def bought(self, payer: Address, total: int) -> ViewAnswer | None:
        query = select(views).where(views.c.payer == payer, views.c.paid_total == total)

        def work(connection: Connection) -> ViewAnswer | None:
            row = connection.execute(query).first()
            return None if row is None else _read(row)

        return await self._database.read(work)

    async def drop(self, request_ids: Sequence[bytes], *, unsigned: bool = False) -> None:
        def work(connection: Connection) -> None:
            for chunk in chunks(request_ids):
                if unsigned:
                    found = _locked(connection, chunk)
                    chunk = [one.request_id for one, _ in found if one.signer is None]
                connection.execute(delete(views).where(views.c.request_id.in_(chunk)))

        await self._database.run(work)

    async def past(self, deadline: int, *, limit: int) -> Sequence[ViewAnswer]:
        query = (
            select(views).where(views.c.deadline < deadline).order_by(views.c.deadline).limit(limit)
        )

        def work(connection: Connection) -> list[ViewAnswer]:
            return [_read(row) for row in connection.execute(query)]

        return await self._database.read(work)


_Paid = tuple[Address | None, int | None]
"""Who paid for an answer, and by a voucher over which total."""


def _locked(connection: Connection, request_ids: Sequence[bytes]) -> list[tuple[ViewAnswer, _Paid]]:
    """Those that there are, held against other writers until the transaction ends."""
    query = select(views).where(views.c.request_id.in_(request_ids)).with_for_update()
    return [(_read(row), (row.payer, row.paid_total)) for row in connection.execute(query)]


def _put(connection: Connection, answer: ViewAnswer, paid: _Paid) -> ViewAnswer:
    payer, total = paid
    row = {
        "request_id": answer.request_id,
        "deadline": answer.request.deadline,
        "payer": payer,
        "paid_total": total,
        "document": _written(answer),
        "result": answer.result,
    }
    connection.execute(delete(views).where(views.c.request_id == answer.request_id))
    connection.execute(insert(views), row)
    return answer


def _written(answer: ViewAnswer) -> str:
    document = {
        "request": written(answer.request),
        "trace_root": hexadecimal(answer.trace_root),
        "accept_until": answer.accept_until,
        "signer": answer.signer,
        "accept_signature": hexadecimal(answer.accept_signature),
        "answer_signature": hexadecimal(answer.answer_signature),
    }
    return json.dumps(document)


def _read(row: Row[tuple[object, ...]]) -> ViewAnswer:
    part = Reader.of(row.document, "a view's row")
    read = ViewAnswer(
        request_id=row.request_id,
        request=read_request(part.part("request")),
        result=row.result,
        trace_root=part.data("trace_root", 32),
        accept_until=part.number("accept_until"),
        signer=part.address_or_none("signer"),
        accept_signature=part.data("accept_signature"),
        answer_signature=part.data("answer_signature"),
    )
    part.end()
    return read
