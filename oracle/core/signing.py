"""Signatures as they are asked for and as they are taken, and the one shape of our transactions.

A signer is handed the bytes whose Keccak-256 it signs, never the bare digest: a remote one can see
what it puts its name to. Whoever asks believes nothing: what comes back is checked here, whoever
the signer is, before anything is saved or sent. Pure but for asking; holds no key.
"""

from __future__ import annotations

from typing import Any, Protocol

import rlp  # type: ignore[import-untyped]
from eth_utils.crypto import keccak

from oracle.core.receipt import recover
from oracle.core.transaction import Call, Fees
from oracle.core.types import Address
from oracle.errors import SignatureError, WrongSigner

_TYPE = b"\x02"
"""Of an EIP-1559 transaction."""


class Signing(Protocol):
    """Of `ports.Signer`, what is needed here."""

    @property
    def address(self) -> Address: ...

    async def sign(self, preimage: bytes) -> bytes: ...


async def signature_over(signer: Signing, preimage: bytes) -> bytes:
    """65 bytes r ‖ s ‖ v (27 or 28), low s, which the signer's own key made over this preimage.

    Raises:
        WrongSigner: it gave something else.
        SignerUnreachable: it gave nothing.
    """
    expected = signer.address
    signature = await signer.sign(preimage)
    try:
        actual = recover(keccak(preimage), signature)
    except SignatureError as error:
        raise WrongSigner(
            f"what the signer {expected} gave is no signature of it: {error.message}", hint=_HINT
        ) from None
    if actual != expected:
        raise WrongSigner(f"the signer {expected} signed with the key of {actual}", hint=_HINT)
    return signature


_HINT = "nothing was saved or sent; check what answers at signer_url, and signer_address"


async def signed_transaction(
    signer: Signing, *, chain_id: int, nonce: int, call: Call, fees: Fees, value: int = 0
) -> tuple[bytes, bytes]:
    """An EIP-1559 transaction as (hash, raw bytes). Raises as `signature_over` does."""
    to = bytes.fromhex(call.to[2:])
    return await _signed(signer, _fields(chain_id, nonce, to, call.data, call.gas, fees, value))


async def signed_creation(
    signer: Signing, *, chain_id: int, nonce: int, creation_code: bytes, gas: int, fees: Fees
) -> tuple[bytes, bytes]:
    """An EIP-1559 transaction that creates a contract, as (hash, raw bytes)."""
    return await _signed(signer, _fields(chain_id, nonce, b"", creation_code, gas, fees, 0))


def _fields(
    chain_id: int, nonce: int, to: bytes, data: bytes, gas: int, fees: Fees, value: int
) -> list[Any]:
    """The fields of EIP-1559 in order; the last is an empty access list."""
    if chain_id < 1:
        raise ValueError("a transaction without a chain id could be replayed on another chain")
    numbers = (chain_id, nonce, fees.max_priority_fee, fees.max_fee, gas)
    return [*map(int, numbers), to, int(value), data, []]


async def _signed(signer: Signing, fields: list[Any]) -> tuple[bytes, bytes]:
    signature = await signature_over(signer, _TYPE + rlp.encode(fields))
    parts = (
        signature[64] - 27,
        int.from_bytes(signature[:32], "big"),
        int.from_bytes(signature[32:64], "big"),
    )
    raw: bytes = _TYPE + rlp.encode([*fields, *parts])
    return keccak(raw), raw
