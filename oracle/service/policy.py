"""What an operator is willing to do, and the one rule that decides on a request. Pure.

Knows neither chain nor model: it is handed the facts and answers with a reason or with None.
"""

from __future__ import annotations

from dataclasses import dataclass

from oracle.core.economics import Estimate, Expectation, GasParts
from oracle.core.operator import Offer
from oracle.core.request import Request
from oracle.core.types import ZERO_ADDRESS, format_opg

ACCEPT_GAS = 60_000
ANSWER_GAS = 75_000
SETTLE_GAS = 60_000
"""Gas of one job's transactions, each sent alone, without its result's bytes, rounded up (`oracle
bench gas`); for the profit gate, and the coin that is kept. The first settlement that credits an
account takes 17,100 more, once."""

_ANSWER_BYTE_GAS = 25
_SETTLE_BYTE_GAS = 17
"""Of a byte of result: as calldata, hashed, and logged by the answer (`oracle bench gas`)."""

_FLOOR_BYTE_GAS = 40
_ANSWER_BELOW_FLOOR_GAS = 17_000
_SETTLE_BELOW_FLOOR_GAS = 25_000
"""Beyond some 1,100 bytes a transaction costs what EIP-7623 asks for its calldata, and nothing for
what it does: of a transaction without a result so much is swallowed (`oracle bench gas`)."""

MOST_STRIKES = 2
"""A request that ended the inference process so often is given up. After the first time it is run
alone: it may have been a neighbour's fault, and it may not be given a neighbour again."""


