"""A request as the next block will find it: its state, the clock, and whether its window is closed.

Reads from one endpoint at a time, as one that is behind makes a window look open or a conviction
absent. Knows no case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from oracle.client.reader import OracleReader
from oracle.core.request import RequestState
from oracle.ports.contracts import OnChainRequest

_CERTAIN_SECONDS: Final = 30
"""Where no block comes, the clock alone closes a window, and it must be late beyond any lag."""


@dataclass(frozen=True, slots=True)
class Window:
    """Attributes: head: Unix second of the head. now: that of the next block, or a little less."""

    head: int
    now: int
    request: OnChainRequest

    @property
    def is_closed(self) -> bool:
        """Whether an answer stands that can be voided no more; by the clock, see `by_clock`."""
        stands = self.request.state is RequestState.ANSWERED
        return stands and (self.head >= self.request.settle_at or self.by_clock)

    @property
    def by_clock(self) -> bool:
        """Whether the clock alone says so: what is under way may be in a block not seen yet."""
        settle_at = self.request.settle_at
        return self.head < settle_at and self.now >= settle_at + _CERTAIN_SECONDS


async def look(reader: OracleReader, request_id: bytes) -> Window:
    """Raises ChainUnreachable."""

    async def read() -> Window:
        # In this order: what is not voided at that time or later can be voided no more.
        head = (await reader.rpc.latest()).timestamp
        return Window(head, await reader.rpc.next_timestamp(), await reader.state(request_id))

    return await reader.rpc.on_one_endpoint(read)
