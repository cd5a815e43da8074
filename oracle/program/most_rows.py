"""How many rows one request of a program may have where nobody says: as many as its trace allows.

A trace is in memory whole, twice, before an answer is signed, and on the disk until its window is
over; a requester pays for a request and not for its rows. Knows the size of a trace alone.
"""

from __future__ import annotations

from typing import Final

from oracle.core.schema import DEFAULT_MAX_BATCH

FULL_TRACE_BYTES: Final = 64 << 20
"""Most bytes of the trace of a request, unless it is of a single row."""


def choose_most_rows(row_trace_bytes: int) -> int:
    """The most rows for traces of so many bytes a row."""
    return max(1, min(DEFAULT_MAX_BATCH, FULL_TRACE_BYTES // max(1, row_trace_bytes)))
