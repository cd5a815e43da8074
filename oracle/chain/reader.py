"""The chain as the services read it: blocks, and the oracle's events of a range from one fork.

Implements `ports.ChainReader`. Responsible for never passing on a mixture of two forks, a repeated
log or a range cut short. Knows nothing of cursors: it is told what to read.
"""

from __future__ import annotations

from collections.abc import Iterable

from oracle.chain.codec import decode_logs
from oracle.chain.logs import LARGEST_SPAN, LogScanner
from oracle.chain.rpc import Rpc
from oracle.chain.wire import RawLog, to_int
from oracle.core.event import BlockRef, LogBatch
from oracle.core.typed_data import Domain
from oracle.core.types import Address
from oracle.errors import ChainUnreachable, ReorgDetected


class Reader:
    """Reads one oracle's events through one endpoint."""

    def __init__(
        self, rpc: Rpc, oracle: Address, genesis_hash: bytes, *, largest_span: int = LARGEST_SPAN
    ) -> None:
        self._rpc = rpc
        self._scanner = LogScanner(rpc, oracle, largest_span=largest_span)
        self._domain = Domain(rpc.chain_id, oracle)
        self._genesis_hash = genesis_hash

    @classmethod
    async def open(cls, rpc: Rpc, oracle: Address, *, largest_span: int = LARGEST_SPAN) -> Reader:
        """A reader that knows which chain it reads. Raises ChainUnreachable."""
        genesis = await rpc.block(0)
        if genesis is None:
            raise ChainUnreachable(f"{rpc.endpoint} has no block 0")
        return cls(rpc, oracle, genesis.hash, largest_span=largest_span)

    @property
    def domain(self) -> Domain:
        return self._domain

    @property
    def genesis_hash(self) -> bytes:
        return self._genesis_hash

    async def head(self) -> BlockRef:
        return await self._rpc.latest()

    async def block(self, number: int) -> BlockRef | None:
        return await self._rpc.block(number)

    async def events(self, first_block: int, last_block: int) -> LogBatch:
        """All oracle events of an inclusive range, in order, from one fork.

        The last block's hash is compared before and after, and it commits to every block before it.

        Raises:
            ValueError: the range is reversed, which a node would answer with silence.
            ReorgDetected: the chain changed while it was read; read again.
        """
        if first_block > last_block:
            raise ValueError(f"blocks {first_block} to {last_block} are a reversed range")
        last = await self._rpc.block(last_block)
        if last is None:
            raise ReorgDetected(f"block {last_block} is not on the chain (any more)")
        logs = await self._scanner.scan(first_block, last_block)
        if await self._rpc.block(last_block) != last:
            raise ReorgDetected(f"block {last_block} changed while its logs were read")
        ordered = _in_chain_order(logs, first_block, last)
        return LogBatch(first_block, last, decode_logs(ordered))


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
