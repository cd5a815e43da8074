"""The OPG token: an ERC-20 of 18 decimals. Knows nothing of what OPG is paid for."""

from __future__ import annotations

from oracle.chain.binding import Binding
from oracle.chain.rpc import Rpc
from oracle.core.types import Address


class TokenBinding(Binding):
    """One token. Only standard ERC-20 functions are used, so that any OPG will do."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        super().__init__(rpc, "OPGToken", address)

    def approve_data(self, spender: Address, amount: int) -> bytes:
        return self.encode("approve", spender, amount)

    def transfer_data(self, to: Address, amount: int) -> bytes:
        return self.encode("transfer", to, amount)

    async def balance_of(self, owner: Address) -> int:
        """Base units."""
        amount: int = await self.view("balanceOf", owner)
        return amount

    async def allowance(self, owner: Address, spender: Address) -> int:
        """Base units that `spender` may still pull."""
        amount: int = await self.view("allowance", owner, spender)
        return amount

    async def total_supply(self) -> int:
        amount: int = await self.view("totalSupply")
        return amount

    async def symbol(self) -> str:
        symbol: str = await self.view("symbol")
        return symbol
