"""Twelve failures on a real chain and real node processes: what each does, and when it ends.

A failure is a context: before it is entered nothing runs, inside it the failure has just ended (or
begun, where it does not end by itself) and requests wait for an answer. Knows nothing of what is
counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import TypeAlias

import psutil

from oracle.bench.recovery_failures import (
    DOWN_SECONDS,
    LATE_SECONDS,
    OUTAGE_SECONDS,
    Failure,
)
from oracle.chain.wire import to_bytes, to_int
from oracle.core.job import JobState
from oracle.devnet.accounts import Person, signer_of
from oracle.devnet.anvil import Anvil
from tests.support.crash import Crash
from tests.support.fault_proxy import EVERY, Fault, delay, http_status, lose_request
from tests.support.fee_market import FeeMarket
from tests.support.play import Play
from tests.support.world import ForkedNode, until

SIGNER = signer_of(Person.SIGNER).address

_GWEI = 10**9
_PINNED_SECONDS = 0.3
_SPIKE = 60


Provocation: TypeAlias = Callable[[Play], AbstractAsyncContextManager[None]]


# ---- the worker


def _killed(point: str, *, sent: bool) -> Provocation:
    @asynccontextmanager
    async def provoke(play: Play) -> AsyncIterator[None]:
        doomed = await play.node(crash=Crash(point))
        await play.ask()
        assert await doomed.exit_code() == -signal.SIGKILL
        if sent:
            await until(play.answered)
        await play.ask()
        await asyncio.sleep(DOWN_SECONDS)
        await play.look()
        play.over()
        starting = asyncio.create_task(play.world.worker(**play.settings()))
        yield
        await starting

    return provoke


@asynccontextmanager
async def _leader_killed(play: Play) -> AsyncIterator[None]:
    world = play.world
    standby_dir = world.settings.data_dir / "standby"
    standby_dir.mkdir()
    first = await play.warm_node()
    settings = world.settings.model_copy(
        update={
            **play.settings(),
            "data_dir": standby_dir,
            "database": world.settings.database_url,
        }
    )
    settings.model_store.symlink_to(world.settings.model_store.resolve())
    standby = ForkedNode(settings, world.operator)
    try:
        await until(standby.beats)
        await asyncio.sleep(DOWN_SECONDS)
        await play.look()
        await first.kill()
        play.over()
        await play.ask(2)
        yield
    finally:
        standby.end()


@asynccontextmanager
async def _inference_killed(play: Play) -> AsyncIterator[None]:
    """In the midst of a run: it is stopped before there is one, so that none can end."""
    node = await play.warm_node()
    (child,) = [
        one
        for one in psutil.Process(node._process.pid).children()
        if "oracle.inference.child" in " ".join(one.cmdline())
    ]
    child.send_signal(signal.SIGSTOP)
    await play.ask(2)
    await asyncio.sleep(DOWN_SECONDS)
    await play.look()
    child.send_signal(signal.SIGKILL)
    play.over()
    yield


@asynccontextmanager
async def _database_locked(play: Play) -> AsyncIterator[None]:
    await play.warm_node()
    with contextlib.closing(
        sqlite3.connect(str(play.world.settings.database_url), isolation_level=None)
    ) as holder:
        holder.execute("BEGIN IMMEDIATE")
        await play.ask(2)
        await asyncio.sleep(OUTAGE_SECONDS)
        await play.look()
        holder.execute("ROLLBACK")
        play.over()
        yield


@asynccontextmanager
async def _no_coin(play: Play) -> AsyncIterator[None]:
    await play.warm_node()
    chain = play.world.chain
    enough = to_int(await chain.rpc.request("eth_getBalance", [SIGNER, "latest"]))
    await chain.set_balance(SIGNER, 1)
    await play.ask(2)
    await asyncio.sleep(OUTAGE_SECONDS)
    await play.look()
    await chain.set_balance(SIGNER, enough)
    play.over()
    yield


# ---- the chain


@asynccontextmanager
async def _unseen(play: Play, node: ForkedNode) -> AsyncIterator[None]:
    """Asks while the node sleeps: none of its answers can lie in the pool when the chain goes."""
    node.signal(signal.SIGSTOP)
    await play.ask(2)
    await play.look()
    yield
    node.signal(signal.SIGCONT)


@asynccontextmanager
async def _chain_suspended(play: Play) -> AsyncIterator[None]:
    node = await play.warm_node()
    async with _unseen(play, node):
        play.world.chain.suspend()
    await asyncio.sleep(OUTAGE_SECONDS)
    play.world.chain.resume()
    play.over()
    yield


@asynccontextmanager
async def _chain_restarted(play: Play) -> AsyncIterator[None]:
    """Ended in order, so that its state is written; what was in its pool is gone."""
    chain = play.world.chain
    node = await play.warm_node()
    old = chain.anvil
    async with _unseen(play, node):
        play.proxy.on(EVERY, lose_request)  # as a port that nobody listens on
        await asyncio.to_thread(old.stop)
    await asyncio.sleep(OUTAGE_SECONDS)
    options = replace(old.options, port=old.port)
    chain.anvil = Anvil.start(options, play.world.settings.data_dir / "anvil.log")
    try:
        play.proxy.heal()
        play.over()
        await play.keep_time()
        yield
    finally:
        await play.end()
        chain.kill()


@asynccontextmanager
async def _reorg(play: Play) -> AsyncIterator[None]:
    """Three blocks that the node has read, the first with its answer; others' transactions stay."""
    await play.node()
    await play.ask()
    chain = play.world.chain
    (answered_in,) = (await until(play.answered)).values()
    await chain.rpc.request("evm_setIntervalMining", [0])
    while (head := (await chain.head()).number) < answered_in + 2:
        await chain.mine()
    await play.world.until_job(play.asked[0], JobState.ANSWERED, JobState.SETTLING)
    depth = head - answered_in + 1
    kept: list[tuple[bytes, int]] = []
    for offset in range(depth):
        number = hex(answered_in + offset)
        block = await chain.rpc.request("eth_getBlockByNumber", [number, True])
        for one in block["transactions"]:
            if one["from"].lower() != SIGNER.lower():
                kept.append((await chain.raw_transaction(to_bytes(one["hash"])), offset))
    await chain.reorg(depth, kept)
    play.over()
    await play.look()
    assert not play.before
    await play.keep_time()
    yield


