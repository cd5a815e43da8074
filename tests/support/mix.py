"""The rig of `oracle bench chaos`: a node, a proxy and a chain that go through a plan of failures.

Responsible for making happen what the plan says, whatever else is happening, and for the invariants
at the end. Draws nothing by itself: what it picks follows from the plan.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from oracle.bench.chaos import Say
from oracle.bench.chaos_plan import Event, Kind
from oracle.chain.wire import to_bytes, to_int
from oracle.core.job import JobState
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import OracleError
from tests.support.fault_proxy import (
    EVERY,
    Fault,
    FaultProxy,
    change,
    delay,
    fault_proxy,
    http_status,
    lose_reply,
    lose_request,
)
from tests.support.invariants import check_invariants, settle_down
from tests.support.world import ForkedNode, World, digit, open_stage, until, world

_IMAGES = 400
_QUIET_SECONDS = 180.0
_SAY_SECONDS = 15.0
_BLOCK_SECONDS = 1
_START_SECONDS = 120.0
_RESTART_SECONDS = 1.0

_RPC_FAULTS: Mapping[Kind, tuple[str, Fault]] = {
    Kind.LOST_REQUESTS: (EVERY, lose_request),
    Kind.LOST_REPLIES: ("eth_sendRawTransaction", lose_reply),
    Kind.RATE_LIMIT: (EVERY, http_status(429, retry_after=1)),
    Kind.NO_LOGS: ("eth_getLogs", change(lambda logs: [])),
    Kind.DOUBLED_LOGS: ("eth_getLogs", change(lambda logs: [*logs, *logs])),
}


async def run(events: Sequence[Event], say: Say) -> Mapping[str, Any]:
    """Carries a plan out. See `oracle.bench.chaos.Rig`."""
    with tempfile.TemporaryDirectory(prefix="oracle-chaos-") as folder:
        async with (
            open_stage(Path(folder) / "stage") as place,
            world(place, Path(folder) / "data", undo=False) as played,
            fault_proxy(played.chain.url) as proxy,
        ):
            await played.chain.rpc.request("evm_setIntervalMining", [_BLOCK_SECONDS])
            return await _Play(played, proxy, say).through(events)


class _Play:
    def __init__(self, played: World, proxy: FaultProxy, say: Say) -> None:
        self._world = played
        self._proxy = proxy
        self._say = say
        self._node: ForkedNode | None = None
        self._asking = asyncio.Lock()
        self._forking = asyncio.Lock()
        self._done: Counter[str] = Counter()
        self._asked = 0
        self._starts = 0
        self._ended_by_itself = 0

    async def through(self, events: Sequence[Event]) -> Mapping[str, Any]:
        await self._start()
        began = said = time.monotonic()
        doing: set[asyncio.Task[None]] = set()
        for event in events:
            await asyncio.sleep(max(0.0, began + event.at_seconds - time.monotonic()))
            await self._restart_if_ended()
            doing.add(asyncio.create_task(self._happen(event)))
            if time.monotonic() - said > _SAY_SECONDS:
                said = time.monotonic()
                self._say(f"{said - began:5.0f} s: {await self._stand()}")
        await asyncio.gather(*doing)
        self._say("the failures are over; waiting until all is quiet")
        quiet_from = time.monotonic()
        broken = await self._verdict()
        totals = await self._world.storage.jobs.totals()
        return {
            "requests": self._asked,
            "happened": dict(self._done),
            "node_starts": self._starts,
            "node_ended_by_itself": self._ended_by_itself,
            "jobs": {state.value: count for state, count in totals.jobs.items() if count},
            "transactions": totals.transactions,
            "reverted": totals.reverted,
            "rpc_calls": sum(self._proxy.calls.values()),
            "seconds_until_quiet": round(time.monotonic() - quiet_from, 1),
            "broken": broken,
        }

    async def _stand(self) -> str:
        counts = await self._world.storage.jobs.count_by_state()
        told = ", ".join(f"{count} {state.value}" for state, count in counts.items() if count)
        return f"{self._asked} asked; {told or 'nothing yet'}"

    async def _verdict(self) -> list[str]:
        self._proxy.heal()
        self._world.chain.resume()
        if self._node is None or not self._node.running:
            self._node = None
            await self._start()
        try:
            await until(self._is_quiet, _QUIET_SECONDS)
            # Blocks that nobody asked for would move the head on under the check.
            await self._world.chain.rpc.request("evm_setIntervalMining", [0])
            await self._world.chain.automine(True)
            await settle_down(self._world)
            await check_invariants(self._world)
        except TimeoutError:
            return [f"not quiet after {_QUIET_SECONDS:g} s: {await self._stand()}"]
        except AssertionError as error:
            return [str(error)]
        return []

    async def _is_quiet(self) -> bool:
        """Whether everything is settled, or has another end."""
        counts = await self._world.storage.jobs.count_by_state()
        busy = [one for one in JobState if not one.terminal and one is not JobState.ORPHANED]
        return not any(counts[one] for one in busy)

    # ---- what happens

    async def _happen(self, event: Event) -> None:
        try:
            await self._do(event)
            self._done[event.kind.value] += 1
        except (OracleError, TimeoutError) as error:
            # The chain hangs or reorganises under whoever asks, too: then it did not happen.
            self._done[f"{event.kind.value}: not done"] += 1
            self._say(f"  {event.kind.value} could not be done: {error}")

    async def _do(self, event: Event) -> None:
        chain = self._world.chain
        match event.kind:
            case Kind.ASK:
                await self._ask()
            case Kind.REORG:
                await self._reorg(event.size, drop_ours=False)
            case Kind.REORG_DROPS_OURS:
                await self._reorg(event.size, drop_ours=True)
            case Kind.DROPPED:
                await self._drop_pending()
            case Kind.FEE_SPIKE:
                head = await chain.rpc.request("eth_getBlockByNumber", ["latest", False])
                await chain.base_fee(event.size * max(10**8, to_int(head["baseFeePerGas"])))
            case Kind.KILL:
                await self._kill(event.seconds)
            case Kind.HUNG_CHAIN:
                chain.suspend()
                await asyncio.sleep(event.seconds)
                chain.resume()
            case Kind.FOREIGN_NONCE:
                stranger = chain.sender(Person.SIGNER)
                await stranger.send(stranger.address, value=1)
            case Kind.SLOW:
                await self._fault(EVERY, delay(event.size), event.seconds)
            case _:
                await self._fault(*_RPC_FAULTS[event.kind], event.seconds)

    async def _ask(self) -> None:
        async with self._asking:
            await self._world.ask(digit(self._asked % _IMAGES))
            self._asked += 1

    async def _fault(self, method: str, fault: Fault, seconds: float) -> None:
        self._proxy.on(method, fault)
        await asyncio.sleep(seconds)
        self._proxy.heal()

    async def _kill(self, seconds: float) -> None:
        if self._node is None or not self._node.running:
            return
        dying, self._node = self._node, None
        await dying.kill()
        await asyncio.sleep(seconds)
        await self._start()

    async def _start(self) -> None:
        """As a supervisor does: a node that ends as it finds no chain is begun again."""
        async with asyncio.timeout(_START_SECONDS):
            while True:
                self._starts += 1
                node = await self._world.process(rpc_url=self._proxy.url, wait=False)
                while node.running:
                    if await node.has_beaten():
                        self._node = node
                        return
                    await asyncio.sleep(0.1)
                self._ended_by_itself += 1
                await asyncio.sleep(_RESTART_SECONDS)

    async def _restart_if_ended(self) -> None:
        """A node that ends while it is meant to run is begun again, too."""
        if self._node is not None and not self._node.running:
            self._node = None
            self._ended_by_itself += 1
            self._say("  the node ended by itself")
            await self._start()

    @asynccontextmanager
    async def _standing_still(self) -> AsyncIterator[None]:
        """Without blocks: anvil mines on a block that its reorg has just taken away, else."""
        rpc = self._world.chain.rpc
        await rpc.request("evm_setIntervalMining", [0])
        try:
            yield
        finally:
            await rpc.request("evm_setIntervalMining", [_BLOCK_SECONDS])

    async def _drop_pending(self) -> None:
        pending = (await self._world.chain.pool())["pending"]
        ours = signer_of(Person.SIGNER).address.lower()
        for sender, by_nonce in pending.items():
            if sender.lower() == ours:
                for transaction in by_nonce.values():
                    await self._world.chain.drop(to_bytes(transaction["hash"]))

    async def _reorg(self, depth: int, *, drop_ours: bool) -> None:
        """Other blocks with the same transactions in the same order, or without those of ours."""
        chain = self._world.chain
        async with self._forking, self._standing_still():
            head = (await chain.head()).number
            ours = signer_of(Person.SIGNER).address.lower()
            again: list[tuple[bytes, int]] = []
            for offset in range(depth):
                number = hex(head - depth + 1 + offset)
                block = await chain.rpc.request("eth_getBlockByNumber", [number, True])
                again += [
                    (await chain.raw_transaction(to_bytes(one["hash"])), offset)
                    for one in block["transactions"]
                    if not (drop_ours and one["from"].lower() == ours)
                ]
            await chain.reorg(depth, again)