@dataclass(frozen=True, slots=True)
class Policy:
    """An operator's terms.

    Attributes:
        minimum_fee: smallest fee, in base units, instead of the price of the own standing offer.
        answer_margin_seconds: time that must be left until the deadline when work starts.
        max_callback_gas: most gas for a consumer's notice, which the operator pays when it settles,
            instead of that of the own standing offer.
        max_window_seconds: longest challenge window, for which bond and fee are out of reach,
            instead of that of the own standing offer.
        wei_per_opg: what one OPG is worth in wei of the chain's currency; 0 turns the gate off.
        margin_percent: profit wanted over the cost of gas.
    """

    minimum_fee: int | None = None
    answer_margin_seconds: int = 5
    max_callback_gas: int | None = None
    max_window_seconds: int | None = None
    wei_per_opg: int = 0
    margin_percent: int = 0


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known when a request is judged: base units, wei, Unix seconds.

    `offer` is the operator's own standing one for the model; None where it has none, or is bound
    already. `result_bytes` are those that the answer will have.
    """

    chain_time: int
    free_stake: int
    gas_price_wei: int
    offer: Offer | None = None
    result_bytes: int = 0


def result_gas(size: int, *, for_consumer: bool) -> int:
    """Gas of a result's bytes, none of them zero: in the answer, and once more in the settlement
    where a consumer is to have them."""
    floor = size * _FLOOR_BYTE_GAS
    gas = max(size * _ANSWER_BYTE_GAS, floor - _ANSWER_BELOW_FLOOR_GAS)
    if for_consumer:
        gas += max(size * _SETTLE_BYTE_GAS, floor - _SETTLE_BELOW_FLOOR_GAS)
    return gas


def expected(
    request: Request, circumstances: Circumstances, policy: Policy, *, with_accept: bool
) -> Expectation:
    """The sum of a request: its fee, and what serving it would cost at most.

    An eager consumer that lets the notice of the answer fail is due the final one as well, so it
    can have its gas burnt twice.
    """
    accept = ACCEPT_GAS if with_accept else 0
    notices = request.notice_gas * (2 if request.eager else 1)
    has_consumer = request.consumer != ZERO_ADDRESS
    result = result_gas(circumstances.result_bytes, for_consumer=has_consumer)
    return Expectation(
        fee=request.fee,
        wei_per_opg=policy.wei_per_opg,
        margin_percent=policy.margin_percent,
        gas_price_wei=circumstances.gas_price_wei,
        gas=GasParts(accept, ANSWER_GAS, SETTLE_GAS, notices, result),
    )


def judged(
    request: Request,
    circumstances: Circumstances,
    policy: Policy,
    *,
    bound: bool = False,
    unservable: str | None = None,
    now: float,
) -> Estimate:
    """The decision on a request, with the sum that led to it.

    Args:
        bound: a standing offer has decided already; no acceptance is to be paid for.
        unservable: why it could not be served, whatever it paid; None where it could.
        now: Unix seconds by the worker's clock.
    """
    reason = unservable or objection(request, circumstances, policy)
    if reason is None and not bound:
        reason = beyond_offer(request, circumstances.offer, policy, circumstances.chain_time)
    sums = expected(request, circumstances, policy, with_accept=not bound)
    return Estimate(
        *(sums.fee, sums.wei_per_opg, sums.margin_percent, sums.gas_price_wei, sums.gas),
        decision="bound" if bound else "admit" if reason is None else "decline",
        objection=reason,
        judged_at=now,
    )


def objection(request: Request, circumstances: Circumstances, policy: Policy) -> str | None:
    """Why a request that is not yet accepted should be left alone, or None."""
    if policy.minimum_fee is not None and request.fee < policy.minimum_fee:
        return (
            f"the fee of {format_opg(request.fee)} OPG is below the minimum of "
            f"{format_opg(policy.minimum_fee)} OPG"
        )
    if request.bond > circumstances.free_stake:
        return (
            f"the bond of {format_opg(request.bond)} OPG is above the free stake of "
            f"{format_opg(circumstances.free_stake)} OPG"
        )
    left = request.deadline - circumstances.chain_time
    if left < policy.answer_margin_seconds:
        return f"{left} s are left until the deadline, {policy.answer_margin_seconds} s are needed"
    if policy.max_window_seconds is not None and request.window > policy.max_window_seconds:
        return (
            f"the challenge window of {request.window} s is longer than the "
            f"{policy.max_window_seconds} s that are accepted"
        )
    gas = request.callback_gas_limit
    if policy.max_callback_gas is not None and gas > policy.max_callback_gas:
        return f"the callback gas of {gas} is above the {policy.max_callback_gas} that are accepted"
    sums = expected(request, circumstances, policy, with_accept=True)
    if not sums.profitable:
        return (
            f"unprofitable: the fee is worth {sums.income_wei} wei, gas and margin need "
            f"{sums.needed_wei} wei"
        )
    return None


def beyond_offer(
    request: Request, offer: Offer | None, policy: Policy, chain_time: int
) -> str | None:
    """Why an operator does not bind itself to a request by its own offer for the model, or None.

    Anybody may register a model over a program that the operator has, with terms made to harm it,
    and ask it of everybody: what the operator has not offered, it does not take on. The price, the
    window and the gas for a notice are the offer's, unless the policy names others.
    """
    if offer is None or not offer.capacity:
        return "this operator has no standing offer for the model"
    if policy.minimum_fee is None and request.fee < offer.price:
        return (
            f"the fee of {format_opg(request.fee)} OPG is below the {format_opg(offer.price)} OPG "
            "of this operator's own offer"
        )
    left = request.deadline - chain_time
    if left < offer.min_time:
        return (
            f"{left} s are left until the deadline, this operator's own offer wants "
            f"{offer.min_time} s"
        )
    if request.bond > offer.max_bond:
        return (
            f"the bond of {format_opg(request.bond)} OPG is above the largest of "
            f"{format_opg(offer.max_bond)} OPG of this operator's own offer"
        )
    if policy.max_window_seconds is None and request.window > offer.max_window:
        return (
            f"the challenge window of {request.window} s is longer than the {offer.max_window} s "
            "of this operator's own offer"
        )
    gas = request.callback_gas_limit
    if policy.max_callback_gas is None and gas > offer.max_callback_gas:
        return (
            f"the callback gas of {gas} is above the {offer.max_callback_gas} of this operator's "
            "own offer"
        )
    return None
