"""The explorer over a real node on a real chain: what it says is what happened."""

from __future__ import annotations

import re
from dataclasses import replace

import aiohttp
import pytest
from eth_utils.crypto import keccak

from oracle.bootstrap.connection import asks_private
from oracle.devnet.accounts import Person
from oracle.errors import StorageError
from oracle.explorer.checks import CheckLimits
from tests.explorer.scene import checked, convicted, exploring, indexed
from tests.support.failures import thorough
from tests.support.watching import announce_endpoint, asked, free_port
from tests.support.world import DIGITS, OPG, World, until

pytestmark = pytest.mark.anvil

HTML = {"Accept": "text/html"}


async def text_of(session: aiohttp.ClientSession, path: str, status: int = 200) -> str:
    async with session.get(path, headers=HTML) as response:
        assert response.status == status, path
        return await response.text()


async def test_an_answer_is_looked_up_and_verified(court: World) -> None:
    port = free_port()
    await announce_endpoint(court, f"http://127.0.0.1:{port}")
    async with exploring(court) as opened, court.node(serve_port=port):
        made = await asked(court, window=2)
        facts = await indexed(opened, made.id, "settled")
        assert facts["model"]["name"] == DIGITS
        assert facts["operator"] == court.operator
        assert facts["fee"] == facts["earned"] == str(OPG)
        assert facts["final"] is True
        answer = await court.client.result(made.id)
        assert facts["result"]["tensors"]["label"] == answer.outputs["label"].tolist()
        (decision,) = facts["decisions"]
        assert decision["label"] == answer.outputs["label"][0]
        assert decision["clear"] is True
        assert [one["event"] for one in facts["events"]] == [
            *("requested", "accepted", "answered", "settled")
        ]
        found = await checked(opened, made.id)
        assert found["verdict"] == "verified", found
        assert [one["step"] for one in found["steps"]] == [
            *("request", "receipt", "binding", "model", "trace", "run", "settlement")
        ]
        async with aiohttp.ClientSession(opened.address) as session:
            page = await text_of(session, f"/requests/0x{made.id.hex()}")
            assert "the decision is clear" in page
            assert "verified: everything that there is to check holds" in page
            picture = re.search(r'src="(/requests/[^"]+\.png)"', page)
            assert picture is not None
            async with session.get(picture[1]) as response:
                assert response.content_type == "image/png"
                assert (await response.read()).startswith(b"\x89PNG")
            for path in ("/", "/requests", "/models", "/operators", "/disputes"):
                assert "<script>" not in await text_of(session, path)
            assert DIGITS in await text_of(session, "/search?q=digits")
            for model in ("digits-mlp", "0x" + court.models[DIGITS].hex()):
                listed = await text_of(session, f"/requests?model={model}&state=settled")
                assert made.id.hex() in listed
            shown = await text_of(session, f"/operators/{court.operator}")
            assert "99,980" not in shown
            assert f"http://127.0.0.1:{port}" in shown


@thorough
async def test_a_conviction_is_explained_number_by_number(court: World) -> None:
    request_id = await convicted(court)
    async with exploring(court) as opened:
        facts = await indexed(opened, request_id, "slashed")
        assert facts["dispute"]["state"] == "convicted"
        assert facts["dispute"]["how"] == "proof"
        assert facts["slashed"] == facts["bond"] == str(20 * OPG)
        async with aiohttp.ClientSession(opened.address) as session:
            page = await text_of(session, f"/requests/0x{request_id.hex()}")
            for part in (
                "a sum of products of 64 terms",
                "times the bound apart",
                "farther from the sum than any honest run",
                "more terms" if "more terms" in page else "smaller terms together",
                "<strong>Void.</strong>",
            ):
                assert part in page
            assert "the decision is clear" not in page
            found = re.search(r"The operator signed <strong class=\"bad\">(-?[\d.]+)", page)
            exact = re.search(r"that number is <strong class=\"good\">([−\d.]+)", page)
            assert found is not None
            assert exact is not None
            # The lie turned the number round: the same, with the other sign.
            told = float(exact[1].replace("−", "-"))
            assert float(found[1]) == pytest.approx(-told, rel=1e-4)
            disputes = await text_of(session, "/disputes")
            assert request_id.hex() in disputes
        (listed,) = (await _json(opened.address, "/api/disputes"))["requests"]
        assert listed["id"] == "0x" + request_id.hex()
        operators = (await _json(opened.address, "/api/operators"))["operators"]
        assert operators[0]["requests"]["convicted"] == 1
        assert operators[0]["slashed"] == str(20 * OPG)


async def test_a_stranger_s_endpoint_on_this_machine_is_not_asked(court: World) -> None:
    port = free_port()
    await announce_endpoint(court, f"http://127.0.0.1:{port}")
    assert asks_private(court.settings)
    async with court.node(serve_port=port):
        made = await asked(court)
        async with exploring(court, private_endpoints=False) as opened:
            await indexed(opened, made.id, "answered", "settled")
            found = await checked(opened, made.id)
    trace = next(one for one in found["steps"] if one["step"] == "trace")
    said = " ".join(one["text"] for one in trace["findings"])
    assert "127.0.0.1 is not a public address" in said
    # What was signed is found by a run of one's own all the same.
    assert found["verdict"] == "verified"


