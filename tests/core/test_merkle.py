"""Trees by a second implementation, and proofs that bear no change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core import merkle
from oracle.errors import TraceError

VECTORS = Path(__file__).parents[1] / "vectors" / "merkle.json"


def reference_root(leaves: Sequence[bytes]) -> bytes:
    """As docs/program.md says it, and as slowly as can be."""
    level = list(leaves) or [bytes(32)]
    while len(level) > 1:
        if len(level) % 2:
            level.append(bytes(32))
        level = [
            sha256(b"NODE" + level[at] + level[at + 1]).digest() for at in range(0, len(level), 2)
        ]
    return level[0]


def digests(count: int) -> list[bytes]:
    return [sha256(number.to_bytes(4, "big")).digest() for number in range(count)]


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int, int]:
    """(leaves of the tree, first, count)"""
    length = draw(st.integers(1, 70))
    first = draw(st.integers(0, length - 1))
    return length, first, draw(st.integers(1, length - first))


@pytest.mark.parametrize("length", [*range(20), 63, 64, 65, 1000, 9000])
def test_the_root_is_the_specified_one(length: int) -> None:
    leaves = digests(length)
    levels = merkle.build(b"".join(leaves))
    assert merkle.root_of(levels) == reference_root(leaves)
    assert len(levels) == 1 + max(0, length - 1).bit_length()


@given(
    st.binary(max_size=3000),
    st.sampled_from([1, 4, 32, 100, 256, 2048, 4096]),
    st.integers(0, 2**32 - 3001),
)
def test_leaves_are_the_specified_ones(data: bytes, leaf_bytes: int, first: int) -> None:
    cut = [data[at : at + leaf_bytes] for at in range(0, len(data), leaf_bytes)]
    expected = [
        sha256(
            b"TRCE"
            + (7).to_bytes(4, "big")
            + (9).to_bytes(4, "big")
            + (first + index).to_bytes(4, "big")
            + piece
        ).digest()
        for index, piece in enumerate(cut)
    ]
    found = merkle.leaf_hashes(merkle.TRACE, 7, 9, data, leaf_bytes, first=first)
    assert found == b"".join(expected)
    assert len(expected) == merkle.leaf_count(len(data), leaf_bytes)


@pytest.mark.parametrize("leaf_bytes", [64, 256, 2031, 2032, 4096, 8192])
def test_many_leaves_are_hashed_like_one(leaf_bytes: int) -> None:
    data = np.random.default_rng(1).integers(0, 256, 700_001, dtype=np.uint8)
    raw = data.tobytes()
    expected = b"".join(
        merkle.leaf_hash(merkle.CONSTANT, 0, 3, index, raw[at : at + leaf_bytes])
        for index, at in enumerate(range(0, len(raw), leaf_bytes))
    )
    assert merkle.leaf_hashes(merkle.CONSTANT, 0, 3, data, leaf_bytes) == expected


@given(ranges())
def test_any_range_verifies(given_range: tuple[int, int, int]) -> None:
    length, first, count = given_range
    leaves = digests(length)
    levels = merkle.build(b"".join(leaves))
    proof = merkle.prove(levels, first, count)
    assert len(proof) == merkle.proof_length(length, first, count)
    assert merkle.fold(length, first, leaves[first : first + count], proof) == levels[-1]


@given(ranges(), st.data())
def test_no_change_verifies(given_range: tuple[int, int, int], data: st.DataObject) -> None:
    length, first, count = given_range
    leaves = digests(length)
    levels = merkle.build(b"".join(leaves))
    proof = list(merkle.prove(levels, first, count))
    shown = leaves[first : first + count]

    def refused(at: int, some: Sequence[bytes], path: Sequence[bytes]) -> bool:
        try:
            return merkle.fold(length, at, some, path) != levels[-1]
        except TraceError:
            return True

    bit = data.draw(st.integers(0, 255))
    victim = data.draw(st.integers(0, count - 1))
    assert refused(
        first, [*shown[:victim], flipped(shown[victim], bit), *shown[victim + 1 :]], proof
    )
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        assert refused(first, shown, [*proof[:at], flipped(proof[at], bit), *proof[at + 1 :]])
        assert refused(first, shown, [*proof[:at], *proof[at + 1 :]])
        assert refused(first, shown, [*proof[:at], proof[at][:31], *proof[at + 1 :]])
    assert refused(first, shown, [*proof, bytes(32)])
    other = data.draw(st.integers(-2, length + 1).filter(lambda number: number != first))
    assert refused(other, shown, proof)
    assert refused(first, shown[:-1], proof)
    assert refused(first, [*shown, digests(length + 1)[-1]], proof)
    if count > 1:
        assert refused(first, [shown[1], shown[0], *shown[2:]], proof)


@pytest.mark.parametrize(("first", "count"), [(0, 0), (0, -1), (-1, 1), (5, 1), (4, 2), (0, 6)])
def test_ranges_outside_the_tree_are_refused(first: int, count: int) -> None:
    levels = merkle.build(b"".join(digests(5)))
    with pytest.raises(TraceError):
        merkle.prove(levels, first, count)


def test_a_tree_of_nothing_has_a_root_and_proves_nothing() -> None:
    levels = merkle.build(b"")
    assert merkle.root_of(levels) == bytes(32)
    with pytest.raises(TraceError, match="tree of 0 leaves"):
        merkle.prove(levels, 0, 1)


def test_a_node_is_no_leaf_and_a_tag_is_not_another() -> None:
    first, second = digests(2)
    node = merkle.root_of(merkle.build(first + second))
    assert merkle.leaf_hash(merkle.TRACE, 0, 0, 0, first + second) != node
    tags = (merkle.TRACE, merkle.CONSTANT, merkle.RECORD)
    assert len({merkle.leaf_hash(tag, 0, 0, 0, b"") for tag in tags}) == 3


def test_the_shared_vectors_hold() -> None:
    """The same file is read by the contracts' tests."""
    for case in json.loads(VECTORS.read_text()):
        data, leaf_bytes = bytes.fromhex(case["data"][2:]), case["leafBytes"]
        leaves = merkle.leaf_hashes(
            case["tag"].encode(), case["row"], case["tensor"], data, leaf_bytes
        )
        levels = merkle.build(leaves)
        assert "0x" + merkle.root_of(levels).hex() == case["root"]
        proof = merkle.prove(levels, case["first"], case["count"])
        assert ["0x" + digest.hex() for digest in proof] == case["proof"]
        shown = [leaves[32 * n : 32 * n + 32] for n in range(len(leaves) // 32)]
        some = shown[case["first"] : case["first"] + case["count"]]
        found = merkle.fold(len(shown), case["first"], some, proof)
        assert found == merkle.root_of(levels)
        assert reference_root(shown) == found


def flipped(digest: bytes, bit: int) -> bytes:
    return (int.from_bytes(digest, "big") ^ 1 << bit).to_bytes(32, "big")
