"""How long one request waits for its answer, from the block it is in to the block the answer is in.

Requests are made one after another, so that nothing queues. Blocks are timed by when they can be
seen, since a header counts whole seconds only. Where the worker's time goes is in its own ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from oracle.bench.flood import BOND, FEE, images
from oracle.bench.stage import Stage, settings_note, stage, working
from oracle.bench.statistics import summary
from oracle.bench.timed_node import MODULE, TIMES_FILE
from oracle.bootstrap.devnet import keep_time
from oracle.chain.oracle_contract import RequestParams
from oracle.chain.rpc import Rpc
from oracle.chain.wire import to_int
from oracle.client import OracleClient
from oracle.core.types import ZERO_ADDRESS
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.bring_up import deposit, fund

Say = Callable[[str], None]

_LOOK_SECONDS = 0.01
_WARM_UP = 3
_TIME_TO_ANSWER = 600
_STEPS: Mapping[str, tuple[str, ...]] = {
    "inference": ("engine",),
    "signing": ("signer",),
    "rpc": ("gateway", "reader", "registry", "staking"),
    "database": ("jobs", "transactions"),
    "encoding": ("contract",),
}
"""What each port's time is called in the figures."""


class BlockClock:
    """When each block could first be seen, on the monotonic clock."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self.seen: dict[int, float] = {}
        self._news = asyncio.Event()

    async def follow(self) -> None:
        """Looks until it is cancelled."""
        while True:
            number = await self._rpc.request_as(to_int, "eth_blockNumber")
            now = time.monotonic()
            for block in range(max(self.seen, default=number - 1) + 1, number + 1):
                self.seen[block] = now
                self._news.set()
                self._news = asyncio.Event()
            await asyncio.sleep(_LOOK_SECONDS)

    async def reach(self, block: int) -> None:
        """Waits until a block has been seen."""
        while block not in self.seen:
            await self._news.wait()

    def seconds_between(self, first: int, last: int) -> float:
        """From one block's being seen to another's."""
        return self.seen[last] - self.seen[first]


@asynccontextmanager
async def block_clock(rpc: Rpc) -> AsyncIterator[BlockClock]:
    """A clock that runs until the context ends."""
    clock = BlockClock(rpc)
    task = asyncio.create_task(clock.follow())
    try:
        yield clock
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def measure(count: int, say: Say) -> dict[str, Any]:
    """Both ways of mining, `count` requests each; the figures by name."""
    facts: dict[str, Any] = {}
    for name, block_seconds in (("automine", 0), ("blocks_of_1_s", 1)):
        say(f"{name}: {count} requests, one after another")
        facts[name] = await _measure(count, block_seconds, say)
    return facts


async def _measure(count: int, block_seconds: int, say: Say) -> dict[str, Any]:
    async with stage() as on:
        treasurer, requester = on.sender(Person.DEPLOYER), on.sender(Person.REQUESTER)
        await fund(treasurer, on.contracts, requester.address, opg=count * FEE)
        await deposit(requester, on.contracts, (count + _WARM_UP) * FEE)
        client = OracleClient(on.devnet.rpc, on.contracts.deployment, signer_of(Person.REQUESTER))
        async with working(on, program=(MODULE,)), block_clock(on.devnet.rpc) as clock:
            if block_seconds:
                await keep_time(on.devnet, block_seconds)
            blocks: list[float] = []
            seconds: list[float] = []
            for number, image in enumerate(images(count + _WARM_UP)):
                first, last = await _ask(on, client, image)
                if number < _WARM_UP:
                    continue
                await clock.reach(last)
                blocks.append(last - first)
                seconds.append(clock.seconds_between(first, last))
        times = json.loads((on.folder / TIMES_FILE).read_text())
        say(f"  p50 {summary(blocks)['p50']:g} blocks, {summary(seconds)['p50']:g} s")
        return {
            "requests": count,
            "blocks": summary(blocks),
            "seconds": summary(seconds),
            "worker": _shares(times, count + _WARM_UP),
            "settings": settings_note(on),
        }


async def _ask(on: Stage, client: OracleClient, image: bytes) -> tuple[int, int]:
    """Makes a request and waits for its answer; the blocks of both."""
    now = (await on.devnet.rpc.latest()).timestamp
    made = await client.send_request(
        RequestParams(
            consumer=ZERO_ADDRESS,
            model_id=on.model_id,
            operator=on.operator,
            fee=FEE,
            bond=BOND,
            value_at_risk=0,
            deadline=now + _TIME_TO_ANSWER,
            window=on.contracts.deployment.parameters.default_window,
            callback_gas_limit=0,
            eager=False,
        ),
        image,
    )
    await client.wait(made.id, until="answered", timeout=_TIME_TO_ANSWER, poll_seconds=0.02)
    answered = (await client.story(made.id)).answered
    assert answered is not None
    return made.sent.mined.block_number, answered.position.block_number


def _shares(times: Mapping[str, Any], requests: int) -> dict[str, Any]:
    """Milliseconds a request by kind of work, and each kind's share of their sum.

    Waits for a process elsewhere are in them: an RPC's time is mostly the node's.
    """
    spent = {
        step: sum(times["spent"].get(port, {"seconds": 0.0})["seconds"] for port in ports)
        for step, ports in _STEPS.items()
    }
    total = sum(spent.values())
    return {
        "milliseconds_per_request": {
            step: round(1000 * seconds / requests, 2) for step, seconds in spent.items()
        },
        "share": {step: round(seconds / total, 3) for step, seconds in spent.items()},
        "cpu_seconds": times["cpu_seconds"],
        "seconds": times["seconds"],
        "methods": times["spent"],
    }
