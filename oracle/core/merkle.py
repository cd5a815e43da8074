"""Binary SHA-256 trees: leaves of tensors, roots, and proofs that a run of leaves lies in a tree.

    leaf = SHA-256(tag ‖ row ‖ tensor ‖ index ‖ data)      uint32 big-endian each
    node = SHA-256("NODE" ‖ left ‖ right)                  an odd level ends with 32 zero bytes

A level is the concatenation of its digests. A proof of leaves [first, first + count) holds, level
by level from the leaves up, the digest left of the range (where it starts at an odd position) and
then the one right of it (where it ends at an even position), but never the 32 zero bytes. Knows
nothing of programs or files; whoever calls says what a leaf is of.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from oracle.errors import TraceError

DIGEST_BYTES: Final = 32
HEADER_BYTES: Final = 16
TRACE: Final = b"TRCE"
CONSTANT: Final = b"CNST"
RECORD: Final = b"RCRD"

Levels: TypeAlias = tuple[bytes, ...]
"""All levels of a tree, leaves first, the root last; of a tree of no leaves, one empty level."""

_NODE: Final = b"NODE"
_ZERO: Final = bytes(DIGEST_BYTES)
_FRAME_BYTES: Final = 1 << 20
"""Leaves are framed by their headers in pieces that stay in a cache, and are long enough that
threads, which want the interpreter for each piece, seldom meet there."""
_FEW: Final = 8
"""Below so many leaves a tensor is hashed one by one."""


def leaf_header(tag: bytes, row: int, tensor: int, index: int) -> bytes:
    """What comes before a leaf's data: four bytes of tag and three numbers."""
    return tag + struct.pack(">III", row, tensor, index)


def leaf_hash(tag: bytes, row: int, tensor: int, index: int, data: bytes) -> bytes:
    """The digest of one leaf."""
    return sha256(leaf_header(tag, row, tensor, index) + data).digest()


