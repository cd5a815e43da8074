"""A whole trace as bytes: every tensor of every row in committed order, nothing in between.

Where each lies follows from the program. Checks the length and no more: the root tells the rest.
"""

from __future__ import annotations

import numpy as np

from oracle.court.commitment import raw_bytes
from oracle.errors import TraceError
from oracle.program.instruction import Program, Trace


def write_trace(trace: Trace) -> bytes:
    """The bytes of a trace."""
    return b"".join(raw_bytes(values) for row in trace.rows for values in row)


def read_trace(program: Program, data: bytes, rows: int) -> Trace:
    """The trace in these bytes. Raises TraceError for another length than that of so many rows."""
    wanted = program.row_trace_bytes * rows
    if len(data) != wanted:
        raise TraceError(f"{len(data):,} bytes; a trace of {rows} rows has {wanted:,}")
    found, offset = [], 0
    for _ in range(rows):
        row = []
        for info in program.tensors:
            row.append(np.frombuffer(data, info.element.dtype, info.size, offset))
            offset += info.byte_count
        found.append(tuple(row))
    return Trace(tuple(found))
