"""Where a fork left what was read: the newest block that was stood on and is still canonical."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from oracle.core.event import BlockRef


class BlockReader(Protocol):
    async def block(self, number: int) -> BlockRef | None:
        """The canonical block at this height, or None past the head."""
        ...


async def newest_canonical(reader: BlockReader, stood_on: Sequence[BlockRef]) -> BlockRef | None:
    """The first of these blocks, newest first, that the chain still has; None where none is left.

    Raises ChainUnreachable.
    """
    for block in stood_on:
        canonical = await reader.block(block.number)
        if canonical is not None and canonical.hash == block.hash:
            return block
    return None
