"""EIP-712 digests of the protocol's messages, built word by word.

Every field of every message is one 32-byte word, so a struct hash is one Keccak over a join. The
test suite holds these against eth-account's general encoder and against Solidity (shared vectors).
Source: EIP-712. Knows nothing of keys: it makes digests, it does not sign them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from eth_utils.crypto import keccak

from oracle.core.types import Address
from oracle.errors import InputError

DOMAIN_NAME = "OPG Inference Oracle"
DOMAIN_VERSION = "1"

_DOMAIN_TYPEHASH = keccak(
    text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)


def word(value: int | bool | bytes | str) -> bytes:
    """One ABI word: an unsigned integer, a bool, 32 bytes, or an address as text."""
    if isinstance(value, bytes):
        if len(value) != 32:
            raise ValueError(f"expected 32 bytes, got {len(value)}")
        return value
    if isinstance(value, str):
        return bytes.fromhex(value.removeprefix("0x")).rjust(32, b"\0")
    try:
        return int(value).to_bytes(32, "big")
    except OverflowError:
        raise InputError(f"{value} does not fit: at least 0, at most 2**256 - 1") from None


def struct_hash(typehash: bytes, fields: Sequence[int | bool | bytes | str]) -> bytes:
    """EIP-712 `hashStruct` of a struct whose members are all atomic."""
    return keccak(typehash + b"".join(word(field) for field in fields))


@dataclass(frozen=True)
class Domain:
    """The EIP-712 domain of one contract: an oracle's, unless another name says otherwise."""

    chain_id: int
    verifying_contract: Address
    name: str = DOMAIN_NAME

    @cached_property
    def separator(self) -> bytes:
        """32 bytes that no other chain or contract shares."""
        return struct_hash(
            _DOMAIN_TYPEHASH,
            (
                keccak(text=self.name),
                keccak(text=DOMAIN_VERSION),
                self.chain_id,
                self.verifying_contract,
            ),
        )

    def preimage(self, message_hash: bytes) -> bytes:
        """What a signer is asked to sign for a message with this struct hash."""
        return b"\x19\x01" + self.separator + message_hash

    def digest(self, message_hash: bytes) -> bytes:
        """The 32 bytes that are signed: the Keccak-256 of the preimage."""
        return keccak(self.preimage(message_hash))
