"""Transactions signed on the spot, for tests that are no coroutines. Knows local keys only."""

from __future__ import annotations

from typing import Any

from oracle.chain.keystore import LocalSigner
from oracle.core.signing import signed_transaction


def transaction_of(signer: LocalSigner, **fields: Any) -> tuple[bytes, bytes]:
    """As `core.signing.signed_transaction`, of a key in this process, which waits for nothing."""
    asked = signed_transaction(signer, **fields)
    try:
        asked.send(None)
    except StopIteration as done:
        signed: tuple[bytes, bytes] = done.value
        return signed
    raise AssertionError("a local key signs at once")
