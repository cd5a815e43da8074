"""Collects by hand what a node's database says is owed for views, beside it or without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from oracle.bootstrap.clock import SystemClock
from oracle.client import OracleClient
from oracle.core.types import Address
from oracle.errors import ContractReverted
from oracle.service.collect import chosen, owed_of
from oracle.settings import Settings
from oracle.storage.storage import open_storage

_MOST_OVERTAKEN: Final = 3


@dataclass(frozen=True, slots=True)
class Collected:
    """What came of it, in base units. `unpayable` is owed above what the payers have deposited."""

    payers: int
    amount: int
    unpayable: int
    transactions: tuple[bytes, ...]


async def collect(settings: Settings, client: OracleClient, operator: Address) -> Collected:
    """Sends as many transactions as it takes, with the client's key; none where nothing is owed.

    Raises:
        StorageError: the database cannot be read.
        ChainUnreachable, ContractReverted: some may have been collected; the next call goes on.
    """
    contract = client.credit
    storage = open_storage(settings.database_url, SystemClock())
    try:
        held = await storage.vouchers.vouchers(contract.address)
    finally:
        await storage.close()
    payers: set[Address] = set()
    amount, transactions = 0, list[bytes]()
    overtaken = 0
    while True:
        owed = await owed_of(held, contract, operator)
        wanted = chosen(owed, enough=0)
        if not wanted:
            return Collected(
                payers=len(payers),
                amount=amount,
                unpayable=sum(max(0, one.voucher.total - one.credit.limit) for one in owed),
                transactions=tuple(transactions),
            )
        data = contract.collect_data(operator, [one.voucher for one in wanted])
        try:
            sent = await client.sender.send(contract.address, data)
        except ContractReverted as reverted:
            overtaken += 1  # the node was first
            if reverted.name != "NothingToCollect" or overtaken > _MOST_OVERTAKEN:
                raise
            continue
        transactions.append(sent.hash)
        payers |= {one.voucher.payer for one in wanted}
        amount += sum(one.due for one in wanted)
