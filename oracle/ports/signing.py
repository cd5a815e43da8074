"""Keys that sign, who may sign on chain, and the pause while that changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from oracle.core.operator import SignerChange
from oracle.core.types import Address


class Signer(Protocol):
    """A hot key. Whoever holds one can sign, and cannot read the key."""

    @property
    def address(self) -> Address: ...

    async def sign(self, preimage: bytes) -> bytes:
        """65 bytes r ‖ s ‖ v (27 or 28), low s, over the preimage's Keccak-256.

        Nobody calls it but `core.signing`, which checks what comes back. Two calls may give two
        signatures of one preimage.

        Raises:
            SignerError: no signature is to be had.
        """
        ...


class SignerRegister(Protocol):
    """Which key the chain takes an operator's signatures from. Raises ChainUnreachable."""

    async def signer_of(self, operator: Address, *, pending: bool = False) -> Address: ...

    async def was_signer(self, operator: Address, signer: Address) -> bool:
        """Whether it signs now, or ever did."""
        ...

    async def signer_delay(self) -> int:
        """Seconds from the announcement of a signer until it signs."""
        ...

    async def announced_signers(
        self, operator: Address, first_block: int, last_block: int
    ) -> Sequence[SignerChange]: ...


class Handover(Protocol):
    """When the next key takes over."""

    def pause_until(self, chain_time: int) -> int | None:
        """Until when to sign nothing that the present key may sign too late; None for no wait."""
        ...
