"""A block's header: its place in the chain, and whether its logs need be asked for at all.

Responsible for what a header alone tells of a contract's logs. Knows no endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from eth_utils.crypto import keccak

from oracle.chain.wire import to_block, to_bytes, to_int
from oracle.core.event import BlockRef
from oracle.core.types import Address

_BLOOM_BITS: Final = 2_048
_BLOOM_CHARACTERS: Final = 2 + _BLOOM_BITS // 4


@dataclass(frozen=True, slots=True)
class Header:
    """A block, its parent, and what it says of the logs in it.

    Attributes:
        empty: it holds no transaction.
        bloom: of its logs (Yellow Paper, 4.4.1); 0 where it names none or gives no bloom.
    """

    block: BlockRef
    parent_hash: bytes
    empty: bool = False
    bloom: int = 0

    def may_hold(self, blooms: Iterable[int]) -> bool:
        """Whether logs of one of these contracts can be in it, each by its `bloom_of`.

        Some chains fill no bloom, so one of zero says nothing of a block with transactions.
        """
        if self.empty:
            return False
        return not self.bloom or any(self.bloom & one == one for one in blooms)


def bloom_of(contract: Address) -> int:
    """The bits of a bloom that each log of a contract sets (Yellow Paper, 4.4.1: M3:2048)."""
    digest = keccak(bytes.fromhex(contract[2:]))
    bloom = 0
    for at in (0, 2, 4):
        bloom |= 1 << int.from_bytes(digest[at : at + 2], "big") % _BLOOM_BITS
    return bloom


def to_header(raw: Mapping[str, Any]) -> Header:
    """A header as a node sends it. Raises ValueError, KeyError, TypeError."""
    bloom = str(raw.get("logsBloom"))
    return Header(
        to_block(raw),
        to_bytes(raw["parentHash"]),
        empty=raw.get("transactions") == [],
        bloom=to_int(bloom) if len(bloom) == _BLOOM_CHARACTERS else 0,
    )


def to_header_or_none(raw: Mapping[str, Any] | None) -> Header | None:
    """Nodes answer null for a block that is not there."""
    return None if raw is None else to_header(raw)
