"""Pays for an answer in a view: signs a voucher for the price, and for no more than was said.

No books are kept. What is owed is taken from the gateway only by this key's own signature, or as
the chain has it, and vouchers of one call cost one price at most, whatever the gateway does: one
that has taken a voucher and gives no answer gets no second. They go to the operator's gateways and
nowhere else, not even to the endpoint of the chain.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from oracle.chain.credit_contract import CreditBinding
from oracle.chain.turn import turn
from oracle.chain.views_contract import OffchainLookup, write_question
from oracle.client.offchain_lookup import Unanswered
from oracle.core.signing import Signing, signature_over
from oracle.core.types import format_opg
from oracle.core.voucher import Payment, Voucher
from oracle.errors import (
    ChainRefused,
    ChainUnreachable,
    ConfigurationError,
    InputError,
    PaymentRequired,
    ViewRefused,
)
from oracle.ports.views import ViewQuestion

_MOST_VOUCHERS: Final = 3
"""A call before this one, or one on another machine, may come first: so often one is signed."""

_MOST_SENDS: Final = 4
_FIRST_PAUSE_SECONDS: Final = 0.5
"""What was sent and not replied to is sent again: it pays for the same answer once."""

_LARGEST_MARK: Final = 1 << 20
"""Base units, by a random number of which calls of one key differ: who sees its own voucher shown
as owed knows that it was taken."""


@dataclass(frozen=True, slots=True)
class SpendingLimit:
    """Whose key pays, and how many base units at most for one answer."""

    signer: Signing
    most: int


Fetch = Callable[[OffchainLookup], Awaitable[bytes]]


async def pay(
    limit: SpendingLimit,
    credit: CreditBinding | None,
    lookup: OffchainLookup,
    question: ViewQuestion,
    asked: PaymentRequired,
    fetch: Fetch,
) -> tuple[bytes, int]:
    """What the gateway gives for a voucher over what it asks, and the price that it was.

    Raises:
        PaymentRequired: the price is above the limit.
        InputError: the credit does not cover it, or the caller is not who pays.
        ViewRefused: the gateway shows what this key never signed, or takes and gives nothing.
    """
    if credit is None:
        raise ConfigurationError(
            "this deployment has no credit for views, and the gateway asks for a payment",
            hint="name ViewCredit as `credit` in the deployment file, or ask another operator",
        )
    if limit.signer.address != question.caller:
        raise InputError(
            f"the caller {question.caller} pays for its view, and this key is "
            f"{limit.signer.address}",
            hint="ask with the key of the caller",
        )
    # Of two calls at once, each would take the other's voucher, shown as owed, for one that was
    # answered: a gateway could have them sign in turns.
    async with turn(credit.domain.chain_id, question.caller, f"credit-{question.operator}"):
        return await _paid(limit, credit, lookup, question, asked, fetch)


async def _paid(
    limit: SpendingLimit,
    credit: CreditBinding,
    lookup: OffchainLookup,
    question: ViewQuestion,
    asked: PaymentRequired,
    fetch: Fetch,
) -> tuple[bytes, int]:
    sent: set[int] = set()
    for _ in range(_MOST_VOUCHERS):
        if asked.price > limit.most:
            raise await too_dear(credit, question, asked, limit.most)
        voucher = await _next(credit, question, asked, sent)
        signature = await signature_over(limit.signer, voucher.preimage(credit.domain))
        paid = replace(question, payment=Payment(voucher.total, signature))
        try:
            given = await _sent(replace(lookup, call_data=write_question(paid)), fetch)
            return given, asked.price
        except PaymentRequired as again:
            sent.add(voucher.total)
            asked = again
    raise ViewRefused(
        f"{_MOST_VOUCHERS} vouchers were signed and none was taken; at last: {asked.message}",
        hint="try again, with fewer calls of this key at once",
    )


async def too_dear(
    credit: CreditBinding | None, question: ViewQuestion, asked: PaymentRequired, most: int | None
) -> PaymentRequired:
    """The error for whoever has not agreed to this price; says what is lacking for it."""
    price = format_opg(asked.price)
    agree = f"--max-price {price} (in Python max_price={asked.price})"
    left = await _left(credit, question, asked)
    enough = left >= asked.price + _mark_at_most(asked.price)
    limit = "no price was agreed to" if most is None else f"the limit is {format_opg(most)} OPG"
    return PaymentRequired(
        f"{question.operator} asks {price} OPG for this answer, and {limit}",
        reason=asked.reason,
        price=asked.price,
        total=asked.total,
        signature=asked.signature,
        hint=f"{agree}: the credit of {format_opg(left)} OPG pays for it"
        if enough
        else f"`oracle credit deposit {question.operator} AMOUNT` once, and then {agree}",
    )


async def _left(
    credit: CreditBinding | None, question: ViewQuestion, asked: PaymentRequired
) -> int:
    """What the caller's credit still pays for, if what is shown as owed is right; 0 if unknown."""
    if credit is None:
        return 0
    try:
        now = await credit.credit_of(question.caller, question.operator)
    except (ChainRefused, ChainUnreachable):  # what is said is said without it
        return 0
    return 0 if now.withdrawable_at else max(0, now.limit - asked.total)


async def _next(
    credit: CreditBinding,
    question: ViewQuestion,
    asked: PaymentRequired,
    sent: set[int],
) -> Voucher:
    """The voucher for one more answer, where what is shown as owed is believed."""
    payer, operator = question.caller, question.operator
    if asked.total in sent:
        raise ViewRefused(
            f"{operator} shows this call's own voucher as owed, and gave no answer for it",
            hint=f"at most {format_opg(asked.price)} OPG are lost: ask another operator",
        )
    now = await credit.credit_of(payer, operator)
    if asked.signature:
        shown = Voucher(payer, operator, asked.total)
        if not shown.is_signed(credit.domain, asked.signature):
            raise ViewRefused(f"{operator} shows a voucher that {payer} never signed")
    elif asked.total != now.collected:
        raise ViewRefused(
            f"{operator} shows {format_opg(asked.total)} OPG as collected, and the chain "
            f"{format_opg(now.collected)} OPG"
        )
    total = asked.total + asked.price + _mark(asked.price)
    if now.withdrawable_at:
        raise InputError(
            f"the withdrawal of the credit with {operator} is announced",
            hint=f"`oracle credit deposit {operator} AMOUNT` takes it back",
        )
    if total > now.limit:
        raise InputError(
            f"the credit with {operator} is {format_opg(total - now.limit)} OPG short of this "
            "answer",
            hint=f"`oracle credit deposit {operator} AMOUNT`",
        )
    return Voucher(payer, operator, total)


def _mark(price: int) -> int:
    """Next to nothing: what is signed may be so much above the price."""
    return secrets.randbelow(_mark_at_most(price) + 1)


def _mark_at_most(price: int) -> int:
    return min(_LARGEST_MARK - 1, price // 1_000)


async def _sent(lookup: OffchainLookup, fetch: Fetch) -> bytes:
    """Sends a paid question until somebody says something to it."""
    pause = _FIRST_PAUSE_SECONDS
    for _ in range(_MOST_SENDS - 1):
        try:
            return await fetch(lookup)
        except Unanswered:
            await asyncio.sleep(pause)
            pause *= 2
    return await fetch(lookup)
