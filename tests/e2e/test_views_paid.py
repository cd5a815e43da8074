"""Views that have a price, on a real chain by a real node: paid, refused, repeated, killed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from oracle.chain.binding import call
from oracle.chain.views_contract import OffchainLookup, read_question, write_payment, write_question
from oracle.client.offchain_lookup import fetch
from oracle.core.request import RequestState
from oracle.core.view_receipt import SavedView
from oracle.core.voucher import Payment
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.samples import sample
from oracle.errors import (
    ConfigurationError,
    ContractReverted,
    InputError,
    PaymentRequired,
    ViewRefused,
)
from oracle.ports.views import ViewQuestion
from tests.support.crash import Crash
from tests.support.failures import thorough
from tests.support.paying import (
    PRICE,
    PRICED,
    collections,
    credit,
    held,
    paid_question,
    payment,
)
from tests.support.scraping import scrape
from tests.support.viewing import (
    CALLER,
    announce_gateways,
    gateway,
    posted,
    question,
    serving,
    viewed,
)
from tests.support.watching import free_port
from tests.support.world import OPG, PATIENTS, World, until

pytestmark = pytest.mark.timeout(180)

STRANGER = signer_of(Person.RELAYER)

LITTLE = 1 << 20
"""Base units that a client may add to a voucher, to tell its own from others."""


@pytest.fixture
async def still(world: World) -> World:
    """A world whose clock is ahead of the wall's, so that no minute ends but by a block."""
    await world.chain.travel_past(await world.chain.time() + 600)
    return world


@pytest.fixture
async def priced(still: World) -> AsyncIterator[tuple[World, str]]:
    """A gateway that asks for money, its URL, and a caller that has deposited one OPG."""
    await still.client.deposit_credit(still.operator, OPG)
    async with gateway(still, views=PRICED, serve_port=(port := free_port())):
        yield still, f"http://127.0.0.1:{port}/views"


async def _paid_total(world: World) -> int:
    found = await held(world)
    return 0 if found is None else found.total


# ---- paid


async def test_a_paid_view_is_posted_and_settles_as_any_answer(
    priced: tuple[World, str],
) -> None:
    world, _ = priced
    found = await viewed(world, max_price=PRICE)
    assert 0 <= await _paid_total(world) - PRICE < LITTLE
    assert await world.state(found.request_id) is RequestState.NONE, "no transaction was sent"
    assert (await credit(world)).collected == 0
    posted_ = await world.client.post(SavedView.from_json(found.receipt.to_json()))
    (job,) = await world.until_settled(posted_.request_id)
    assert job.result == found.receipt.result


async def test_any_library_pays_by_the_second_entry_of_the_contract(
    priced: tuple[World, str],
) -> None:
    world, _ = priced
    asked = await question(world)
    views = world.client.views
    paid = write_payment(payment(world, PRICE))
    calldata = views.encode("answerOfPaid", asked.operator, asked.model_id, asked.input, paid)
    with pytest.raises(ContractReverted) as reverted:
        await call(world.chain.rpc, views.address, calldata, sender=CALLER.address)
    lookup = OffchainLookup(*reverted.value.arguments.values())
    assert read_question(lookup.call_data) == await paid_question(world, PRICE)
    response = await fetch(lookup, public_only=False)
    checked = await views.checked(CALLER.address, lookup, response)
    assert checked.receipt.request.requester == CALLER.address
    assert await _paid_total(world) == PRICE


async def test_a_caller_needs_no_books_and_is_shown_its_own_signature(
    priced: tuple[World, str],
) -> None:
    world, url = priced
    status, body, headers = await posted(url, await question(world))
    assert status == 402
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert (body["reason"], body["price"]) == ("unpaid", str(PRICE))
    assert body["paid"] == {"total": "0", "signature": None}
    assert "costs 0.01 OPG" in body["message"]
    first = await paid_question(world, PRICE)
    assert (await posted(url, first))[0] == 200
    status, body, _ = await posted(url, await question(world, 1))
    assert first.payment is not None
    assert body["paid"] == {"total": str(PRICE), "signature": "0x" + first.payment.signature.hex()}


