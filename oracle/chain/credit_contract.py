"""The `ViewCredit` contract: payers' deposits with operators, and the vouchers that draw on them.

For payers, for the node that is paid, and for whoever collects by hand. Signs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from oracle.chain.binding import Binding
from oracle.chain.rpc import Rpc
from oracle.core.typed_data import Domain
from oracle.core.types import Address
from oracle.core.voucher import Credit, credit_domain
from oracle.ports.views import HeldVoucher


class CreditBinding(Binding):
    """One deployed `ViewCredit`. Implements `ports.CreditContract`."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        super().__init__(rpc, "ViewCredit", address)
        self.domain: Domain = credit_domain(rpc.chain_id, address)

    def deposit_data(self, operator: Address, amount: int) -> bytes:
        """Sent by the payer, who has allowed the contract the amount. Takes back a withdrawal."""
        return self.encode("deposit", operator, amount)

    def announce_withdrawal_data(self, operator: Address) -> bytes:
        return self.encode("announceWithdrawal", operator)

    def withdraw_data(self, operator: Address) -> bytes:
        return self.encode("withdraw", operator)

    def collect_data(self, operator: Address, vouchers: Sequence[HeldVoucher]) -> bytes:
        """Anyone may send it; only the operator is paid. Reverts where there is nothing at all."""
        claims = [(one.payer, one.total, one.signature) for one in vouchers]
        return self.encode("collectMany", operator, claims)

    async def credit_of(self, payer: Address, operator: Address) -> Credit:
        (found,) = await self.credits_of(operator, [payer])
        return found

    async def credits_of(self, operator: Address, payers: Sequence[Address]) -> list[Credit]:
        found = await self.view("creditsOf", operator, list(payers))
        return [Credit(*one) for one in found]

    async def delay(self) -> int:
        """Seconds from an announcement to the withdrawal."""
        seconds: int = await self.view("WITHDRAWAL_DELAY")
        return seconds
