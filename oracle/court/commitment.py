"""One hash over everything that a run computed: the trace root, and the tree that opens it.

Responsible for checking that a trace has the program's tensors, and for hashing it on as many
cores as it is given. Knows nothing of what the numbers mean, or of where a trace is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.core import merkle
from oracle.errors import TraceError
from oracle.program.instruction import Program, Trace

MAX_ROWS: Final = 2**32 - 1

_PIECE_BYTES: Final = 4 << 20
"""What one thread hashes at a time."""
_WORTH_THREADS: Final = 2 * _PIECE_BYTES


@dataclass(frozen=True, slots=True)
class Commitment:
    """A committed trace.

    Attributes:
        levels: the tree over the leaves of all rows, from which openings are made.
    """

    trace_root: bytes
    program_root: bytes
    rows: int
    levels: merkle.Levels


@dataclass(frozen=True, slots=True)
class _Piece:
    """Consecutive leaves of one tensor."""

    row: int
    tensor: int
    first: int
    data: memoryview


def commit(program: Program, program_root: bytes, trace: Trace, *, threads: int = 1) -> Commitment:
    """Hashes a trace.

    Args:
        program: the program that ran.
        program_root: its root; not computed here, because it never changes.
        threads: cores to use; small traces are not worth more than one.

    Raises:
        TraceError: a row lacks a tensor, or a tensor is not of the program's size and type.
    """
    check_trace(program, trace)
    pieces = _pieces(program, trace)
    leaf_bytes = program.leaf_bytes
    if threads > 1 and program.row_trace_bytes * len(trace.rows) >= _WORTH_THREADS:
        with ThreadPoolExecutor(threads, thread_name_prefix="commit") as pool:
            leaves = b"".join(pool.map(lambda piece: _hashed(piece, leaf_bytes), pieces))
    else:
        leaves = b"".join(_hashed(piece, leaf_bytes) for piece in pieces)
    levels = merkle.build(leaves)
    rows = len(trace.rows)
    root = trace_root(program_root, rows, merkle.root_of(levels))
    return Commitment(root, program_root, rows, levels)


def trace_root(program_root: bytes, rows: int, tree_root: bytes) -> bytes:
    """What an answer commits to: the program, the number of rows, and all that they computed."""
    if len(program_root) != merkle.DIGEST_BYTES:
        raise TraceError(f"a program root is {merkle.DIGEST_BYTES} bytes, not {len(program_root)}")
    if not 0 <= rows <= MAX_ROWS:
        raise TraceError(f"a trace of {rows} rows cannot be committed")
    return sha256(b"ROOT" + program_root + rows.to_bytes(4, "big") + tree_root).digest()


def check_trace(program: Program, trace: Trace) -> None:
    """Raises TraceError where a trace is not one of this program."""
    for number, row in enumerate(trace.rows):
        if len(row) != len(program.tensors):
            raise TraceError(
                f"row {number} has {len(row)} tensors, the program has {len(program.tensors)}"
            )
        for values, info in zip(row, program.tensors, strict=True):
            if values.dtype != info.element.dtype or values.shape != (info.size,):
                raise TraceError(
                    f"row {number}: tensor {info.name!r} is {values.dtype}{list(values.shape)}, "
                    f"not {info.element.value}[{info.size}]"
                )


def raw_bytes(values: NDArray[Any]) -> memoryview:
    """A flat tensor's bytes; copied only where they do not lie together."""
    return np.ascontiguousarray(values).view(np.uint8).data


def _pieces(program: Program, trace: Trace) -> Iterator[_Piece]:
    step = max(1, _PIECE_BYTES // program.leaf_bytes)
    for number, row in enumerate(trace.rows):
        for tensor, values in enumerate(row):
            data = raw_bytes(values)
            for first in range(0, merkle.leaf_count(len(data), program.leaf_bytes), step):
                start = first * program.leaf_bytes
                stop = start + step * program.leaf_bytes
                yield _Piece(number, tensor, first, data[start:stop])


def _hashed(piece: _Piece, leaf_bytes: int) -> bytes:
    if len(piece.data) <= leaf_bytes:
        header = merkle.leaf_header(merkle.TRACE, piece.row, piece.tensor, piece.first)
        return sha256(header + piece.data).digest()
    return merkle.leaf_hashes(
        merkle.TRACE, piece.row, piece.tensor, piece.data, leaf_bytes, first=piece.first
    )
