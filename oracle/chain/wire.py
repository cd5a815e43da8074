"""JSON-RPC's hexadecimal forms of numbers, bytes and blocks.

Responsible for turning them into Python values and back. Knows nothing of connections or contracts.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from eth_utils.address import to_checksum_address

from oracle.core.event import BlockRef
from oracle.core.types import Address

RawLog: TypeAlias = Mapping[str, Any]
"""One log as the node sent it."""


def quantity(value: int) -> str:
    """A number as JSON-RPC wants it: no leading zeros."""
    return hex(value)


def to_hex(value: bytes) -> str:
    """Bytes as JSON-RPC wants them."""
    return "0x" + value.hex()


def to_int(text: str) -> int:
    return int(text, 16)


def to_bytes(text: str) -> bytes:
    if not text.startswith("0x"):
        raise ValueError(f"{text[:20]!r} is not hex")
    return bytes.fromhex(text[2:])


@lru_cache(maxsize=1 << 16)
def to_address(raw: bytes) -> Address:
    """The checksummed form of 20 bytes. Cached, because a checksum is a Keccak."""
    return Address(to_checksum_address(raw))


def to_block(raw: Mapping[str, Any]) -> BlockRef:
    """A block header's number, hash and timestamp."""
    return BlockRef(
        number=to_int(raw["number"]),
        hash=to_bytes(raw["hash"]),
        timestamp=to_int(raw["timestamp"]),
    )


def to_block_or_none(raw: Mapping[str, Any] | None) -> BlockRef | None:
    """Nodes answer null for a block that is not there."""
    return None if raw is None else to_block(raw)


def block_tag(block: int | str) -> str:
    """A block by number, or one of the node's names for one ("latest", "pending")."""
    return quantity(block) if isinstance(block, int) else block
