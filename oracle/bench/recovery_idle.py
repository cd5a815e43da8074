"""RPC calls a minute of a node that has nothing to do, on a quiet chain and on busy ones.

Blocks hold a stranger's transaction with another contract's log. Calls are counted by the node's
own endpoint, between two heartbeats. Knows nothing of failures.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from oracle.bench.recovery_stage import Beat, as_it_comes, next_beat
from oracle.bench.stage import Stage, stage, working
from oracle.bootstrap.devnet import keep_time
from oracle.devnet.accounts import Person

Say = Callable[[str], None]

GOAL_CALLS_PER_MINUTE: Final = 60
BLOCK_SECONDS: Final = (0, 12, 2, 1)
"""Between blocks; 0: there are none."""

_SETTLING_DOWN_SECONDS = 5.0


async def measure(seconds: float, say: Say) -> list[dict[str, Any]]:
    """One node on one chain, at each pace of `BLOCK_SECONDS` for so many seconds; a row each."""
    rows = []
    async with stage() as on:
        as_it_comes(on)
        async with working(on):
            for block_seconds in BLOCK_SECONDS:
                async with _strangers(on, block_seconds):
                    await asyncio.sleep(_SETTLING_DOWN_SECONDS)
                    first_block = (await on.devnet.rpc.latest()).number
                    first = await next_beat(on)
                    await asyncio.sleep(seconds)
                    last = await next_beat(on)
                    blocks = (await on.devnet.rpc.latest()).number - first_block
                row = summed_up(block_seconds, blocks, first, last)
                say(f"idle, {row['blocks']}: {row['calls_per_minute']} calls a minute")
                rows.append(row)
    return rows


@asynccontextmanager
async def _strangers(on: Stage, block_seconds: int) -> AsyncIterator[None]:
    """Others, who transfer tokens in each block that is mined meanwhile; 0: no block is."""
    if not block_seconds:
        yield
        return
    await keep_time(on.devnet, block_seconds)
    sender, token = on.sender(Person.DEPLOYER), on.contracts.token

    async def transfer() -> None:
        while True:
            await sender.send(token.address, token.transfer_data(sender.address, 1))

    transferring = asyncio.create_task(transfer())
    try:
        yield
    finally:
        transferring.cancel()
        with suppress(asyncio.CancelledError):
            await transferring


def summed_up(block_seconds: int, blocks: int, first: Beat, last: Beat) -> dict[str, Any]:
    """The figures between two heartbeats."""
    spent = last.at - first.at
    by_method = {
        method: round(60 * calls / spent, 1)
        for method, calls in (last.calls - first.calls).most_common()
    }
    per_minute = round(60 * (last.calls - first.calls).total() / spent, 1)
    return {
        "blocks": f"one each {block_seconds} s" if block_seconds else "none",
        "blocks_mined": blocks,
        "seconds": round(spent, 1),
        "calls_per_minute": per_minute,
        "met": per_minute < GOAL_CALLS_PER_MINUTE,
        "by_method": by_method,
    }


def told(by_method: Mapping[str, float]) -> str:
    """Calls by method in a line."""
    return ", ".join(f"{method} {calls:g}" for method, calls in by_method.items())
