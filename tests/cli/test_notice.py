"""`oracle notice`, and what `oracle show` says of a notice that failed and of an unusable input."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np

from oracle.bootstrap import connection
from oracle.chain.oracle_contract import RequestParams
from oracle.core.types import ZERO_ADDRESS, Address, opg
from oracle.settings_file import load
from tests.cli.conftest import Oracle, command, travel

CONSUMER = Address("0x00000000000000000000000000000000000c0de7")
LISTENS = "0x00"  # STOP
REVERTS = "0x60006000fd"  # PUSH 0, PUSH 0, REVERT
STORES = "0x" + "".join(f"600160{slot:02x}55" for slot in range(4)) + "00"
"""Writes four words of storage, which takes more gas than is promised here."""


def asked(devnet: Oracle, pixels: Any, *, operator: Address = ZERO_ADDRESS, **terms: Any) -> str:
    """The id of a request for whose input nobody looked whether the model can take it."""

    async def ask() -> str:
        async with connection.client(load(devnet.config), "requester") as client:
            model = await client.model("digits-mlp")
            params = RequestParams(
                consumer=terms.get("consumer", ZERO_ADDRESS),
                model_id=model.id,
                operator=operator,
                fee=opg("1"),
                bond=opg("20"),
                value_at_risk=0,
                deadline=await client.rpc.next_timestamp() + 60,
                window=model.terms.challenge_window,
                callback_gas_limit=terms.get("gas", 0),
                eager=False,
            )
            made = await client.send_request(params, np.float32(pixels).tobytes())
            return "0x" + made.id.hex()

    return asyncio.run(ask())


def unheard(devnet: Oracle, code: str) -> str:
    """A request that expired, at a consumer whose hook failed."""
    command(devnet, "anvil_setCode", CONSUMER, code)
    request = asked(devnet, np.zeros(64), consumer=CONSUMER, gas=60_000)
    travel(devnet, 90)
    devnet.ok("reclaim", request)
    return request


def test_a_notice_is_delivered_once_the_contract_hears_it(devnet: Oracle) -> None:
    request = unheard(devnet, REVERTS)
    assert "its contract refuses" in devnet.json("show", request)["notice_failed"]
    assert "would fail again: its contract refuses" in devnet.fails(5, "notice", request)
    command(devnet, "anvil_setCode", CONSUMER, "0x")
    assert f"there is no contract at {CONSUMER}" in devnet.fails(5, "notice", request)
    command(devnet, "anvil_setCode", CONSUMER, LISTENS)
    assert "it would be heard now" in devnet.ok("show", request)
    told = devnet.json("notice", request)
    assert (told["request"], told["consumer"]) == (request, CONSUMER)
    assert (told["notice"], told["delivered"]) == ("voided", True)
    assert "has been told already" in devnet.fails(3, "notice", request)
    shown = devnet.json("show", request)
    assert (shown["notice"], "notice_failed" in shown) == ("delivered", False)


def test_a_notice_that_needs_more_gas_than_was_promised_is_not_tried_in_vain(
    devnet: Oracle,
) -> None:
    request = unheard(devnet, STORES)
    said = devnet.fails(5, "notice", request)
    assert "gas, and the request promised 60,000" in said
    assert "--all-gas" in said
    assert "the request promised 60,000" in devnet.ok("show", request)
    # It is no contract of ours: it takes the call, and does not have the oracle tell it.
    told = devnet.run("notice", request, "--all-gas", "--json")
    assert (told.exit_code, json.loads(told.out)["delivered"]) == (5, False)
    assert devnet.json("show", request)["notice"] == "failed"


def test_where_no_notice_is_open_it_is_said_why(devnet: Oracle) -> None:
    alone = asked(devnet, np.zeros(64))
    assert "names no consumer" in devnet.fails(3, "notice", alone)
    waiting = asked(devnet, np.zeros(64), consumer=CONSUMER, gas=60_000)
    assert "no notice of it has failed: the request is requested" in devnet.fails(
        3, "notice", waiting
    )
    assert "is not a request id" in devnet.fails(3, "notice", "0x12")
    assert "has no request" in devnet.fails(7, "notice", "0x" + "0f" * 32)


def test_an_input_that_no_operator_will_take_is_named(devnet: Oracle) -> None:
    pixels = np.zeros(64)
    pixels[1] = np.nan
    request = asked(devnet, pixels)
    assert devnet.json("show", request)["unusable_input"] == "input 'pixels' is nan at [0, 1]"
    text = devnet.ok("show", request)
    assert "no operator will take this input (oracle cancel gives the fee back)" in text
    devnet.ok("cancel", request)
    facts = json.loads((Path(devnet.data_dir) / "up.json").read_text())
    bound = asked(devnet, pixels, operator=facts["operator"])
    assert "the answer will be empty" in devnet.ok("show", bound)
    fine = asked(devnet, np.zeros(64))
    assert "unusable_input" not in devnet.json("show", fine)
