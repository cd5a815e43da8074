"""Payers' highest vouchers: `ports.views.VoucherStore` over SQL, and how one is added.

Each method is one database transaction. Vouchers come with the answers that they pay for
(`view_store`), in that one's transaction. Checks no signature and knows no chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from oracle.core.types import Address
from oracle.errors import StaleVoucher
from oracle.ports.views import CreditTotals, HeldVoucher
from oracle.storage.database import Database
from oracle.storage.tables import vouchers


class SqlVoucherStore:
    """Vouchers in an SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def voucher(self, contract: Address, payer: Address) -> HeldVoucher | None:
        found = await self._found(_of(contract, payer))
        return found[0] if found else None

    async def uncollected(self, contract: Address) -> list[HeldVoucher]:
        return await self._found(
            (vouchers.c.contract == contract) & (vouchers.c.total > vouchers.c.collected)
        )

    async def vouchers(self, contract: Address) -> list[HeldVoucher]:
        return await self._found(vouchers.c.contract == contract)

    async def note_collected(self, contract: Address, collected: Mapping[Address, int]) -> None:
        def work(connection: Connection) -> None:
            for payer, amount in collected.items():
                connection.execute(
                    update(vouchers).where(_of(contract, payer)).values(collected=amount)
                )

        await self._database.run(work)

    async def totals(self, contract: Address) -> CreditTotals:
        query = select(vouchers.c.total, vouchers.c.collected).where(
            vouchers.c.contract == contract
        )

        def work(connection: Connection) -> CreditTotals:
            rows = connection.execute(query).all()
            return CreditTotals(
                owed=sum(max(0, row.total - row.collected) for row in rows),
                collected=sum(row.collected for row in rows),
            )

        return await self._database.read(work)

    async def _found(self, condition: ColumnElement[bool]) -> list[HeldVoucher]:
        query = select(vouchers).where(condition).order_by(vouchers.c.payer)

        def work(connection: Connection) -> list[HeldVoucher]:
            return [_read(row) for row in connection.execute(query)]

        return await self._database.read(work)


def record(connection: Connection, contract: Address, voucher: HeldVoucher, price: int) -> None:
    """Puts a voucher in the place of the payer's last one. Raises StaleVoucher."""
    query = select(vouchers).where(_of(contract, voucher.payer)).with_for_update()
    row = connection.execute(query).one_or_none()
    said = {"total": voucher.total, "signature": voucher.signature}
    if row is None:
        known = {"contract": contract, "payer": voucher.payer, "collected": voucher.collected}
        connection.execute(insert(vouchers), known | said)
        return
    if voucher.total < row.total + price:
        raise StaleVoucher(
            f"{voucher.payer} has signed a total of {row.total} by now, and this voucher is over "
            f"{voucher.total}"
        )
    connection.execute(update(vouchers).where(_of(contract, voucher.payer)).values(said))


def _of(contract: Address, payer: Address) -> ColumnElement[bool]:
    return (vouchers.c.contract == contract) & (vouchers.c.payer == payer)


def _read(row: Row[Any]) -> HeldVoucher:
    return HeldVoucher(Address(row.payer), row.total, row.signature, row.collected)
