"""Answers in a view: what is asked, what was signed for it, and where that is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from oracle.core.request import Request
from oracle.core.types import Address
from oracle.core.voucher import Credit, Payment


@dataclass(frozen=True, slots=True)
class ViewQuestion:
    """One question to an operator's gateway. The answer is for `caller` and nobody else."""

    caller: Address
    operator: Address
    model_id: bytes
    input: bytes
    payment: Payment | None = None


@dataclass(frozen=True, slots=True)
class HeldVoucher:
    """The highest voucher of a payer. `collected` is what the chain said of it when last asked."""

    payer: Address
    total: int
    signature: bytes
    collected: int = 0

    @property
    def owed(self) -> int:
        return max(0, self.total - self.collected)


@dataclass(frozen=True, slots=True)
class CreditTotals:
    """Sums over all vouchers, in base units, by what the chain said when last asked."""

    owed: int
    collected: int


@dataclass(frozen=True, slots=True)
class ViewAnswer:
    """An answer to a request that has not been sent. Signed once; `signer` is None before.

    Attributes:
        request_id: 32 bytes, the key.
        accept_until: last second at which the acceptance may be used.
        signer: whose the two signatures are.
    """

    request_id: bytes
    request: Request
    result: bytes
    trace_root: bytes
    accept_until: int
    signer: Address | None = None
    accept_signature: bytes = b""
    answer_signature: bytes = b""


class ViewStore(Protocol):
    """Answers in views, until their requests can no longer be sent. Each method is a transaction.

    A row is there before anything of it is signed, so that whatever was signed is found again.
    """

    async def view(self, request_id: bytes) -> ViewAnswer | None: ...

    async def views_of(self, request_ids: Sequence[bytes]) -> Mapping[bytes, ViewAnswer]:
        """Those of these that there are, by id."""
        ...

    async def keep(self, answer: ViewAnswer) -> ViewAnswer:
        """Adds an answer, or replaces the one of its request; the one that stands then.

        One that is signed stands: an unsigned one, of another worker, does not replace it.
        """
        ...

    async def keep_paid(
        self, answer: ViewAnswer, contract: Address, voucher: HeldVoucher, price: int
    ) -> ViewAnswer:
        """`keep` of a signed answer, and its voucher with it, both or none.

        An answer that was paid for before is not charged again: its voucher stands.

        Raises:
            StaleVoucher: one is held by now that this one is not `price` above.
        """
        ...

    async def bought(self, payer: Address, total: int) -> ViewAnswer | None:
        """The answer that was given for a voucher."""
        ...

    async def drop(self, request_ids: Sequence[bytes], *, unsigned: bool = False) -> None:
        """Forgets answers; with `unsigned`, those of them that are not signed."""
        ...

    async def past(self, deadline: int, *, limit: int) -> Sequence[ViewAnswer]:
        """Answers whose deadline is before a Unix second, the oldest first."""
        ...


class VoucherStore(Protocol):
    """Payers' highest vouchers over one credit contract. Each method is a transaction.

    They are added with the answers that they pay for (`ViewStore.keep_paid`), and never dropped.
    """

    async def voucher(self, contract: Address, payer: Address) -> HeldVoucher | None: ...

    async def uncollected(self, contract: Address) -> Sequence[HeldVoucher]:
        """Those of which something is owed, by what is known."""
        ...

    async def vouchers(self, contract: Address) -> Sequence[HeldVoucher]:
        """All of them."""
        ...

    async def note_collected(self, contract: Address, collected: Mapping[Address, int]) -> None:
        """What the chain says was collected of these payers, in all."""
        ...

    async def totals(self, contract: Address) -> CreditTotals: ...


class CreditContract(Protocol):
    """`ViewCredit`, as an operator uses it."""

    @property
    def address(self) -> Address: ...

    async def credits_of(self, operator: Address, payers: Sequence[Address]) -> Sequence[Credit]:
        """In the order of the payers. Raises ChainUnreachable."""
        ...

    def collect_data(self, operator: Address, vouchers: Sequence[HeldVoucher]) -> bytes:
        """Calldata that collects of several payers at once."""
        ...


class ViewGateway(Protocol):
    """What a node's gateway does with one lookup."""

    async def respond(self, data: bytes, client: str) -> bytes:
        """What `AnswerViews` is to check, for the calldata that it gave.

        Args:
            client: who asks over the web, such as an IP address; only for the limit on the rate.

        Raises:
            InputError: it cannot be read, or the model takes no such input.
            NotFound: another operator's, or a model that is not answered in views here.
            PaymentInvalid: what came as a payment is no voucher of the caller's.
            PaymentRequired: the model has a price, and what it takes to pay it.
            RateLimited: too many of this caller or client.
            ViewRefused: not now; another gateway may.
        """
        ...
