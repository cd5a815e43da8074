"""The chain as the services read it: blocks, and the oracle's events of a range from one fork.

Implements `ports.ChainReader`. Responsible for never passing on a mixture of two forks, a repeated
log or a range cut short. Knows nothing of cursors: it is told what to read.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from oracle.chain.codec import decode_logs
from oracle.chain.header import Header, bloom_of, to_header, to_header_or_none
from oracle.chain.logs import LARGEST_SPAN, LogScanner
from oracle.chain.rpc import Rpc, RpcRefusal
from oracle.chain.wire import RawLog, quantity, to_int
from oracle.core.event import BlockRef, LogBatch
from oracle.core.typed_data import Domain
from oracle.core.types import Address
from oracle.errors import ChainUnreachable, ReorgDetected

_REMEMBERED_BLOCKS: Final = 64

_RECENT_SECONDS: Final = 5.0
"""For how long a head that was read tells what is before it."""

_LINKED_BLOCKS: Final = 3
"""Most blocks up to the head that are read one by one; more cost less as a range."""


class Reader:
    """Reads one oracle's events.

    A header names its parent by hash, so what was given out before is known to be canonical where
    the head leads back to it; and it tells whether logs can be in its block. A look costs one call,
    and so does each of a few new blocks but the last; where a bloom has our contract, one more.
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
        watched = [oracle, *beside]
        self._scanner = LogScanner(rpc, watched if beside else oracle, largest_span=largest_span)
        self._blooms = [bloom_of(contract) for contract in watched]
        self._domain = Domain(rpc.chain_id, oracle)
        self._genesis_hash = genesis_hash
        self._head: Header | None = None
        self._head_at = float("-inf")
        self._known: OrderedDict[bytes, Header] = OrderedDict()

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
        head = await self._rpc.request_as(_head, "eth_getBlockByNumber", ["latest", False])
        self._head, self._head_at = head, time.monotonic()
        self._remember(head)
        return head.block

    async def recent_head(self, seconds: float) -> BlockRef:
        """The head as it was asked for by anybody no longer ago than so many seconds."""
        if self._head is not None and time.monotonic() - self._head_at <= seconds:
            return self._head.block
        return await self.head()

    async def block(self, number: int) -> BlockRef | None:
        """The canonical block at this height, or None past the head."""
        recent = time.monotonic() - self._head_at <= _RECENT_SECONDS
        if self._head is not None and recent and number < self._head.block.number:
            known = self._led_to(number)
            if known is not None:
                return known.block
        header = await self._header(number)
        return None if header is None else header.block

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

        The last block's hash commits to every block before it. A few blocks up to the head are
        asked for by their hashes; of a longer range, the last block is compared before and after.

        Raises:
            ValueError: the range is reversed, which a node would answer with silence.
            ReorgDetected: the chain changed while it was read; read again.
        """
        if first_block > last_block:
            raise ValueError(f"blocks {first_block} to {last_block} are a reversed range")
        return await self._rpc.on_one_endpoint(lambda: self._logs(first_block, last_block))

    async def _logs(self, first_block: int, last_block: int) -> tuple[BlockRef, list[RawLog]]:
        linked = await self._linked(first_block, last_block)
        logs = None if linked is None else await self._logs_of(linked)
        if linked is not None and logs is not None:
            last = linked[0].block
            return last, _in_chain_order(logs, first_block, last)
        header = await self._header(last_block)
        if header is None:
            raise ReorgDetected(f"block {last_block} is not on the chain (any more)")
        led_to = self._led_to(last_block)
        if led_to is not None and led_to.block != header.block:
            # Else `block` would say of another fork, by memory, that this range stands on it.
            raise ReorgDetected(f"block {last_block} is not what the head led to")
        logs = await self._scanner.scan(first_block, last_block)
        again = await self._header(last_block)
        if again is None or again.block != header.block:
            raise ReorgDetected(f"block {last_block} changed while its logs were read")
        return header.block, _in_chain_order(logs, first_block, header.block)

    async def _linked(self, first_block: int, last_block: int) -> list[Header] | None:
        """A range from its end, each block the parent of the one before.

        None where it is long, or does not end with the head that was read or with what that leads
        back to.

        Raises:
            ReorgDetected: a block is not the parent of what was read after it.
        """
        last = self._led_to(last_block)
        if last is None or last_block - first_block >= _LINKED_BLOCKS:
            return None
        linked = [last]
        for number in range(last_block - 1, first_block - 1, -1):
            after = linked[-1]
            header = self._parent(after) or await self._header(number)
            if header is None or (header.block.number, header.block.hash) != (
                number,
                after.parent_hash,
            ):
                raise ReorgDetected(f"block {number} is not what block {number + 1} follows")
            linked.append(header)
        return linked

    async def _logs_of(self, headers: Iterable[Header]) -> list[RawLog] | None:
        """None where the node refuses: a block is gone, or it does not know this question."""
        found: list[RawLog] = []
        for header in headers:
            if not header.may_hold(self._blooms):
                continue
            try:
                found += await self._scanner.of_block(header.block.hash)
            except RpcRefusal as refusal:
                if refusal.limits_the_rate:
                    raise
                return None
        return found

    def _led_to(self, number: int) -> Header | None:
        """The head that was read, or what it leads back to by what is remembered."""
        header = self._head
        while header is not None and header.block.number > number:
            header = self._parent(header)
        return header if header is not None and header.block.number == number else None

    def _parent(self, header: Header) -> Header | None:
        """As it is remembered; heights fall by one, or a header could lead back to itself."""
        parent = self._known.get(header.parent_hash)
        follows = parent is not None and parent.block.number == header.block.number - 1
        return parent if follows else None

    async def _header(self, number: int) -> Header | None:
        header = await self._rpc.request_as(
            to_header_or_none, "eth_getBlockByNumber", [quantity(number), False]
        )
        if header is not None:
            self._remember(header)
        return header

    def _remember(self, header: Header) -> None:
        self._known[header.block.hash] = header
        self._known.move_to_end(header.block.hash)
        while len(self._known) > _REMEMBERED_BLOCKS:
            self._known.popitem(last=False)


class RecentHead:
    """The head for who need not be the first to know: as another has read it lately."""

    def __init__(self, reader: Reader, seconds: float) -> None:
        self._reader = reader
        self._seconds = seconds

    async def head(self) -> BlockRef:
        return await self._reader.recent_head(self._seconds)


def _head(raw: Mapping[str, Any] | None) -> Header:
    if raw is None:
        raise ValueError("there are no blocks")
    return to_header(raw)


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
