"""What only sums show of standing offers: the time of all their places, and what a price pays for.

Pure judgement, as in `offer_advice`. Knows neither chain nor disk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from oracle.bootstrap.full_request import full_rows
from oracle.bootstrap.offer_advice import (
    BLOCK_SECONDS,
    Advice,
    FullRequest,
    of_places,
    seconds_to_run,
)
from oracle.core.model import Model
from oracle.core.operator import Offer
from oracle.core.request import Request
from oracle.core.tensor import output_bytes
from oracle.core.types import Address, format_opg, format_wad
from oracle.court.message import MAX_RESULT_BYTES
from oracle.service.policy import Circumstances, Policy, expected

_SOMEBODY = Address("0x0000000000000000000000000000000000000001")


def of_all_places(
    timed: Sequence[tuple[Model, Offer, FullRequest]],
    answer_margin_seconds: float,
    confirmations: int,
) -> Advice | None:
    """As many full requests of several offers as can bind the operator at once.

    An offer takes a request while fewer than its capacity are unanswered, of whatever model: the
    one that finds so many of them is the slowest among the offers that have more places. Nothing is
    said where an offer is too much by itself: that is told of it.
    """
    if len(timed) < 2 or any(
        of_places(*one, answer_margin_seconds, confirmations) for one in timed
    ):
        return None
    spent = list(accumulate(_by_place(timed)))
    tightest = min((offer for _, offer, _ in timed), key=lambda offer: offer.min_time)
    left = seconds_to_run(tightest, answer_margin_seconds, confirmations)
    if spent[-1] <= left:
        return None
    whole = math.ceil(spent[-1] + answer_margin_seconds + confirmations * BLOCK_SECONDS)
    mend = f"set each again with --min-time {whole} or more"
    if places := sum(one <= left for one in spent):
        mend += f", or with --capacity {places} at most"
    names = ", ".join(model.name for model, _, _ in timed)
    return Advice(
        f"the offers for {names} can bind you to {len(spent):,} full requests at once, which take "
        f"{spent[-1]:,.0f} s here one after another, and may have {tightest.min_time} s to be "
        "answered in; each that is not costs twice its fee",
        mend,
    )


def _by_place(timed: Sequence[tuple[Model, Offer, FullRequest]]) -> list[float]:
    """Seconds of the slowest request that each place can hold, from the first place on."""
    seconds: list[float] = []
    for capacity in sorted({offer.capacity for _, offer, _ in timed}):
        slowest = max(full.seconds for _, offer, full in timed if offer.capacity >= capacity)
        seconds += [slowest] * (capacity - len(seconds))
    return seconds


def of_price(model: Model, offer: Offer, gas_price_wei: int, policy: Policy) -> Advice | None:
    """A price that does not pay for the dearest request that the offer takes."""
    request = Request(
        requester=_SOMEBODY,
        nonce=0,
        consumer=_SOMEBODY,
        model_id=model.id,
        input_hash=bytes(32),
        operator=_SOMEBODY,
        fee=offer.price,
        bond=0,
        value_at_risk=0,
        deadline=0,
        window=0,
        callback_gas_limit=offer.max_callback_gas,
        eager=True,
    )
    size = _largest_result(model)
    now = Circumstances(0, 0, gas_price_wei, result_bytes=size)
    sums = expected(request, now, policy, with_accept=False)
    if sums.profitable:
        return None
    price = -(-sums.needed_wei * 10**18 // policy.wei_per_opg)
    return Advice(
        f"its price of {format_opg(offer.price)} OPG does not pay for the dearest request that it "
        f"takes: {sums.gas.total:,} gas, for a result of {size:,} bytes and the notices of an "
        f"eager consumer, cost {format_wad(sums.cost_wei)} of the chain's coin today, and the fee "
        f"is worth {format_wad(sums.income_wei)}",
        f"set it again with --price {format_opg(price)} or more, or a lower --max-callback-gas; "
        "or offer the model registered anew with fewer rows (--max-rows)",
    )


def _largest_result(model: Model) -> int:
    """Bytes of the largest result; more rows than fit are answered with the empty one."""
    row = sum(spec.row_bytes for spec in model.schema.outputs if spec.batched)
    whole = sum(spec.row_bytes for spec in model.schema.outputs if not spec.batched)
    rows = full_rows(model.schema)
    if row:
        rows = min(rows, (MAX_RESULT_BYTES - whole) // row)
    size = output_bytes(model.schema, rows) if rows > 0 else 0
    return size if size <= MAX_RESULT_BYTES else 0
