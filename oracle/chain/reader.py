"""The chain as the services read it: blocks, and the oracle's events of a range from one fork.

Implements `ports.ChainReader`. Responsible for never passing on a mixture of two forks, a repeated
log or a range cut short. Knows nothing of cursors: it is told what to read.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from oracle.chain.codec import decode_logs
from oracle.chain.logs import LARGEST_SPAN, LogScanner
from oracle.chain.rpc import Rpc, RpcRefusal
from oracle.chain.wire import RawLog, to_block, to_bytes, to_int
from oracle.core.event import BlockRef, LogBatch
from oracle.core.typed_data import Domain
from oracle.core.types import Address
from oracle.errors import ChainUnreachable, ReorgDetected

_REMEMBERED_BLOCKS = 64

_RECENT_SECONDS = 5.0
"""For how long a head that was read tells what its parent is."""


class Reader:
    """Reads one oracle's events.

    A head names its parent by hash, so that a block which was given out before and is that parent
    is known to be canonical without asking: a quiet chain costs one call a look, a new block two.
    """

    def __init__(
        self,
        rpc: Rpc,
        oracle: Address,
        genesis_hash: bytes,
        *,
        largest_span: int = LARGEST_SPAN,
        beside: Sequence[Address] = (),
    ) -> None:
        """`beside` are other contracts whose logs come with the oracle's in `logs`."""
        self._rpc = rpc
        watched = [oracle, *beside] if beside else oracle
        self._scanner = LogScanner(rpc, watched, largest_span=largest_span)
        self._domain = Domain(rpc.chain_id, oracle)
        self._genesis_hash = genesis_hash
        self._head: BlockRef | None = None
        self._parent_hash = b""
        self._head_at = float("-inf")
        self._known: OrderedDict[bytes, BlockRef] = OrderedDict()

    @classmethod
    async def open(
        cls,
        rpc: Rpc,
        oracle: Address,
        *,
        largest_span: int = LARGEST_SPAN,
        beside: Sequence[Address] = (),
    ) -> Reader:
        """A reader that knows which chain it reads. Raises ChainUnreachable."""
        genesis = await rpc.block(0)
        if genesis is None:
            raise ChainUnreachable(f"{rpc.endpoint} has no block 0")
        return cls(rpc, oracle, genesis.hash, largest_span=largest_span, beside=beside)

    @property
    def domain(self) -> Domain:
        return self._domain

    @property
    def genesis_hash(self) -> bytes:
        return self._genesis_hash

    async def head(self) -> BlockRef:
        head, parent_hash = await self._rpc.request_as(
            _head_and_parent, "eth_getBlockByNumber", ["latest", False]
        )
        self._head, self._parent_hash, self._head_at = head, parent_hash, time.monotonic()
        self._remember(head)
        return head

    async def recent_head(self, seconds: float) -> BlockRef:
        """The head as it was asked for by anybody no longer ago than so many seconds."""
        if self._head is not None and time.monotonic() - self._head_at <= seconds:
            return self._head
        return await self.head()

    async def block(self, number: int) -> BlockRef | None:
        """The canonical block at this height, or None past the head."""
        recent = time.monotonic() - self._head_at <= _RECENT_SECONDS
        if self._head is not None and recent and number + 1 == self._head.number:
            parent = self._known.get(self._parent_hash)
            if parent is not None:
                return parent
        block = await self._rpc.block(number)
        if block is not None:
            self._remember(block)
        return block

    async def finalised(self) -> BlockRef | None:
        """The newest block that the node calls final, or None where it calls none so."""
        try:
            return await self._rpc.block("finalized")
        except RpcRefusal:
            return None

    async def events(self, first_block: int, last_block: int) -> LogBatch:
        """All oracle events of an inclusive range. Raises as `logs`."""
        last, logs = await self.logs(first_block, last_block)
        return LogBatch(first_block, last, decode_logs(logs))

    async def logs(self, first_block: int, last_block: int) -> tuple[BlockRef, list[RawLog]]:
        """All logs of an inclusive range, in order, from one fork and one endpoint, and its end.

        The last block's hash commits to every block before it. A head alone is asked for by its
        hash; of a range, the last block is compared before and after.

        Raises:
            ValueError: the range is reversed, which a node would answer with silence.
            ReorgDetected: the chain changed while it was read; read again.
        """
        if first_block > last_block:
            raise ValueError(f"blocks {first_block} to {last_block} are a reversed range")
        return await self._rpc.on_one_endpoint(lambda: self._logs(first_block, last_block))

    async def _logs(self, first_block: int, last_block: int) -> tuple[BlockRef, list[RawLog]]:
        head = self._head
        if head is not None and first_block == last_block == head.number:
            logs = await self._logs_of(head)
            if logs is not None:
                return head, _in_chain_order(logs, first_block, head)
        last = await self._rpc.block(last_block)
        if last is None:
            raise ReorgDetected(f"block {last_block} is not on the chain (any more)")
        logs = await self._scanner.scan(first_block, last_block)
        if await self._rpc.block(last_block) != last:
            raise ReorgDetected(f"block {last_block} changed while its logs were read")
        self._remember(last)
        return last, _in_chain_order(logs, first_block, last)

    async def _logs_of(self, block: BlockRef) -> list[RawLog] | None:
        """None where the node refuses: the block is gone, or it does not know this question."""
        try:
            return await self._scanner.of_block(block.hash)
        except RpcRefusal as refusal:
            if refusal.limits_the_rate:
                raise
            return None

    def _remember(self, block: BlockRef) -> None:
        self._known[block.hash] = block
        self._known.move_to_end(block.hash)
        while len(self._known) > _REMEMBERED_BLOCKS:
            self._known.popitem(last=False)


class RecentHead:
    """The head for who need not be the first to know: as another has read it lately."""

    def __init__(self, reader: Reader, seconds: float) -> None:
        self._reader = reader
        self._seconds = seconds

    async def head(self) -> BlockRef:
        return await self._reader.recent_head(self._seconds)


def _head_and_parent(raw: Mapping[str, Any] | None) -> tuple[BlockRef, bytes]:
    if raw is None:
        raise ValueError("there are no blocks")
    return to_block(raw), to_bytes(raw["parentHash"])


def _in_chain_order(logs: Iterable[RawLog], first_block: int, last: BlockRef) -> list[RawLog]:
    """Sorts, drops repetitions, and checks that the logs can be of one chain."""
    hashes: dict[int, str] = {last.number: "0x" + last.hash.hex()}
    placed: dict[tuple[int, int], RawLog] = {}
    try:
        for log in logs:
            place = (to_int(log["blockNumber"]), to_int(log["logIndex"]))
            if not first_block <= place[0] <= last.number:
                raise ChainUnreachable(f"the node sent a log of block {place[0]}, not asked for")
            if hashes.setdefault(place[0], log["blockHash"]) != log["blockHash"]:
                raise ReorgDetected(f"logs of two different blocks {place[0]} were read")
            if placed.setdefault(place, log) != log:
                raise ReorgDetected(f"two different logs {place[1]} of block {place[0]} were read")
    except (KeyError, TypeError, ValueError) as error:
        raise ChainUnreachable(f"the node sent a log without a place: {error!r}") from error
    return [placed[place] for place in sorted(placed)]
