"""The budget of calls: never exceeded by what can wait, never in the way of what cannot."""

from __future__ import annotations

import asyncio
import time

import pytest

from oracle.chain.call_budget import CallBudget, CallCount
from oracle.chain.rpc import Rpc, RpcPolicy, RpcRefusal
from tests.support.anvil import Chain
from tests.support.fault_proxy import fault_proxy


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that sleeping moves on."""
    now = [1_000.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return now


@pytest.mark.parametrize("per_minute", [1, 5, 6, 60, 600])
async def test_no_minute_has_more_calls_than_the_budget(
    clock: list[float], per_minute: int
) -> None:
    budget = CallBudget(per_minute)
    passed = []
    for _ in range(3 * per_minute + 3):
        await budget.take()
        passed.append(clock[0])
    for at in passed:
        assert len([one for one in passed if at <= one < at + 60]) <= per_minute
    # ... and not many less: a budget is there to be used.
    assert passed[-1] - passed[0] < 60 * (4 * 1.25 + 3 / per_minute)


async def test_an_idle_minute_is_not_saved_up(clock: list[float]) -> None:
    budget = CallBudget(60)
    clock[0] += 3_600
    started = clock[0]
    for _ in range(60):
        await budget.take()
    assert clock[0] - started > 45


async def test_urgent_calls_never_wait_and_are_paid_for_by_the_others(clock: list[float]) -> None:
    budget = CallBudget(60)
    started = clock[0]
    for _ in range(8):
        await budget.take()
    for _ in range(20):
        await budget.take(urgent=True)
    assert clock[0] - started < 2
    before = clock[0]
    await budget.take()
    assert clock[0] - before > 15


async def test_transactions_pass_a_queue_of_reads(own_anvil: Chain) -> None:
    """Reads wait for their budget, and a transaction does not wait behind them."""
    policy = RpcPolicy(calls_per_minute=30)
    async with (
        fault_proxy(own_anvil.url) as proxy,
        await Rpc.connect(proxy.url, policy=policy) as rpc,
    ):
        reads = [asyncio.create_task(rpc.latest()) for _ in range(30)]
        while not proxy.calls["eth_getBlockByNumber"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        with pytest.raises(RpcRefusal):
            await rpc.send(b"\x02nothing")
        # All of them take a minute.
        assert proxy.calls["eth_getBlockByNumber"] < 15
        assert proxy.calls["eth_sendRawTransaction"] == 1
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)


def test_the_count_forgets_what_is_older_than_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    count = CallCount()
    for second in range(120):
        now[0] = float(second)
        count.add("eth_call")
    assert count.last_minute() == 60
    now[0] = 1_000.0
    assert count.last_minute() == 0
    assert count.by_method == {"eth_call": 120}
