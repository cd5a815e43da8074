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
from oracle.core.types import ZERO_BYTES32
from oracle.court.commit_plan import CommitPlan
from oracle.errors import TraceError
from oracle.program.instruction import Program, Trace

MAX_ROWS: Final = 2**32 - 1

_WORTH_THREADS: Final = 4 << 20
_LETS_GO_BYTES: Final = 2_048
"""Shorter leaves are hashed without letting go of the interpreter: threads would take turns."""


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


def no_rows_root(program_root: bytes) -> bytes:
    """The trace root of a malformed input: it has no rows, so nothing was run."""
    return trace_root(program_root, 0, ZERO_BYTES32)


def commit(
    program: Program,
    program_root: bytes,
    trace: Trace,
    *,
    threads: int = 1,
    plan: CommitPlan | None = None,
) -> Commitment:
    """Hashes a trace.

    Args:
        program: the program that ran.
        program_root: its root; not computed here, because it never changes.
        threads: cores to use; small traces are not worth more than one.
        plan: of this program, from whoever commits often; changes no bit.

    Raises:
        TraceError: a row lacks a tensor, or a tensor is not of the program's size and type.
    """
    (plan or CommitPlan(program)).check(trace)
    if plan is not None and plan.framed:
        leaves = plan.leaves(trace)
    else:
        leaves = _leaves(program, trace, threads)
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


def raw_bytes(values: NDArray[Any]) -> memoryview:
    """A flat tensor's bytes; copied only where they do not lie together."""
    return np.ascontiguousarray(values).view(np.uint8).data


def _leaves(program: Program, trace: Trace, threads: int) -> bytes:
    leaf_bytes = program.leaf_bytes
    size = program.row_trace_bytes * len(trace.rows)
    if threads < 2 or leaf_bytes < _LETS_GO_BYTES or size < _WORTH_THREADS:
        threads = 1
    shares = list(_shares(trace, leaf_bytes, -(-size // threads)))
    if len(shares) < 2:
        return b"".join(_share_hashes(share, leaf_bytes) for share in shares)
    with ThreadPoolExecutor(len(shares), thread_name_prefix="commit") as pool:
        return b"".join(pool.map(lambda share: _share_hashes(share, leaf_bytes), shares))


def _shares(trace: Trace, leaf_bytes: int, size: int) -> Iterator[list[_Piece]]:
    """The trace in shares of about a size, one for each thread.

    Many small pieces would have the threads meet at the interpreter's lock far more often.
    """
    share: list[_Piece] = []
    left = size
    for number, row in enumerate(trace.rows):
        for tensor, values in enumerate(row):
            data, first = raw_bytes(values), 0
            while len(data):
                count = max(1, merkle.leaf_count(left, leaf_bytes))
                taken = data[: count * leaf_bytes]
                share.append(_Piece(number, tensor, first, taken))
                data, first, left = data[len(taken) :], first + count, left - len(taken)
                if left <= 0:
                    yield share
                    share, left = [], left + size
    if share:
        yield share


def _share_hashes(share: list[_Piece], leaf_bytes: int) -> bytes:
    return b"".join(_hashed(piece, leaf_bytes) for piece in share)


def _hashed(piece: _Piece, leaf_bytes: int) -> bytes:
    if len(piece.data) <= leaf_bytes:
        header = merkle.leaf_header(merkle.TRACE, piece.row, piece.tensor, piece.first)
        return sha256(header + piece.data).digest()
    return merkle.leaf_hashes(
        merkle.TRACE, piece.row, piece.tensor, piece.data, leaf_bytes, first=piece.first
    )
