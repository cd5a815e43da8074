"""The devnet's people. Their keys are anvil's, published in its documentation: worth nothing, ever.

Knows nothing of what they own.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from oracle.chain.keystore import LocalSigner, secret_from_mnemonic

MNEMONIC: Final = "test test test test test test test test test test test junk"
"""Anvil's default mnemonic. Everybody knows these keys; whatever is sent to them is taken."""


class Person(IntEnum):
    """Who plays which part, by the index of the account. The rest (10 on) are free for tests."""

    DEPLOYER = 0
    OWNER = 1
    SIGNER = 2
    PAYOUT = 3
    REQUESTER = 4
    SECOND_OWNER = 5
    SECOND_SIGNER = 6
    PAYEE = 7
    RELAYER = 8
    WATCHER = 9


def secret_of(index: int) -> bytes:
    """The published private key of one of anvil's accounts."""
    return secret_from_mnemonic(MNEMONIC, index)


def signer_of(index: int) -> LocalSigner:
    """The key of one of anvil's accounts, such as a `Person`."""
    return LocalSigner.from_mnemonic(MNEMONIC, index)