async def test_the_same_question_by_the_same_voucher_is_charged_once(
    priced: tuple[World, str],
) -> None:
    world, url = priced
    asked = await paid_question(world, PRICE)
    together = await asyncio.gather(*(posted(url, asked) for _ in range(3)))
    given = [*together, await posted(url, asked)]
    answer = given[0][1]["data"]
    assert [(status, body["data"]) for status, body, _ in given] == [(200, answer)] * 4
    assert await _paid_total(world) == PRICE
    another = replace(asked, payment=payment(world, 2 * PRICE))
    status, body, _ = await posted(url, another)
    assert (status, body["data"]) == (200, answer)
    assert await _paid_total(world) == PRICE, "the same request in the same minute is bought once"
    await world.chain.travel_past(await world.chain.time() + 61)
    assert (await posted(url, asked))[1]["data"] == answer, "and later by its voucher"


async def test_two_at_once_are_both_paid_for(priced: tuple[World, str]) -> None:
    world, _ = priced
    found = await asyncio.gather(*(viewed(world, index, max_price=PRICE) for index in range(3)))
    assert len({one.request_id for one in found}) == 3
    assert 0 <= await _paid_total(world) - 3 * PRICE < 3 * LITTLE


async def test_free_models_stay_free_and_only_they_are_limited(still: World) -> None:
    world = still
    await world.client.deposit_credit(world.operator, OPG)
    async with gateway(world, views=f"{PRICED} {PATIENTS}", views_per_minute=2):
        found = [await viewed(world, index, max_price=PRICE) for index in range(4)]
        assert len({one.request_id for one in found}) == 4
        with pytest.raises(PaymentRequired, match=r"asks 0\.01 OPG") as refused:
            await viewed(world)
        assert "--max-price 0.01" in str(refused.value.hint)
        with pytest.raises(PaymentRequired, match=r"the limit is 0\.009 OPG"):
            await viewed(world, max_price=PRICE * 9 // 10)


# ---- refused


async def test_a_voucher_that_does_not_pay_is_refused_by_its_reason(
    priced: tuple[World, str],
) -> None:
    world, url = priced
    asked = await paid_question(world, 3 * PRICE)
    assert (await posted(url, asked))[0] == 200
    other = await question(world, 1)

    async def refused(found: Payment) -> tuple[int, str]:
        status, body, _ = await posted(url, replace(other, payment=found))
        if status == 402:
            assert body["paid"]["total"] == str(3 * PRICE)
        return status, body["reason"]

    for total, reason in (
        (3 * PRICE, "stale"),
        (PRICE, "stale"),
        (4 * PRICE - 1, "too_low"),
        (OPG + 1, "overdrawn"),
    ):
        assert await refused(payment(world, total)) == (402, reason), total
    for wrong in (
        payment(world, 4 * PRICE, signer=STRANGER),
        payment(world, 4 * PRICE, operator=STRANGER.address),
        payment(world, 4 * PRICE, signer=STRANGER, payer=STRANGER.address),
        replace(payment(world, 4 * PRICE), total=5 * PRICE),
        Payment(4 * PRICE, b""),
        payment(world, 2**200),
    ):
        assert await refused(wrong) == (400, "signature")
    assert await _paid_total(world) == 3 * PRICE
    await world.client.announce_credit_withdrawal(world.operator)
    beyond, last = payment(world, OPG + 1), payment(world, 4 * PRICE)

    async def seen() -> bool:
        """The chain is asked about one payer once a second."""
        return await refused(beyond) == (402, "withdrawing")

    await until(seen)
    assert await refused(last) == (402, "withdrawing")
    await world.client.deposit_credit(world.operator, 1)

    async def taken() -> bool:
        return (await posted(url, replace(other, payment=last)))[0] == 200

    await until(taken)


async def test_a_payment_that_cannot_be_read_is_the_callers_fault(
    priced: tuple[World, str],
) -> None:
    world, url = priced
    good = write_question(await paid_question(world, PRICE))
    status, body, _ = await _posted_bytes(url, good[:-64])
    assert status == 400
    assert "payment" in body["message"] or "cannot be read" in body["message"]


async def _posted_bytes(url: str, data: bytes) -> tuple[int, dict[str, Any], Any]:
    body = {"sender": "0x" + "11" * 20, "data": "0x" + data.hex()}
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        return response.status, await response.json(), response.headers


async def test_the_client_says_what_is_missing(still: World) -> None:
    world = still
    async with gateway(world, views=PRICED):
        with pytest.raises(InputError, match="short of this answer") as short:
            await viewed(world, max_price=PRICE)
        assert f"oracle credit deposit {world.operator}" in str(short.value.hint)
        with pytest.raises(InputError, match="pays for its view"):
            await viewed(world, max_price=PRICE, caller=STRANGER.address)


async def test_prices_need_a_contract_for_the_credit(world: World) -> None:
    without = replace(world.deployment, credit=None)
    path = world.settings.data_dir / "without.json"
    without.save(path)
    with pytest.raises(ConfigurationError, match="no credit for views"):
        async with world.node(views=PRICED, deployment=path):
            pass


# ---- gateways that cheat


async def test_a_gateway_cannot_overstate_what_is_owed(priced: tuple[World, str]) -> None:
    world, _ = priced
    await viewed(world, max_price=PRICE)
    signature = "0x" + payment(world, 5 * PRICE, signer=STRANGER).signature.hex()
    for paid, words in (
        ({"total": str(5 * PRICE), "signature": signature}, "never signed"),
        ({"total": str(5 * PRICE), "signature": None}, "as collected"),
    ):
        body = {"message": "pay", "reason": "unpaid", "price": str(PRICE), "paid": paid}
        async with serving(_always(402, body)) as url:
            await announce_gateways(world, url)
            with pytest.raises(ViewRefused, match=words):
                await viewed(world, max_price=PRICE)


async def test_a_gateway_that_takes_and_gives_nothing_gets_one_price(
    priced: tuple[World, str],
) -> None:
    world, _ = priced
    taken: list[Payment] = []

    def greedy(asked: ViewQuestion) -> web.Response:
        if asked.payment is not None:
            taken.append(asked.payment)
        last = taken[-1] if taken else None
        paid = {
            "total": str(last.total if last else 0),
            "signature": "0x" + last.signature.hex() if last else None,
        }
        body = {"message": "pay", "reason": "unpaid", "price": str(PRICE), "paid": paid}
        return web.json_response(body, status=402)

    async with serving(greedy) as url:
        await announce_gateways(world, url)
        with pytest.raises(ViewRefused, match="own voucher as owed"):
            await viewed(world, max_price=PRICE)
    assert len(taken) == 1
    assert taken[0].total < PRICE + LITTLE


async def test_two_calls_at_once_cannot_be_played_off_against_each_other(
    priced: tuple[World, str],
) -> None:
    """Each would be shown the other's voucher as owed, which it did not sign itself."""
    world, _ = priced
    taken: list[Payment] = []

    def greedy(asked: ViewQuestion) -> web.Response:
        if asked.payment is not None:
            taken.append(asked.payment)
        others = [one for one in taken if one != asked.payment]
        last = max(others, key=lambda one: one.total, default=None)
        paid = {
            "total": str(last.total if last else 0),
            "signature": "0x" + last.signature.hex() if last else None,
        }
        body = {"message": "pay", "reason": "unpaid", "price": str(PRICE), "paid": paid}
        return web.json_response(body, status=402)

    async with serving(greedy) as url:
        await announce_gateways(world, url)
        for given in await asyncio.gather(
            *(viewed(world, index, max_price=PRICE) for index in range(2)), return_exceptions=True
        ):
            assert isinstance(given, ViewRefused)
    assert max(one.total for one in taken) < 2 * PRICE + 2 * LITTLE


async def test_a_402_that_cannot_be_read_is_a_refusal(priced: tuple[World, str]) -> None:
    world, _ = priced
    for body in (
        {"message": "no"},
        {"message": "no", "price": 5, "paid": {"total": "0", "signature": None}},
        {"message": "no", "price": "1", "paid": {"total": "-1", "signature": None}},
        {"message": "no", "price": "1", "paid": {"total": "0", "signature": "zz"}},
        {"message": "no", "price": "9" * 40, "paid": {"total": "0", "signature": None}},
    ):
        async with serving(_always(402, body)) as url:
            await announce_gateways(world, url)
            with pytest.raises(ViewRefused, match="HTTP 402") as refused:
                await viewed(world, max_price=PRICE)
            assert not isinstance(refused.value, PaymentRequired)


def _always(status: int, body: dict[str, Any]) -> Callable[[ViewQuestion], web.Response]:
    return lambda _: web.json_response(body, status=status)


# ---- seen


async def test_figures_tell_what_was_given_refused_and_is_owed(still: World) -> None:
    world = still
    await world.client.deposit_credit(world.operator, OPG)
    port = free_port()
    url = f"http://127.0.0.1:{port}/views"
    views = f"{PRICED} {PATIENTS}"
    async with gateway(world, views=views, serve_port=port, views_collect_at="1000") as node:
        patients = await question(world, model=world.models[PATIENTS])
        inputs = sample(PATIENTS).held_out_samples()[0][:1].astype(np.float32)
        for asked, expected in (
            (await paid_question(world, 2 * PRICE), 200),
            (replace(patients, input=inputs.tobytes()), 200),
            (patients, 400),
            (await question(world, 1), 402),
            (replace(await question(world, 1), payment=Payment(1, b"")), 400),
            (replace(patients, operator=STRANGER.address), 404),
        ):
            assert (await posted(url, asked))[0] == expected
        found = await scrape(node.private)
    answered, refused = "oracle_views_answered_total", "oracle_views_refused_total"
    assert found.value(answered, price="paid") == found.value(answered, price="free") == 1
    counts = {one.labels["reason"]: one.value for one in found.families[refused].samples}
    assert counts == {
        "limit": 0, "payment": 2, "not now": 0, "not here": 1, "question": 1, "failure": 0,
    }  # fmt: skip
    assert found.value("oracle_view_credit_owed_opg") == 0.02
    assert found.value("oracle_view_credit_collected_opg") == 0


# ---- killed


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("a paid view is signed and not saved", marks=thorough),
        "a paid view is saved and not given",
    ],
)
async def test_a_node_killed_before_the_reply_has_charged_once_for_one_answer(
    still: World, point: str
) -> None:
    world = still
    await world.client.deposit_credit(world.operator, OPG)
    port = free_port()
    url = f"http://127.0.0.1:{port}/views"
    await announce_gateways(world, url)
    doomed = await world.process(crash=Crash(point), serve_port=port, views=PRICED)
    asked = await paid_question(world, PRICE)

    async def killed() -> bool:
        with contextlib.suppress(OSError, Exception):
            await posted(url, asked)
        return not doomed.running

    await until(killed)
    assert await doomed.exit_code() == -signal.SIGKILL
    saved = point == "a paid view is saved and not given"
    assert await _paid_total(world) == (PRICE if saved else 0), "with the answer, or not at all"
    async with gateway(world, views=PRICED, serve_port=port):
        status, body, _ = await posted(url, asked)
        assert status == 200
        assert (await posted(url, asked))[1] == body
        assert await _paid_total(world) == PRICE
        row = await world.storage.views.bought(CALLER.address, PRICE)
        assert row is not None
        if saved:
            status, later, _ = await posted(url, await paid_question(world, PRICE, 1))
            assert (status, later["reason"]) == (402, "stale")
    assert not await collections(world)