@asynccontextmanager
async def _fee_spike(play: Play) -> AsyncIterator[None]:
    """A pool holds the answer while blocks ask `_SPIKE` times as much, for as long as it takes."""
    chain = play.world.chain
    await play.warm_node()
    head = await chain.rpc.request("eth_getBlockByNumber", ["latest", False])
    spike = _SPIKE * max(_GWEI // 4, to_int(head["baseFeePerGas"]))
    market = FeeMarket(play.proxy, floor_wei=spike, hold=True)
    await play.ask(2)

    async def stuck() -> bool:
        return bool(market.held)

    await until(stuck)

    async def last() -> None:
        while True:
            await chain.base_fee(spike)
            await asyncio.sleep(_PINNED_SECONDS)

    lasting = asyncio.create_task(last())
    try:
        await play.look()
        play.over()
        yield
    finally:
        lasting.cancel()
        await asyncio.gather(lasting, return_exceptions=True)
        await market.fall()
        play.proxy.heal()


# ---- the endpoint


def _endpoint(fault: Fault) -> Provocation:
    @asynccontextmanager
    async def provoke(play: Play) -> AsyncIterator[None]:
        await play.warm_node()
        play.proxy.on(EVERY, fault)
        await asyncio.sleep(OUTAGE_SECONDS)
        await play.ask(2)
        await play.look()
        play.proxy.heal()
        play.over()
        yield

    return provoke


PROVOKED: Mapping[Failure, Provocation] = {
    Failure.KILLED_BEFORE_SENDING: _killed("transaction saved", sent=False),
    Failure.KILLED_AFTER_SENDING: _killed("sent but not marked", sent=True),
    Failure.CHAIN_SUSPENDED: _chain_suspended,
    Failure.CHAIN_RESTARTED: _chain_restarted,
    Failure.RPC_REFUSES: _endpoint(http_status(503)),
    Failure.RPC_LATE: _endpoint(delay(LATE_SECONDS)),
    Failure.REORG: _reorg,
    Failure.FEE_SPIKE: _fee_spike,
    Failure.LEADER_KILLED: _leader_killed,
    Failure.INFERENCE_KILLED: _inference_killed,
    Failure.DATABASE_LOCKED: _database_locked,
    Failure.NO_COIN: _no_coin,
}
