"""Vouchers: what a payer of answers in views signs, and what stands behind it on chain.

A voucher says what its payer has ever owed one operator, so the highest one is all that there is to
keep. Mirrors `contracts/src/periphery/IViewCredit.sol`. Pure; knows neither chain nor gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_utils.crypto import keccak

from oracle.core.receipt import recover
from oracle.core.typed_data import Domain, struct_hash
from oracle.core.types import Address
from oracle.errors import SignatureError

DOMAIN_NAME: Final = "OPG View Credit"
VOUCHER_TYPE: Final = "Voucher(address payer,address operator,uint256 total)"

_TYPEHASH: Final = keccak(text=VOUCHER_TYPE)


def credit_domain(chain_id: int, contract: Address) -> Domain:
    """What a voucher's signature is bound to: this contract on this chain."""
    return Domain(chain_id, contract, DOMAIN_NAME)


@dataclass(frozen=True, slots=True)
class Voucher:
    """`total` is all that the payer has ever owed the operator, in base units."""

    payer: Address
    operator: Address
    total: int

    def preimage(self, domain: Domain) -> bytes:
        fields = (self.payer, self.operator, self.total)
        return domain.preimage(struct_hash(_TYPEHASH, fields))

    def digest(self, domain: Domain) -> bytes:
        return keccak(self.preimage(domain))

    def is_signed(self, domain: Domain, signature: bytes) -> bool:
        """Whether the payer's own key made this signature."""
        try:
            return recover(self.digest(domain), signature) == self.payer
        except SignatureError:
            return False


@dataclass(frozen=True, slots=True)
class Payment:
    """What comes with a question: the total and the signature of a voucher of the caller's."""

    total: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Credit:
    """A payer's deposit with an operator, as it stands on chain.

    Attributes:
        collected: all that the operator has ever been paid of it.
        withdrawable_at: Unix second from which on the payer can take the balance; 0 for never.
    """

    balance: int
    collected: int
    withdrawable_at: int

    @property
    def limit(self) -> int:
        """The highest total that can be collected in full."""
        return self.collected + self.balance

    def payable(self, total: int) -> int:
        """What a voucher over this total pays now."""
        return min(max(0, total - self.collected), self.balance)