async def test_what_strangers_write_is_text(court: World) -> None:
    known = await court.contracts.registry.model(court.models[DIGITS])
    owner, registry = court.chain.sender(Person.OWNER), court.contracts.registry
    name = "<script>alert(1)</script>\u202egpj.exe" + "x" * 3_000
    for number, schema in ((7, known.schema.to_json()), (8, "[" * 5_000)):
        terms = replace(known.terms, min_bond=number)
        if number == 8:
            terms = replace(terms, schema_hash=keccak(text=schema))
        calldata = registry.abi.functions["register"].encode(
            terms.as_tuple(), name, schema, "javascript:alert(1)"
        )
        await owner.send(registry.address, calldata)
    staking = court.contracts.staking
    endpoint = staking.set_endpoint_data("http://user:pass@10.0.0.1/<b>")
    await owner.send(staking.address, endpoint)
    made = await court.ask_bytes(b"\xff" * 777)
    async with exploring(court) as opened:
        await indexed(opened, made.id, "accepted")
        async with aiohttp.ClientSession(opened.address) as session:
            models = (await _json(opened.address, "/api/models"))["models"][:2]
            assert {len(one["name"]) for one in models} == {200}
            assert [one["schema"] for one in models].count(None) == 1
            for path in (
                "/models",
                *(f"/models/{one['id']}" for one in models),
                f"/operators/{court.operator}",
                f"/requests/0x{made.id.hex()}",
                "/search?q=%3Cscript%3E",
            ):
                page = await text_of(session, path)
                assert "<script>alert" not in page
                assert "\u202e" not in page
                assert 'href="javascript' not in page
                assert "<b>" not in page
            page = await text_of(session, f"/requests/0x{made.id.hex()}")
            assert "the inputs are 777 bytes" in page
            assert "ffffffff" in page


async def test_questions_that_make_no_sense_are_refused_in_words(court: World) -> None:
    made = await court.ask()
    shown = "0x" + made.id.hex()
    async with exploring(court) as opened:
        await indexed(opened, made.id, "accepted")
        async with aiohttp.ClientSession(opened.address) as session:
            for path, status in (
                ("/requests?state=lost", 400),
                ("/requests?before=x", 400),
                ("/requests?limit=9999", 400),
                ("/requests?operator=me", 400),
                ("/operators?before=5-0x12", 400),
                ("/requests/0x12", 404),
                ("/requests/0x" + "0" * 64, 404),
                ("/models/0x" + "0" * 64, 404),
                ("/operators/0x" + "0" * 40, 404),
                (f"/requests/{shown}/input/9/0.png", 404),
                (f"/requests/{shown}/input/0/7.png", 404),
                ("/nothing", 404),
            ):
                async with session.get(path) as response:
                    assert response.status == status, path
                    assert (await response.json())["error"]
                    assert response.headers["Content-Security-Policy"].startswith("default-src")
            async with session.get("/requests?model=nobody") as response:
                assert "there is no model" in await response.text()
            theirs = {"Sec-Fetch-Site": "cross-site"}
            async with session.post(f"/requests/{shown}/checks", headers=theirs) as response:
                assert response.status == 403
            async with session.post("/search", data=b"x" * 10_000) as response:
                assert response.status in (405, 413)


async def test_nobody_verifies_without_end(court: World) -> None:
    made = [await court.ask() for _ in range(2)]
    limits = CheckLimits(per_minute=1, seconds=0.2)
    async with exploring(court, check_limits=limits) as opened:
        for one in made:
            await indexed(opened, one.id, "accepted")
        found = await checked(opened, made[0].id)
        assert found["state"] == "failed"
        assert "not finished within 0 s" in found["text"]
        async with aiohttp.ClientSession(opened.address) as session:
            path = f"/api/requests/0x{made[1].id.hex()}/checks"
            async with session.post(path) as response:
                assert response.status == 429
                assert int(response.headers["Retry-After"]) > 0


async def test_one_index_has_one_explorer_and_is_taken_up_again(court: World) -> None:
    made = await court.ask()
    async with exploring(court) as first:
        await indexed(first, made.id, "accepted")
        with pytest.raises(StorageError, match="an explorer of this deployment runs"):
            async with exploring(court):
                pass
    async with exploring(court) as second:
        found = await second.lookup.request(made.id)
        assert found is not None, "as it was left, before anything is read again"
        more = await court.ask()

        async def seen() -> bool:
            return await second.lookup.request(more.id) is not None

        await until(seen)


async def _json(address: str, path: str) -> dict:  # type: ignore[type-arg]
    async with aiohttp.ClientSession(address) as session, session.get(path) as response:
        assert response.status == 200
        found: dict = await response.json()  # type: ignore[type-arg]
        return found
