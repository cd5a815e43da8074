"""Transactions: the chain that takes them, the table that holds them, and who sends them."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Protocol

from oracle.core.transaction import Attempt, Call, Fees, Mined, Purpose, SendOutcome, Transaction
from oracle.core.types import Address
from oracle.ports.jobs import JobMove


class TransactionGateway(Protocol):
    """Sends transactions and looks them up. Raises ChainUnreachable where there is no answer."""

    async def chain_time(self) -> int:
        """Timestamp of the latest block, Unix seconds."""
        ...

    async def balance(self, account: Address) -> int:
        """Native balance in wei."""
        ...

    async def next_nonce(self, sender: Address, *, pending: bool) -> int: ...

    async def fees(self) -> Fees:
        """What a transaction should offer now."""
        ...

    async def simulate(self, sender: Address, to: Address, data: bytes) -> bytes:
        """Return data of an eth_call at the pending block.

        Raises:
            ContractReverted: with the decoded custom error.
        """
        ...

    async def estimate_gas(self, sender: Address, to: Address, data: bytes) -> int:
        """Raises ContractReverted where it would revert."""
        ...

    async def send(self, attempt: Attempt) -> tuple[SendOutcome, str | None]:
        """Sends raw bytes; never raises. A reason comes with all but ACCEPTED."""
        ...

    async def mined(self, attempt_hash: bytes) -> Mined | None: ...

    async def replay(self, sender: Address, call: Call, *, block: int) -> None:
        """Repeats a mined call with its own gas. Raises ContractReverted where it reverts."""
        ...


class Sending(Protocol):
    """Where the services' transactions go, whichever key pays for them."""

    async def room(self) -> int:
        """How many more transactions may be opened now."""
        ...

    async def under_way(self, purpose: Purpose) -> Set[bytes]:
        """The requests that open transactions of this purpose serve: not to be served twice."""
        ...

    async def reverted(self, purpose: Purpose, request_ids: Sequence[bytes]) -> Set[bytes]:
        """Those of the requests that a mined transaction of this purpose reverted over."""
        ...

    async def submit(self, purpose: Purpose, call: Call, request_ids: Sequence[bytes]) -> None:
        """Saves a transaction with its jobs' moves, then sends it.

        Raises:
            ChainUnreachable, ChainRefused, SignerError: nothing was saved.
        """
        ...


class TransactionStore(Protocol):
    """Transactions and their attempts. Each method is one database transaction."""

    async def highest_nonce(self, sender: Address) -> int | None:
        """The highest nonce used by a transaction that is not abandoned."""
        ...

    async def prepare(
        self,
        *,
        sender: Address,
        nonce: int,
        purpose: Purpose,
        call: Call,
        request_ids: Sequence[bytes],
        attempt: Attempt,
        moves: Sequence[JobMove],
        instead_of: int | None = None,
    ) -> Transaction:
        """Saves a transaction, its first attempt and the jobs' moves, all or nothing.

        Args:
            instead_of: the transaction that is given up for it, by its id.
        """
        ...

    async def add_attempt(self, transaction_id: int, attempt: Attempt) -> None: ...

    async def record_send(
        self, attempt_hash: bytes, outcome: SendOutcome, at: float, reason: str | None = None
    ) -> None: ...

    async def record_mined(
        self, transaction_id: int, mined: Mined, moves: Sequence[JobMove]
    ) -> None: ...

    async def abandon(self, transaction_id: int, moves: Sequence[JobMove]) -> None:
        """Gives a transaction up: it can never be mined."""
        ...

    async def open_transactions(self, sender: Address) -> Sequence[Transaction]:
        """Transactions not known to be mined, lowest nonce first."""
        ...

    async def any_open(self, purpose: Purpose, sender: Address) -> bool:
        """Whether a transaction of this purpose is open: by this key, or lately by another."""
        ...

    async def count_open(self, sender: Address) -> int:
        """How many `open_transactions` there are; reads none of them."""
        ...

    async def open_senders(self) -> Sequence[Address]:
        """Who has open transactions."""
        ...

    async def transactions_for(self, request_id: bytes) -> Sequence[Transaction]: ...

    async def with_nonce(self, sender: Address, nonce: int) -> Transaction | None:
        """The transaction that holds a nonce; abandoned ones hold none."""
        ...

    async def reopen(self, transaction_id: int) -> None:
        """What was mined is on no chain any more: open, and to be sent again at once."""
        ...

    async def attempts_with(self, sender: Address, nonce: int) -> Sequence[bytes]:
        """Hashes of all that was ever sent with a nonce, of abandoned transactions, too."""
        ...

    async def under_way(self, purpose: Purpose) -> Set[bytes]:
        """The requests that open transactions of this purpose serve, whoever sends them."""
        ...

    async def reverted(self, purpose: Purpose, request_ids: Sequence[bytes]) -> Set[bytes]:
        """Those of the requests that a mined transaction of this purpose reverted over."""
        ...
