"""What a watcher sends: weighed, saved, then sent, and never twice at once.

Whether something was sent before a restart is seen from the open transactions; whether it was
mined, from the chain. Knows nothing of cases.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from oracle.chain.court_contract import CourtBinding
from oracle.core.transaction import Call, Purpose
from oracle.core.types import Address
from oracle.errors import ChainRefused
from oracle.ports import TransactionGateway, TransactionStore
from oracle.service.transact import Transact

_log = structlog.get_logger("oracle.watcher")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call would cost now."""

    gas: int
    gas_price_wei: int

    @property
    def cost_wei(self) -> int:
        return self.gas * self.gas_price_wei


class Outbox:
    def __init__(
        self,
        transactions: TransactionStore,
        transact: Transact,
        gateway: TransactionGateway,
        court: CourtBinding,
        sender: Address,
        max_gas_price_wei: int,
    ) -> None:
        self._transactions = transactions
        self._transact = transact
        self._gateway = gateway
        self._court = court
        self._max_gas_price_wei = max_gas_price_wei
        self.sender = sender

    async def estimate(self, data: bytes, to: Address | None = None) -> Estimate:
        """Raises ContractReverted where the chain would refuse it now."""
        target = to or self._court.address
        gas = await self._gateway.estimate_gas(self.sender, target, data)
        fees = await self._gateway.fees()
        # The gateway asks for twice the base fee, so as to outlive full blocks.
        return Estimate(gas, (fees.max_fee - fees.max_priority_fee) // 2 + fees.max_priority_fee)

    async def under_way(self, data: bytes) -> bool:
        """Whether this very call was sent and is not known to be mined."""
        now_open = await self._transactions.open_transactions(self.sender)
        return any(one.call.data == data for one in now_open)

    async def send(
        self, purpose: Purpose, data: bytes, to: Address | None = None
    ) -> Estimate | None:
        """Sends a call to the court, or elsewhere; None where it is under way already.

        Raises:
            ContractReverted: the chain would refuse it now.
            ChainRefused: gas is dearer than it may be.
        """
        if await self.under_way(data):
            return None
        estimate = await self.estimate(data, to)
        if estimate.gas_price_wei > self._max_gas_price_wei:
            raise ChainRefused(
                f"gas is at {estimate.gas_price_wei} wei, above the {self._max_gas_price_wei} "
                "that may be paid",
                hint="raise --max-gas-price, or wait",
            )
        call = Call(to or self._court.address, data, estimate.gas)
        await self._transact.submit(purpose, call, [])
        return estimate
