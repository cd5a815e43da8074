"""Logs of a block range from a node that may refuse to give them all at once.

Responsible for the size of a request: halved when the node finds it too large, doubled again when
it has not for a while. Knows nothing of what a log means, nor of forks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from oracle.chain.rpc import HttpRefusal, Rpc, RpcRefusal
from oracle.chain.wire import RawLog, quantity, to_hex
from oracle.core.types import Address
from oracle.errors import ChainUnreachable

Topic: TypeAlias = str | Sequence[str] | None
"""What a topic must be: this, one of these, or anything."""

LARGEST_SPAN: Final = 2_000
SUCCESSES_TO_GROW: Final = 8

_TOO_LARGE = re.compile(
    r"range|too (large|many|big|wide)|more than|limit|exceed|response size|timed? ?out|maximum",
    re.IGNORECASE,
)
_RATE = re.compile(r"rate|per (second|minute|day)|request count|capacity|quota", re.IGNORECASE)
_HTTP_TOO_LARGE = (400, 413, 504)


class LogScanner:
    """Reads logs of one contract, or of several at once, in spans that adapt to the node.

    Attributes:
        span: how many blocks the next request may cover.
    """

    def __init__(
        self, rpc: Rpc, address: Address | Sequence[Address], *, largest_span: int = LARGEST_SPAN
    ) -> None:
        self.span = largest_span
        self._largest_span = largest_span
        self._successes = 0
        self._rpc = rpc
        self._address = address

    async def scan(
        self, first_block: int, last_block: int, topics: Sequence[Topic] = ()
    ) -> list[RawLog]:
        """All logs of an inclusive range, as the node orders them; none where the range is empty.

        Raises:
            ChainUnreachable: also where even one block is too much for the node.
        """
        found: list[RawLog] = []
        start = first_block
        while start <= last_block:
            end = min(start + self.span - 1, last_block)
            try:
                found += await self._request(start, end, topics)
            except (RpcRefusal, HttpRefusal) as refusal:
                if start == end or not _is_too_large(refusal):
                    raise
                self.span = max(1, (end - start + 1) // 2)
                self._successes = 0
                continue
            start = end + 1
            self._grow()
        return found

    async def of_block(self, block_hash: bytes) -> list[RawLog]:
        """All logs of one block by its hash; the node refuses where it does not have it."""
        return await self._ask({"blockHash": to_hex(block_hash)}, None)

    def _grow(self) -> None:
        """Doubles the span after some successes; at once, every second request would be refused."""
        self._successes += 1
        if self._successes % SUCCESSES_TO_GROW == 0:
            self.span = min(self.span * 2, self._largest_span)

    async def _request(self, first: int, last: int, topics: Sequence[Topic]) -> list[RawLog]:
        criteria: dict[str, Any] = {"fromBlock": quantity(first), "toBlock": quantity(last)}
        if topics:
            criteria["topics"] = list(topics)
        # A node that is behind leaves out what it does not have, and says nothing.
        return await self._ask(criteria, last)

    async def _ask(self, criteria: Mapping[str, Any], needs_block: int | None) -> list[RawLog]:
        logs = await self._rpc.request(
            "eth_getLogs", [{"address": self._address, **criteria}], needs_block=needs_block
        )
        if not isinstance(logs, list):
            raise ChainUnreachable(f"{self._rpc.endpoint} answered eth_getLogs without a list")
        return logs


def _is_too_large(refusal: RpcRefusal | HttpRefusal) -> bool:
    if isinstance(refusal, HttpRefusal):
        return refusal.status in _HTTP_TOO_LARGE
    return bool(_TOO_LARGE.search(refusal.reason)) and not _RATE.search(refusal.reason)
