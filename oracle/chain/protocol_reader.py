"""Everything that happened at all four contracts in a range of blocks, and when.

Reads as `reader` does, never a mixture of two forks, and adds the time of each block that something
happened in. Knows nothing of cursors, nor of what becomes of what it reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from oracle.chain import codec, court_contract, market_codec
from oracle.chain.deployment import Deployment
from oracle.chain.logs import LARGEST_SPAN
from oracle.chain.reader import Reader
from oracle.chain.rpc import Rpc
from oracle.chain.wire import RawLog, to_bytes, to_int
from oracle.core.event import BlockRef, LoggedEvent
from oracle.core.types import ZERO_ADDRESS
from oracle.errors import ChainUnreachable, ReorgDetected

_BLOCKS_AT_ONCE: Final = 8

_Decode: TypeAlias = Callable[[RawLog], LoggedEvent | None]


@dataclass(frozen=True, slots=True)
class Chapter:
    """All events of one block range, in chain order, and the Unix second of each block in them."""

    first_block: int
    last: BlockRef
    events: tuple[LoggedEvent, ...]
    times: Mapping[int, int]


class ProtocolReader:
    """Reads one deployment."""

    def __init__(self, rpc: Rpc, reader: Reader, deployment: Deployment) -> None:
        self._rpc = rpc
        self._reader = reader
        decoders: dict[str, _Decode] = {
            deployment.oracle: codec.decode_log,
            deployment.registry: market_codec.REGISTRY.decode,
            deployment.staking: market_codec.STAKING.decode,
            deployment.court: court_contract.decode_log,
        }
        self._decoders = {one.lower(): decode for one, decode in decoders.items()}

    @classmethod
    async def open(
        cls, rpc: Rpc, deployment: Deployment, *, largest_span: int = LARGEST_SPAN
    ) -> ProtocolReader:
        """Raises ChainUnreachable."""
        beside = [deployment.registry, deployment.staking]
        if deployment.court != ZERO_ADDRESS:
            beside.append(deployment.court)
        reader = await Reader.open(rpc, deployment.oracle, largest_span=largest_span, beside=beside)
        return cls(rpc, reader, deployment)

    @property
    def genesis_hash(self) -> bytes:
        return self._reader.genesis_hash

    async def head(self) -> BlockRef:
        return await self._reader.head()

    async def block(self, number: int) -> BlockRef | None:
        """The canonical block at this height, or None past the head."""
        return await self._reader.block(number)

    async def chapter(self, first_block: int, last_block: int) -> Chapter:
        """Everything of an inclusive range.

        Raises:
            ReorgDetected: the chain changed while it was read; read again.
        """
        last, logs = await self._reader.logs(first_block, last_block)
        found = [event for event in map(self._decode, logs) if event is not None]
        return Chapter(first_block, last, tuple(found), await self._times(logs, last))

    def _decode(self, log: RawLog) -> LoggedEvent | None:
        decode = self._decoders.get(str(log.get("address", "")).lower())
        return None if decode is None else decode(log)

    async def _times(self, logs: Sequence[RawLog], last: BlockRef) -> Mapping[int, int]:
        """Newer nodes say the time with the log; others are asked for the block."""
        times = {last.number: last.timestamp}
        unknown: dict[int, bytes] = {}
        try:
            for log in logs:
                number = to_int(log["blockNumber"])
                if number in times:
                    continue
                if log.get("blockTimestamp"):
                    times[number] = to_int(log["blockTimestamp"])
                else:
                    unknown[number] = to_bytes(log["blockHash"])
        except (KeyError, TypeError, ValueError) as error:
            raise ChainUnreachable(f"the node sent a log without a place: {error!r}") from error
        turn = asyncio.Semaphore(_BLOCKS_AT_ONCE)

        async def timed(number: int, hash_: bytes) -> None:
            async with turn:
                block = await self._rpc.block(number)
            if block is None or block.hash != hash_:
                raise ReorgDetected(f"block {number} changed while its logs were read")
            times[number] = block.timestamp

        await asyncio.gather(*(timed(*one) for one in unknown.items()))
        return times
