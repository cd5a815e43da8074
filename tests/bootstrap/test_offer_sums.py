"""What only sums show of standing offers."""

from __future__ import annotations

from dataclasses import replace

from oracle.bootstrap.offer_advice import FullRequest, of_places
from oracle.bootstrap.offer_sums import of_all_places, of_price
from oracle.core.model import Model
from oracle.core.operator import Offer
from oracle.core.schema import ElementType, ModelSchema, TensorSpec
from oracle.core.types import opg
from oracle.service.policy import Policy
from tests.service.fakes import model

OPG = 10**18
OFFER = Offer(OPG, 40 * OPG, 4, 120, 60, 200_000)
FLOAT = ElementType.FLOAT32


def timed(
    name: str, capacity: int, seconds: float, min_time: int = 120
) -> tuple[Model, Offer, FullRequest]:
    offer = replace(OFFER, capacity=capacity, min_time=min_time)
    return replace(model(), name=name), offer, FullRequest(10, seconds, 0)


def test_the_places_of_offers_are_filled_with_the_slowest_that_each_can_hold() -> None:
    """Ten places: four of 10 s, since that offer has no more, and six of 4 s."""
    slow, quick, odd = timed("slow", 4, 10.0), timed("quick", 10, 4.0), timed("odd", 1, 1.0)
    for one in (slow, quick, odd):
        assert of_places(*one, 60) is None, "each by itself is done in time"
    assert of_all_places([slow], 60, 0) is None
    assert of_all_places([slow, odd], 60, 0) is None
    assert of_all_places([quick, odd, slow], 56, 0) is None, "64 s of 64"
    warning = of_all_places([quick, odd, slow], 60, 0)
    assert warning is not None
    assert not warning.note
    assert "10 full requests at once, which take 64 s" in warning.what
    assert "may have 120 s" in warning.what
    assert "--min-time 124 or more, or with --capacity 9 at most" in warning.next_step
    capped = [
        (one, replace(offer, capacity=min(9, offer.capacity)), full)
        for one, offer, full in (quick, odd, slow)
    ]
    assert of_all_places(capped, 60, 0) is None
    later = [(one, replace(offer, min_time=124), full) for one, offer, full in (quick, odd, slow)]
    assert of_all_places(later, 60, 0) is None


def test_the_shortest_time_of_any_offer_counts_and_confirmations_shorten_it() -> None:
    slow = timed("slow", 1, 50.0, min_time=3_600)
    warning = of_all_places([slow, timed("quick", 2, 0.1, min_time=100)], 60, 0)
    assert warning is not None
    assert "may have 100 s" in warning.what, "a request of the quick one waits for the slow one"
    assert of_all_places([slow, timed("quick", 2, 0.1, min_time=101)], 60, 0) is None
    two = [timed("one", 1, 30.0), timed("two", 4, 5.0)]
    assert of_all_places(two, 60, 1) is None
    warning = of_all_places(two, 60, 2)
    assert warning is not None
    assert "--min-time 129 or more, or with --capacity 2 at most" in warning.next_step


def test_what_one_offer_is_too_much_for_by_itself_is_said_of_it_alone() -> None:
    assert of_all_places([timed("slow", 16, 10.0), timed("quick", 1, 1.0)], 60, 0) is None


def priced(price: str, **changes: int) -> Offer:
    return replace(OFFER, price=opg(price), **changes)


def test_a_price_that_does_not_pay_for_the_dearest_request_is_warned_of() -> None:
    rows = ModelSchema(
        (TensorSpec("x", FLOAT, (None, 4)),), (TensorSpec("y", FLOAT, (None, 24)),), 1_024
    )
    large, gas_price = replace(model(), schema=rows), 10**9
    policy = Policy(wei_per_opg=10**15)
    assert of_price(large, priced("0"), gas_price, Policy()) is None, "worth is not known"
    warning = of_price(large, priced("1"), gas_price, policy)
    assert warning is not None
    assert not warning.note
    assert "a result of 98,304 bytes" in warning.what
    assert "8,383,668 gas" in warning.what, "the result twice, and both notices"
    least = warning.next_step.split("--price ")[1].split()[0]
    assert of_price(large, priced(least), gas_price, policy) is None
    less = replace(OFFER, price=opg(least) - 10**6)
    assert of_price(large, less, gas_price, policy) is not None
    assert of_price(large, priced(least), gas_price, replace(policy, margin_percent=1)) is not None
    assert of_price(large, priced(least, max_callback_gas=300_000), gas_price, policy) is not None
    few = replace(large, schema=replace(rows, max_batch=1))
    assert of_price(few, priced("1"), gas_price, policy) is None
