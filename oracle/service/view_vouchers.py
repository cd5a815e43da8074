"""Takes payment for answers in views: what a voucher must say, and what it says in return.

A caller that pays nothing is shown what it owes already, by its own signature, and signs the price
on top: it needs no books. Nothing is taken here; a voucher is recorded with the answer that it pays
for (`ViewStore.keep_paid`). Runs no model and sends nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from oracle.core.typed_data import Domain
from oracle.core.types import MOST_OPG_BASE_UNITS, Address, format_opg
from oracle.core.voucher import Credit, Voucher
from oracle.errors import PaymentInvalid, PaymentRequired
from oracle.ports.clock import Clock
from oracle.ports.views import CreditContract, HeldVoucher, ViewQuestion, VoucherStore

UNPAID: Final = "unpaid"
STALE: Final = "stale"
TOO_LOW: Final = "too_low"
OVERDRAWN: Final = "overdrawn"
WITHDRAWING: Final = "withdrawing"

_CREDIT_LASTS_SECONDS: Final = 1.0
"""So long the chain is not asked again about one payer, however often it errs."""

_MOST_CREDITS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be paid for one answer, and the voucher that is to pay it."""

    price: int
    voucher: HeldVoucher


@dataclass(frozen=True, slots=True)
class _Seen:
    credit: Credit
    at: float


class ViewVouchers:
    def __init__(
        self,
        vouchers: VoucherStore,
        contract: CreditContract,
        clock: Clock,
        domain: Domain,
        operator: Address,
    ) -> None:
        """Args: domain: the credit contract's, that vouchers are signed for."""
        self._vouchers = vouchers
        self._contract = contract
        self._clock = clock
        self._domain = domain
        self._operator = operator
        self._seen: OrderedDict[Address, _Seen] = OrderedDict()

    @property
    def contract(self) -> Address:
        """The credit contract that vouchers are over."""
        return self._contract.address

    async def voucher(self, question: ViewQuestion, price: int) -> HeldVoucher:
        """The voucher that came with a question, signed by its caller. Looks at no amount yet.

        Raises:
            PaymentInvalid: it is not the caller's, or not over an amount.
            PaymentRequired: none came.
        """
        payment = question.payment
        if payment is None:
            raise await self.required(
                question.caller,
                price,
                UNPAID,
                f"an answer of this model costs {format_opg(price)} OPG",
            )
        voucher = Voucher(question.caller, self._operator, payment.total)
        if payment.total > MOST_OPG_BASE_UNITS or not voucher.is_signed(
            self._domain, payment.signature
        ):
            raise PaymentInvalid(
                f"the payment is no voucher of {question.caller} for {self._operator}",
                hint="the caller of the view is who pays, by its own key",
            )
        return HeldVoucher(question.caller, payment.total, payment.signature)

    async def admit(self, voucher: HeldVoucher, price: int) -> None:
        """Raises PaymentRequired where a voucher does not pay the price, with the reason."""
        payer, total = voucher.payer, voucher.total
        credit = await self._credit(payer)
        if credit.withdrawable_at or total > credit.limit:  # there may be a deposit since
            self._seen.pop(payer, None)
            credit = await self._credit(payer)
        owed, _ = await self._owed(payer)
        if total < owed + price:
            reason = STALE if total <= owed else TOO_LOW
            raise await self.required(
                payer,
                price,
                reason,
                f"the voucher is over {format_opg(total)} OPG in all: {format_opg(owed)} OPG were "
                f"signed already, and the answer costs {format_opg(price)} OPG",
            )
        if credit.withdrawable_at:
            raise await self.required(
                payer,
                price,
                WITHDRAWING,
                "a withdrawal of the credit is announced: a deposit takes it back",
            )
        if total > credit.limit:
            raise await self.required(
                payer,
                price,
                OVERDRAWN,
                f"the credit is short of {format_opg(total - credit.limit)} OPG for this: deposit "
                "some more",
            )

    async def required(
        self, payer: Address, price: int, reason: str, message: str
    ) -> PaymentRequired:
        """What a voucher of this payer's must say, as an error to raise."""
        owed, signature = await self._owed(payer)
        return PaymentRequired(
            message, reason=reason, price=price, total=owed, signature=signature, hint=_HINT
        )

    async def stale(self, voucher: HeldVoucher, price: int) -> PaymentRequired:
        """For a voucher in whose place another came while the model ran."""
        return await self.required(
            voucher.payer, price, STALE, "another answer was paid for meanwhile: sign again"
        )

    async def _owed(self, payer: Address) -> tuple[int, bytes]:
        """What a payer has signed in all and its signature, or what was collected and none.

        More may be collected than is held: after an older database was put back.
        """
        held = await self._vouchers.voucher(self.contract, payer)
        credit = await self._credit(payer)
        if held is None or held.total < credit.collected:
            return credit.collected, b""
        return held.total, held.signature

    async def _credit(self, payer: Address) -> Credit:
        now = self._clock.now()
        seen = self._seen.get(payer)
        if seen is not None and 0 <= now - seen.at < _CREDIT_LASTS_SECONDS:
            return seen.credit
        (credit,) = await self._contract.credits_of(self._operator, [payer])
        self._seen.pop(payer, None)
        self._seen[payer] = _Seen(credit, now)
        while len(self._seen) > _MOST_CREDITS:
            self._seen.popitem(last=False)
        return credit


_HINT = "deposit with `oracle credit deposit`, and sign by `oracle view --max-price`"
