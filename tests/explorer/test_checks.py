"""Verifications on demand: a few at once, refused in words, ended in time, forgotten in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from oracle.errors import NotFound
from oracle.explorer.checks import Check, CheckLimits, CheckRefused, Checks, CheckState
from tests.support.world import until

REQUEST = {"step": "request", "outcome": "passed", "findings": []}
VERDICT = {"verdict": "verified", "text": "all is well"}


class Runner:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun = 0
        self.ended = 0

    async def __call__(self, request_id: bytes) -> AsyncIterator[Mapping[str, Any]]:
        self.begun += 1
        try:
            yield REQUEST
            await self.gate.wait()
            if request_id == b"lost":
                raise NotFound("it is not there")
            if request_id == b"odd":
                raise ZeroDivisionError
            if request_id != b"mute":
                yield VERDICT
        finally:
            self.ended += 1


async def over(check: Check) -> bool:
    async def ended() -> bool:
        return check.over

    return await until(ended)


async def test_steps_appear_and_then_the_verdict() -> None:
    runner = Runner()
    checks = Checks(runner)
    check = checks.begin(b"one", "me")
    assert checks.begin(b"one", "you") is check, "whoever asks as well watches the same"
    await check.change(check.version, 5)
    while not check.steps:
        await check.change(check.version, 5)
    assert check.state is CheckState.RUNNING
    assert not check.over
    runner.gate.set()
    await over(check)
    assert check.good
    assert check.facts() == {
        "state": "done",
        "verdict": "verified",
        "text": "all is well",
        "steps": [REQUEST],
    }
    assert checks.begin(b"one", "me") is check, "it is fresh"


@pytest.mark.parametrize(
    ("which", "said"),
    [
        (b"lost", "it is not there"),
        (b"odd", "a defect of this server"),
        (b"mute", "without a verdict"),
    ],
)
async def test_a_failure_is_said(which: bytes, said: str) -> None:
    runner = Runner()
    runner.gate.set()
    check = Checks(runner).begin(which, "me")
    await over(check)
    assert check.state is CheckState.FAILED
    assert said in check.text
    assert not check.good


async def test_too_many_are_refused() -> None:
    runner = Runner()
    checks = Checks(runner, CheckLimits(at_once=1, waiting=1, per_minute=2))
    first, second = checks.begin(b"one", "me"), checks.begin(b"two", "me")
    with pytest.raises(CheckRefused, match="many verifications are under way"):
        checks.begin(b"three", "you")
    await first.change(0, 5)
    assert second.state is CheckState.WAITING
    assert runner.begun <= 1
    runner.gate.set()
    await over(second)
    with pytest.raises(CheckRefused, match="you have begun many") as refused:
        checks.begin(b"three", "me")
    assert 0 < refused.value.seconds <= 60
    assert await over(checks.begin(b"three", "you"))


async def test_what_takes_too_long_is_ended() -> None:
    runner = Runner()
    check = Checks(runner, CheckLimits(seconds=0.05)).begin(b"one", "me")
    await over(check)
    assert "given up" in check.text
    assert runner.ended == 1


async def test_the_oldest_are_forgotten_and_closing_ends_what_runs() -> None:
    runner = Runner()
    runner.gate.set()
    checks = Checks(runner, CheckLimits(kept=2, per_minute=100))
    for number in range(4):
        await over(checks.begin(bytes([number]), "me"))
    kept = [number for number in range(4) if checks.find(bytes([number]))]
    assert kept == [2, 3]
    runner.gate.clear()
    running = checks.begin(b"one", "me")
    await running.change(0, 5)
    await checks.close()
    assert running.over
