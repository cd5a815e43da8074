"""What a timed failure is played on: a world, a proxy before its chain, and what was asked.

Responsible for asking, for what the chain's own logs say is answered, and for the moment from which
recovery is timed. Knows no failure.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from oracle.bench.recovery_failures import usual_settings
from oracle.chain.codec import decode_logs
from oracle.chain.logs import LogScanner
from oracle.core.event import RequestAnswered
from tests.support.fault_proxy import FaultProxy
from tests.support.world import ForkedNode, World, digit, until

_BLOCK_SECONDS = 1
_READY_SECONDS = 60.0
_CALLS_COME_BACK_SECONDS = 0.3


class Play:
    """A world, a proxy before its chain, and what is to be timed.

    Attributes:
        asked: every request that was made.
        before: those that were answered when recovery began.
        began: when recovery began, on the monotonic clock.
        calls_before: calls through the proxy until then.
    """

    def __init__(self, world: World, proxy: FaultProxy, first_block: int) -> None:
        self.world = world
        self.proxy = proxy
        self.asked: list[bytes] = []
        self.before: set[bytes] = set()
        self.began = 0.0
        self.calls_before = 0
        self._first_block = first_block

    async def keep_time(self) -> None:
        """A block each second."""
        await self.world.chain.rpc.request("evm_setIntervalMining", [_BLOCK_SECONDS])

    async def ask(self, count: int = 1) -> None:
        """Requests that bind the operator, each in a block."""
        for _ in range(count):
            made = await self.world.ask(digit(len(self.asked)))
            self.asked.append(made.id)

    async def answered(self) -> dict[bytes, int]:
        """Requests that are answered on the chain, and in which block."""
        scanner = LogScanner(self.world.chain.rpc, self.world.deployment.oracle)
        logs = await scanner.scan(self._first_block, (await self.world.chain.head()).number)
        return {
            event.request_id: event.position.block_number
            for event in decode_logs(logs)
            if isinstance(event, RequestAnswered) and event.request_id in self.asked
        }

    async def look(self) -> None:
        """Takes down what is answered already."""
        self.before = set(await self.answered())

    def over(self) -> None:
        """From here on recovery is timed."""
        self.began = time.monotonic()
        self.calls_before = sum(self.proxy.calls.values())

    async def node(self, **changes: Any) -> ForkedNode:
        """A node with the settings as they come, through the proxy."""
        return await self.world.process(**{**self.settings(), **changes})

    async def warm_node(self) -> ForkedNode:
        """A node that has answered a request."""
        node = await self.node()
        await self.ask()

        async def warm() -> bool:
            return len(await self.answered()) == len(self.asked)

        await until(warm, _READY_SECONDS)
        return node

    async def end(self) -> None:
        """Ends every process, and lets the calls come back that the proxy still passes on."""
        self.world.end_processes()
        await asyncio.sleep(_CALLS_COME_BACK_SECONDS)

    def settings(self) -> dict[str, Any]:
        return {**usual_settings(), "rpc_url": self.proxy.url}