def leaf_count(byte_count: int, leaf_bytes: int) -> int:
    """Leaves of a tensor; none where it is empty."""
    return -(-byte_count // leaf_bytes)


def leaf_hashes(
    tag: bytes,
    row: int,
    tensor: int,
    data: bytes | memoryview | NDArray[Any],
    leaf_bytes: int,
    *,
    first: int = 0,
) -> bytes:
    """The digests of consecutive leaves of one tensor, one after the other.

    Args:
        data: contiguous bytes; the last leaf is shorter where they do not fill it.
        first: index of the first of these leaves within the tensor.
    """
    flat = np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)
    full = flat.size // leaf_bytes
    digests: list[bytes] = []
    if full < _FEW:
        full = 0
    head = leaf_header(tag, row, tensor, 0)[:12]
    step = max(1, min(full, _FRAME_BYTES // (HEADER_BYTES + leaf_bytes)))
    if full:
        framed = np.empty((step, HEADER_BYTES + leaf_bytes), np.uint8)
        framed[:, :12] = np.frombuffer(head, np.uint8)
        views = row_views(framed)
    for start in range(0, full, step):
        stop = min(full, start + step)
        numbers = np.arange(first + start, first + stop).astype(">u4")
        framed[: stop - start, 12:HEADER_BYTES] = numbers.view(np.uint8).reshape(-1, 4)
        piece = flat[start * leaf_bytes : stop * leaf_bytes]
        framed[: stop - start, HEADER_BYTES:] = piece.reshape(-1, leaf_bytes)
        digests += [sha256(view).digest() for view in views[: stop - start]]
    rest = flat.data
    for index in range(full, leaf_count(flat.size, leaf_bytes)):
        one = rest[index * leaf_bytes : (index + 1) * leaf_bytes]
        digests.append(sha256(head + (first + index).to_bytes(4, "big") + one).digest())
    return b"".join(digests)


def row_views(framed: NDArray[np.uint8]) -> list[memoryview]:
    """The rows of a matrix of bytes: to be hashed in place, again and again."""
    width, whole = framed.shape[1], framed.reshape(-1).data
    return [whole[at : at + width] for at in range(0, len(whole), width)]


def build(leaves: bytes) -> Levels:
    """All levels above these leaves, which are concatenated digests."""
    if len(leaves) % DIGEST_BYTES:
        raise ValueError("leaves are concatenated 32-byte digests")
    levels = [leaves]
    while len(levels[-1]) > DIGEST_BYTES:
        levels.append(_parents(levels[-1]))
    return tuple(levels)


def root_of(levels: Levels) -> bytes:
    """32 zero bytes for a tree of no leaves."""
    return levels[-1] or _ZERO


def prove(levels: Levels, first: int, count: int) -> tuple[bytes, ...]:
    """What must be added to the leaves [first, first + count) to arrive at the root.

    Raises:
        TraceError: no leaves, or leaves that the tree does not have.
    """
    length = len(levels[0]) // DIGEST_BYTES
    _check_range(length, first, count)
    proof: list[bytes] = []
    last = first + count - 1
    for level in levels[:-1]:
        if first % 2:
            proof.append(_digest(level, first - 1))
        if last % 2 == 0 and last + 1 < length:
            proof.append(_digest(level, last + 1))
        first, last, length = first // 2, last // 2, (length + 1) // 2
    return tuple(proof)


def proof_length(length: int, first: int, count: int) -> int:
    """Digests of the proof of this range in a tree of `length` leaves. Raises TraceError."""
    _check_range(length, first, count)
    last, digests = first + count - 1, 0
    while length > 1:
        digests += first % 2 + (last % 2 == 0 and last + 1 < length)
        first, last, length = first // 2, last // 2, (length + 1) // 2
    return digests


def fold(length: int, first: int, leaves: Sequence[bytes], proof: Sequence[bytes]) -> bytes:
    """The root of the tree of `length` leaves that these digests and this proof are of.

    Raises:
        TraceError: the range is empty or not in the tree, or the proof is too short or too long.
    """
    wanted = proof_length(length, first, len(leaves))
    if len(proof) != wanted:
        raise TraceError(f"the proof has {len(proof)} digests, these leaves need {wanted}")
    if any(len(digest) != DIGEST_BYTES for digest in (*leaves, *proof)):
        raise TraceError(f"a digest in a proof is not {DIGEST_BYTES} bytes")
    rest = iter(proof)
    nodes = list(leaves)
    while length > 1:
        if first % 2:
            nodes.insert(0, next(rest))
        if (first - first % 2 + len(nodes)) % 2:
            past = first - first % 2 + len(nodes)
            nodes.append(next(rest) if past < length else _ZERO)
        nodes = [
            sha256(_NODE + left + right).digest()
            for left, right in zip(nodes[::2], nodes[1::2], strict=True)
        ]
        first, length = first // 2, (length + 1) // 2
    return nodes[0]


def narrowed(
    length: int, first: int, leaves: Sequence[bytes], proof: Sequence[bytes], start: int, count: int
) -> tuple[bytes, ...]:
    """Of a proof of these leaves, which begin at `first`: the one of the leaves [start, start +
    count) among them. Raises TraceError where they are not among them, or the proof is not of
    the leaves' number."""
    _check_range(len(leaves), start - first, count)
    wanted = proof_length(length, first, len(leaves))
    if len(proof) != wanted:
        raise TraceError(f"the proof has {len(proof)} digests, these leaves need {wanted}")
    rest, nodes, last, shorter = iter(proof), list(leaves), start + count - 1, []
    while length > 1:
        if first % 2:
            nodes.insert(0, next(rest))
            first -= 1
        if len(nodes) % 2:
            nodes.append(next(rest) if first + len(nodes) < length else _ZERO)
        if start % 2:
            shorter.append(nodes[start - 1 - first])
        if last % 2 == 0 and last + 1 < length:
            shorter.append(nodes[last + 1 - first])
        above = _parents(b"".join(nodes))
        nodes = [above[at : at + DIGEST_BYTES] for at in range(0, len(above), DIGEST_BYTES)]
        first, start, last, length = first // 2, start // 2, last // 2, (length + 1) // 2
    return tuple(shorter)


def _check_range(length: int, first: int, count: int) -> None:
    if count < 1:
        raise TraceError(f"{count} leaves prove nothing; ask for one or more")
    if first < 0 or first + count > length:
        raise TraceError(
            f"leaves {first} to {first + count - 1} are not in a tree of {length} leaves"
        )


def _parents(level: bytes) -> bytes:
    if len(level) // DIGEST_BYTES % 2:
        level += _ZERO
    digests = []
    begun = sha256(_NODE).copy  # cheaper than a new hash: the library looks none up
    for at in range(0, len(level), 2 * DIGEST_BYTES):
        node = begun()
        node.update(level[at : at + 2 * DIGEST_BYTES])
        digests.append(node.digest())
    return b"".join(digests)


def _digest(level: bytes, position: int) -> bytes:
    return level[position * DIGEST_BYTES : (position + 1) * DIGEST_BYTES]
