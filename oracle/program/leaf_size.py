"""How large the leaves of a program are: small where hashing is free, large where it is not.

docs/decisions/0010-leaf-size.md has the figures. Knows the size of a trace and nothing else of it.
"""

from __future__ import annotations

from typing import Final

SMALL_LEAF_BYTES: Final = 256
MEDIUM_LEAF_BYTES: Final = 1_024
LARGE_LEAF_BYTES: Final = 4_096

_SMALL_TRACE_BYTES: Final = 1 << 20
_MEDIUM_TRACE_BYTES: Final = 4 << 20


def choose_leaf_bytes(row_trace_bytes: int) -> int:
    """The leaf size for traces of so many bytes a row.

    The smallest of three with which one core hashes a row within about 10 ms; the largest where
    none does.
    """
    if row_trace_bytes <= _SMALL_TRACE_BYTES:
        return SMALL_LEAF_BYTES
    if row_trace_bytes <= _MEDIUM_TRACE_BYTES:
        return MEDIUM_LEAF_BYTES
    return LARGE_LEAF_BYTES
