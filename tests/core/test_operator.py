"""A standing offer's bounds, each at its edge; and what may be announced as an endpoint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oracle.core.endpoint import checked_endpoint
from oracle.core.operator import Demand, Offer
from oracle.errors import InputError

OFFER = Offer(
    price=10, max_bond=200, capacity=3, min_time=30, max_window=60, max_callback_gas=1_000
)
DEMAND = Demand(fee=10, bond=200, seconds_left=30, window=60, callback_gas_limit=1_000)


def test_a_request_at_every_bound_is_taken() -> None:
    assert list(OFFER.objections(DEMAND)) == []


@pytest.mark.parametrize(
    ("beyond", "reason"),
    [
        ({"fee": 9}, "the fee of"),
        ({"bond": 201}, "the bond of"),
        ({"seconds_left": 29}, "the 29 s to the deadline are less than its 30 s"),
        ({"window": 61}, "the challenge window of 61 s is longer than its 60 s"),
        ({"callback_gas_limit": 1_001}, "the callback gas of 1001 is above its most of 1000"),
    ],
)
def test_each_bound_objects_for_itself(beyond: dict[str, int], reason: str) -> None:
    (objection,) = OFFER.objections(replace(DEMAND, **beyond))
    assert objection.startswith(reason)


def test_a_withdrawn_offer_says_only_that() -> None:
    none = Offer(0, 0, 0, 0, 0, 0)
    assert list(none.objections(DEMAND)) == ["it is withdrawn"]


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("price", 80),
        ("max_bond", 88),
        ("capacity", 16),
        ("min_time", 24),
        ("max_window", 24),
        ("max_callback_gas", 24),
    ],
)
def test_a_bound_fits_its_place_in_the_word(name: str, bits: int) -> None:
    replace(OFFER, **{name: 2**bits - 1})
    for wrong in (2**bits, -1):
        with pytest.raises(InputError, match=name):
            replace(OFFER, **{name: wrong})


@pytest.mark.parametrize(
    "url",
    [
        "https://host.example",
        "http://127.0.0.1:8080/a?b=c#d",
        "https://[::1]:8443/",
        "https://h.example/" + "x" * 238,
    ],
)
def test_an_endpoint_is_a_web_address(url: str) -> None:
    assert checked_endpoint(url) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host.example",
        "ftp://host.example",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://host.example:port",
        "https://[host",
        "https://user:password@host.example",
        "https://user@host.example",
        "https://host.example/a b",
        "https://host.example/\n",
        "https://h\u00f6st.example",
        "https://host.example/\x1b[2J",
        "https://h.example/" + "x" * 239,
    ],
)
def test_nothing_else_is(text: str) -> None:
    with pytest.raises(InputError):
        checked_endpoint(text)
