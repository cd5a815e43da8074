"""Answers in a view call, on a real chain by a real node: given, refused, limited."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.utils import async_exception_handling

from oracle.chain.views_contract import write_response
from oracle.core.request import FIRST_SIGNED_NONCE, RequestState, data_hash
from oracle.core.types import Address, Tier
from oracle.core.view_receipt import SavedView, ViewReceipt
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import ConfigurationError, ContractReverted, InputError, ViewRefused
from oracle.service.view_limits import Buckets
from tests.support.viewing import (
    CALLER,
    Lie,
    announce_gateways,
    checked,
    gateway,
    posted,
    question,
    serving,
    viewed,
)
from tests.support.watching import (
    free_port,
)
from tests.support.world import DIGITS, OPG, PATIENTS, World

pytestmark = pytest.mark.timeout(180)

ABI = Path(__file__).parents[2] / "abi" / "AnswerViews.json"
SCRIPTS = Path(__file__).parents[1] / "support" / "js"
STRANGER = Address("0x00000000000000000000000000000000000A11cE")


@pytest.fixture
async def still(world: World) -> World:
    """A world whose clock is ahead of the wall's, so that no minute ends but by a block."""
    await world.chain.travel_past(await world.chain.time() + 600)
    return world


def _abi() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(ABI.read_text())["abi"]
    return entries


# ---- given


