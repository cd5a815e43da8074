"""A key that cannot pay is named once, with what to do, and again when it can pay no more."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from structlog.testing import capture_logs

from oracle.court.message import MAX_RESULT_BYTES
from oracle.service.attempts import with_headroom
from oracle.watcher.purse import CONVICTION_GAS, Purse
from tests.service.fakes import STRANGER, Clock, Gateway

ROOT = Path(__file__).resolve().parents[2]
COIN = "too little coin for a conviction"
OPG = "too little OPG for a demand"
DEPOSIT = 10**18


class Scene:
    def __init__(self, *, demands: bool = True) -> None:
        self.gateway, self.clock = Gateway(), Clock()
        self.coin = self.opg = self.looks = 0
        self.gateway.balance = self.balance  # type: ignore[method-assign]
        token = SimpleNamespace(balance_of=self.balance_of)
        court = SimpleNamespace(limits=self.limits)
        self.purse = Purse(
            self.gateway,
            cast("Any", token),
            cast("Any", court),
            STRANGER,
            self.clock,
            demands=demands,
        )

    async def balance(self, _: str) -> int:
        self.looks += 1
        return self.coin

    async def balance_of(self, _: str) -> int:
        return self.opg

    async def limits(self) -> Any:
        return SimpleNamespace(base_deposit=DEPOSIT)

    async def look(self, **how: bool) -> list[Any]:
        with capture_logs() as logs:
            await self.purse.look(**how)
        return logs


def test_what_is_wanted_pays_for_the_dearest_conviction_that_is_measured() -> None:
    measured = json.loads((ROOT / "snapshots" / "dispute.json").read_text())
    dearest = max(
        int(gas) + int(measured[f"{name.removesuffix(', proveFraud')}, announce"])
        for name, gas in measured.items()
        if name.endswith(", proveFraud")
    )
    assert with_headroom(dearest) < CONVICTION_GAS


def test_what_is_wanted_pays_for_the_bytes_of_the_longest_result() -> None:
    floor = 40  # gas a byte that is not zero, EIP-7623
    assert with_headroom(21_000 + floor * (MAX_RESULT_BYTES + 4_096)) < CONVICTION_GAS


async def test_what_lacks_is_warned_of_with_the_keys_address_and_how_to_fund_it() -> None:
    scene = Scene()
    scene.coin, scene.opg = CONVICTION_GAS * scene.gateway.asked.max_fee - 1, DEPOSIT - 1
    coin, opg = await scene.look()
    assert (coin["event"], opg["event"]) == (COIN, OPG)
    for one in (coin, opg):
        assert one["log_level"] == "warning"
        assert one["key"] == STRANGER
        assert f"oracle devnet fund {STRANGER}" in one["next"]
    assert await scene.look(now=True) == [], "it was said"


async def test_enough_for_the_dearest_conviction_is_enough() -> None:
    scene = Scene()
    scene.coin, scene.opg = CONVICTION_GAS * scene.gateway.asked.max_fee, DEPOSIT
    assert await scene.look() == []


async def test_a_watcher_that_demands_nothing_needs_no_tokens() -> None:
    scene = Scene(demands=False)
    scene.coin = 10**18
    assert await scene.look() == []


async def test_it_looks_once_a_minute_and_at_once_before_a_conviction() -> None:
    scene = Scene(demands=False)
    scene.coin = 10**18
    for _ in range(5):
        await scene.look()
    assert scene.looks == 1
    await scene.look(now=True)
    assert scene.looks == 2
    scene.coin = 0
    scene.clock.seconds += 60
    (told,) = await scene.look()
    assert told["event"] == COIN
    scene.coin = 10**18
    (told,) = await scene.look(now=True)
    assert (told["event"], told["log_level"]) == ("coin enough for a conviction", "info")
    scene.coin = 0
    assert [one["event"] for one in await scene.look(now=True)] == [COIN]
