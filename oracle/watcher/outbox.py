"""What a watcher sends: weighed, saved, then sent, and never twice at once.

Whether something was sent before a restart is seen from the open transactions; whether it was
mined, from the chain. Knows nothing of cases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from oracle.chain.court_contract import CourtBinding
from oracle.core.transaction import Call, Purpose, Transaction
from oracle.core.types import Address, format_wad
from oracle.errors import ChainRefused
from oracle.ports.sending import TransactionGateway, TransactionStore
from oracle.service.attempts import with_headroom
from oracle.service.transact import Transact


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call would cost now. To send it, the key must hold `max_fee_wei` for each gas."""

    gas: int
    gas_price_wei: int
    max_fee_wei: int

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
        price = (fees.max_fee - fees.max_priority_fee) // 2 + fees.max_priority_fee
        return Estimate(gas, price, fees.max_fee)

    async def under_way(self, data: bytes) -> bool:
        """Whether this very call was sent and is not known to be mined."""
        now_open = await self._transactions.open_transactions(self.sender)
        return any(one.call.data == data for one in now_open)

    async def begins_with(self, head: bytes) -> bool:
        """Whether a call whose data begins so was sent and is not known to be mined."""
        now_open = await self._transactions.open_transactions(self.sender)
        return any(one.call.data.startswith(head) for one in now_open)

    async def send(
        self, purpose: Purpose, data: bytes, to: Address | None = None, *, notice_gas: int = 0
    ) -> Estimate | None:
        """Sends a call to the court, or elsewhere; None where it is under way already.

        Args:
            notice_gas: of the notice that it ends with, whose consumer may do otherwise in a block
                than in the simulation; added to the estimate.

        Raises:
            ContractReverted: the chain would refuse it now.
            ChainRefused: gas is dearer than it may be, or the key cannot pay for it; nothing was
                saved that would be sent much later.
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
        limit = estimate.gas + notice_gas
        await self._require_coin(replace(estimate, gas=limit))
        call = Call(to or self._court.address, data, limit)
        await self._transact.submit(purpose, call, [])
        return estimate

    async def withdraw(self, unwanted: Callable[[Transaction], bool]) -> None:
        """Gives up what was sent for nothing and is not mined. Raises as `Transact.withdraw`."""
        await self._transact.withdraw(unwanted)

    async def _require_coin(self, estimate: Estimate) -> None:
        needed = with_headroom(estimate.gas) * min(estimate.max_fee_wei, self._max_gas_price_wei)
        held = await self._gateway.balance(self.sender)
        if held < needed:
            raise ChainRefused(
                f"{self.sender} holds {format_wad(held)} of the chain's coin, and needs "
                f"{format_wad(needed)}",
                hint=f"send it coin; on a local devnet: oracle devnet fund {self.sender}",
            )