async def test_a_library_that_speaks_ccip_read_gets_the_digit(
    still: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = still

    async def anywhere(_url: str) -> None:
        """web3 asks no private address; the gateway of a test has no other."""

    monkeypatch.setattr(async_exception_handling, "async_validate_ccip_url_host", anywhere)
    asked = await question(world)
    expected = {}
    async with gateway(world, serve_port=(port := free_port())):
        for template in ("/views", "/views/{sender}/{data}", "/views/{sender}/{data}.json"):
            await announce_gateways(world, f"http://127.0.0.1:{port}{template}")
            provider = AsyncHTTPProvider(world.settings.rpc_url)
            provider.ccip_read_allow_http = True
            contract = AsyncWeb3(provider).eth.contract(
                AsyncWeb3.to_checksum_address(world.client.views.address), abi=_abi()
            )
            call = contract.functions.answerOf(asked.operator, asked.model_id, asked.input)
            result, request_id, tier, epsilon, _ = await call.call(
                {"from": AsyncWeb3.to_checksum_address(CALLER.address)}
            )
            await provider.disconnect()
            expected[template] = (result, request_id)
            assert Tier(tier) is Tier.ROUNDED
            assert epsilon == await world.contracts.registry.view("epsilonOf", asked.model_id)
        found = await viewed(world)
    assert set(expected.values()) == {(found.receipt.result, found.request_id)}, "the same receipt"
    assert await world.state(found.request_id) is RequestState.NONE


@pytest.mark.parametrize("library", ["ethers", "viem"])
async def test_a_javascript_library_gets_the_digit(still: World, library: str) -> None:
    """They send the callback without `from`."""
    world = still
    asked = await question(world)
    async with gateway(world, serve_port=(port := free_port())):
        await announce_gateways(world, f"http://127.0.0.1:{port}/views")
        ran = await asyncio.create_subprocess_exec(
            "node",
            str(SCRIPTS / f"view_with_{library}.mjs"),
            *(world.settings.rpc_url, world.client.views.address, str(ABI)),
            *(asked.operator, f"0x{asked.model_id.hex()}", f"0x{asked.input.hex()}"),
            CALLER.address,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, trouble = await ran.communicate()
        assert ran.returncode == 0, trouble.decode()
        found = await viewed(world)
    assert json.loads(out) == {
        "result": f"0x{found.receipt.result.hex()}",
        "requestId": f"0x{found.request_id.hex()}",
    }


async def test_the_client_gets_outputs_and_a_receipt_that_stands_alone(world: World) -> None:
    async with gateway(world, poll_seconds=0.05):
        found = await viewed(world)
        made = await world.ask()
        (job,) = await world.until_settled(made.id)
    assert found.receipt.result == job.result, "what a request would have been answered"
    assert found.operator == world.operator
    assert found.error_bar is not None
    assert found.error_bar < 1
    read = SavedView.from_json(found.receipt.to_json())
    assert read == found.receipt
    receipt = read.receipt
    assert receipt.request.requester == CALLER.address
    assert receipt.request.nonce >= FIRST_SIGNED_NONCE
    assert receipt.request.fee == OPG
    signer = signer_of(Person.SIGNER).address
    receipt.receipt(world.deployment.domain, read.result, found.tier, signer).verify()
    altered = json.loads(found.receipt.to_json())
    altered["request"]["terms"]["fee"] = 0
    with pytest.raises(InputError, match="other terms than its id"):
        SavedView.from_json(json.dumps(altered))


async def test_the_same_question_has_the_same_answer_signed_once(still: World) -> None:
    async with gateway(still):
        first, second = await asyncio.gather(viewed(still), viewed(still))
        third = await viewed(still)
        other = await viewed(still, 1)
        stranger = await viewed(still, caller=STRANGER)
    assert first.receipt == second.receipt == third.receipt
    ids = {one.request_id for one in (first, other, stranger)}
    assert len(ids) == 3
    rows = await still.storage.views.views_of(list(ids))
    assert {row.signer for row in rows.values()} == {signer_of(Person.SIGNER).address}
    assert set(rows) == ids


# ---- refused by the contract


async def _refused(world: World, lie: Lie, error: str) -> None:
    with pytest.raises(ContractReverted) as refused:
        await checked(world, await question(world), lie)
    assert refused.value.name == error, refused.value


async def test_lying_gateways_are_refused_each_by_its_error(world: World) -> None:
    signer, domain = signer_of(Person.SIGNER), world.deployment.domain

    def signed(receipt: ViewReceipt, result: bytes) -> ViewReceipt:
        """As an operator signs that lies about anything but the numbers."""
        acceptance = receipt.acceptance(domain).digest(domain)
        answer = receipt.answer(domain, result).digest(domain)
        return replace(
            receipt,
            accept_signature=signer.sign_digest(acceptance),
            answer_signature=signer.sign_digest(answer),
        )

    def about(**changes: Any) -> Lie:
        def lie(result: bytes, receipt: ViewReceipt) -> tuple[bytes, ViewReceipt]:
            request = replace(receipt.request, **changes)
            return result, signed(replace(receipt, request=request), result)

        return lie

    async with gateway(world):
        now = await world.chain.time()
        await _refused(world, lambda r, k: (bytes(len(r)), k), "AnswerNotSigned")
        await _refused(world, lambda r, k: (r, replace(k, answer_signature=b"")), "AnswerNotSigned")
        await _refused(world, lambda r, k: (r, replace(k, accept_signature=b"")), "AcceptNotSigned")
        await _refused(world, about(model_id=world.models[PATIENTS]), "WrongModel")
        await _refused(world, about(requester=STRANGER), "WrongCaller")
        await _refused(world, about(input_hash=data_hash(b"another")), "WrongInput")
        await _refused(world, about(operator=STRANGER), "WrongOperator")
        await _refused(world, about(deadline=now + 30), "TimeOutOfBounds")
        await _refused(world, about(fee=2 * OPG, bond=40 * OPG), "FeeAboveOffer")
        await _refused(world, about(bond=OPG), "BondTooLow")
        await _refused(world, about(bond=200_000 * OPG), "StakeNotFree")
        await _refused(world, about(consumer=STRANGER), "TermsNotPlain")
        await _refused(world, about(window=0), "WindowOutOfBounds")


async def test_a_gateway_cannot_pass_another_callers_answer_on(world: World) -> None:
    async with gateway(world):
        for_stranger = await viewed(world, caller=STRANGER)
        passed_on = (for_stranger.receipt.result, for_stranger.receipt.receipt)
        await _refused(world, lambda *_: passed_on, "WrongCaller")
        data = write_response(*passed_on).hex()
        async with serving(lambda _: web.json_response({"data": "0x" + data})) as url:
            await announce_gateways(world, url)
            with pytest.raises(ContractReverted, match="WrongCaller"):
                await viewed(world)


async def test_gateways_that_fail_are_passed_over_and_those_that_refuse_are_not(
    world: World,
) -> None:
    async with gateway(world, serve_port=(port := free_port())):
        good = f"http://127.0.0.1:{port}/views"
        dead = f"http://127.0.0.1:{free_port()}/views"
        async with (
            serving(lambda _: web.json_response({"message": "ill"}, status=500)) as ill,
            serving(lambda _: web.json_response({"message": "no"}, status=403)) as unwilling,
            serving(lambda _: web.json_response([1])) as strange,
        ):
            await announce_gateways(world, dead, ill, strange, good)
            assert (await viewed(world)).operator == world.operator
            await announce_gateways(world, unwilling, good)
            with pytest.raises(ViewRefused, match=r"refuses: no \(HTTP 403\)"):
                await viewed(world)
            await announce_gateways(world, dead, ill, strange)
            with pytest.raises(ViewRefused, match="ill"):
                await viewed(world)
    await announce_gateways(world)
    with pytest.raises(ContractReverted, match="NoGateways"):
        await viewed(world, operator=world.operator)


# ---- refused by the gateway


async def test_a_gateway_says_why_it_refuses(world: World) -> None:
    async with gateway(world, serve_port=(port := free_port())) as node:
        url = f"http://127.0.0.1:{port}/views"
        status, body, headers = await posted(url, await question(world))
        assert status == 200
        assert body["data"].startswith("0x")
        assert headers["Access-Control-Allow-Origin"] == "*"
        good = await question(world)
        for wrong, expected, words in (
            (replace(good, operator=STRANGER), 404, "answers for"),
            (replace(good, model_id=world.models[PATIENTS]), 404, "not answered in views"),
            (replace(good, input=good.input[:-1]), 400, "bytes"),
            (replace(good, caller=Address("0x" + "00" * 20)), 400, "zero address"),
        ):
            status, body, headers = await posted(url, wrong)
            assert (status, words in body["message"]) == (expected, True), body
            assert headers["Access-Control-Allow-Origin"] == "*"
        node.drain()
        status, body, _ = await posted(url, await question(world, 2))
        assert (status, "ending" in body["message"]) == (503, True), body


async def test_free_views_are_limited_by_client_and_by_caller(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Buckets.__init__

    def at_one_moment(self: Buckets, what: str, rate: int, _now: object, **more: Any) -> None:
        """One more is free after twenty seconds, which a busy machine may take for all of these."""
        made(self, what, rate, lambda: 0.0, **more)

    monkeypatch.setattr(Buckets, "__init__", at_one_moment)
    port = free_port()
    async with gateway(world, serve_port=port, views_per_minute=3, views_proxied=True):
        url = f"http://127.0.0.1:{port}/views"
        good = await question(world)

        async def status(client: str, caller: str = CALLER.address) -> int:
            asked = replace(good, caller=Address(caller))
            return (await posted(url, asked, **{"X-Forwarded-For": f"6.6.6.6, {client}"}))[0]

        assert [await status("9.0.0.1") for _ in range(4)] == [200, 200, 200, 429]
        assert await status("9.0.0.1", STRANGER) == 429, "the client has spent its share"
        assert await status("9.0.0.2") == 429, "so has the caller"
        assert await status("9.0.0.2", STRANGER) == 200
        code, body, headers = await posted(url, good, **{"X-Forwarded-For": "9.0.0.3"})
        assert (code, body["message"]) == (429, "3 views a minute are free for each caller")
        assert int(headers["Retry-After"]) >= 1


async def test_settings_that_leave_no_time_to_post_are_refused(world: World) -> None:
    for seconds in (179, 3_541):  # of 120 and a margin of 60, and of the longest time less a minute
        with pytest.raises(ConfigurationError, match="views_seconds"):
            async with world.node(views=DIGITS, views_seconds=seconds):
                pass


async def test_views_are_off_unless_settings_name_models(world: World) -> None:
    port = free_port()
    await announce_gateways(world, f"http://127.0.0.1:{port}/views")
    async with world.node(serve_port=port):
        with pytest.raises(ViewRefused, match="HTTP 404"):
            await viewed(world)
