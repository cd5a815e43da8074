"""The trace root by a second implementation, on any number of cores."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core import merkle
from oracle.core.schema import ElementType
from oracle.court.commitment import commit, trace_root
from oracle.errors import TraceError
from oracle.program.instruction import Program, Trace
from tests.support.small_programs import small_program, small_trace

ROOT = sha256(b"a program").digest()

specs = st.lists(
    st.tuples(
        st.sampled_from([ElementType.FLOAT32, ElementType.BOOL, ElementType.INT64]),
        st.integers(1, 90),
    ),
    min_size=1,
    max_size=5,
)


def reference(program: Program, trace: Trace) -> bytes:
    leaves = []
    for number, row in enumerate(trace.rows):
        for tensor, values in enumerate(row):
            raw, step = values.tobytes(), program.leaf_bytes
            for index, at in enumerate(range(0, len(raw), step)):
                words = b"".join(n.to_bytes(4, "big") for n in (number, tensor, index))
                leaves.append(sha256(b"TRCE" + words + raw[at : at + step]).digest())
    level = leaves or [bytes(32)]
    while len(level) > 1:
        level = level + [bytes(32)] * (len(level) % 2)
        pairs = zip(level[::2], level[1::2], strict=True)
        level = [sha256(b"NODE" + left + right).digest() for left, right in pairs]
    return sha256(b"ROOT" + ROOT + len(trace.rows).to_bytes(4, "big") + level[0]).digest()


@given(specs, st.integers(0, 4), st.sampled_from([4, 32, 256]))
def test_the_root_is_the_specified_one(
    tensors: list[tuple[ElementType, int]], rows: int, leaf_bytes: int
) -> None:
    program = small_program(tensors, leaf_bytes=leaf_bytes)
    trace = small_trace(program, rows)
    commitment = commit(program, ROOT, trace)
    assert commitment.trace_root == reference(program, trace)
    assert (commitment.rows, commitment.program_root) == (rows, ROOT)
    assert len(commitment.levels[0]) // 32 == rows * program.row_leaf_count


@pytest.mark.parametrize("leaf_bytes", [256, 4096])
@pytest.mark.parametrize("threads", [2, 3, 16])
def test_threads_change_nothing(leaf_bytes: int, threads: int) -> None:
    sizes = [3_000_000, 5, 1_500_001, 64]
    program = small_program([(ElementType.FLOAT32, n) for n in sizes], leaf_bytes=leaf_bytes)
    trace = small_trace(program, 2)
    alone = commit(program, ROOT, trace)
    assert commit(program, ROOT, trace, threads=threads) == alone
    assert merkle.root_of(alone.levels) == alone.levels[-1]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(1, 3), st.integers(2, 5))
def test_shares_are_the_trace_cut_at_leaves(sizes: list[int], rows: int, threads: int) -> None:
    leaf_bytes = 2048  # a few leaves a tensor, so that shares end within and between tensors
    tensors = [(ElementType.FLOAT32, size * 300) for size in sizes]
    program = small_program(tensors, leaf_bytes=leaf_bytes)
    trace = small_trace(program, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("oracle.court.commitment._WORTH_THREADS", 0)
        assert commit(program, ROOT, trace, threads=threads).trace_root == reference(program, trace)


def test_every_element_row_and_order_is_bound() -> None:
    program = small_program([(ElementType.FLOAT32, 5), (ElementType.FLOAT32, 5)], leaf_bytes=8)
    trace = small_trace(program, 2)
    roots = {commit(program, ROOT, trace).trace_root}
    for row in range(2):
        for tensor in range(2):
            for position in range(5):
                rows = [[values.copy() for values in one] for one in trace.rows]
                rows[row][tensor].view("<u4")[position] ^= 1
                roots.add(commit(program, ROOT, Trace(tuple(map(tuple, rows)))).trace_root)
    roots.add(commit(program, ROOT, Trace(trace.rows[::-1])).trace_root)
    roots.add(commit(program, ROOT, Trace(trace.rows[:1])).trace_root)
    roots.add(commit(program, sha256(b"another").digest(), trace).trace_root)
    assert len(roots) == 24


def test_no_rows_still_name_the_program() -> None:
    program = small_program()
    assert commit(program, ROOT, Trace(())).trace_root == trace_root(ROOT, 0, bytes(32))


def test_a_trace_of_another_program_is_refused() -> None:
    program = small_program([(ElementType.FLOAT32, 3), (ElementType.FLOAT32, 2)])
    (first, second) = small_trace(program).rows[0]
    for row, message in (
        ((first,), "row 0 has 1 tensors, the program has 2"),
        ((first, second[:1]), r"tensor 't1' is float32\[1\], not float32\[2\]"),
        ((first, second.astype("<f8")), "tensor 't1' is float64"),
        ((first.reshape(1, 3), second), "tensor 't0'"),
    ):
        with pytest.raises(TraceError, match=message):
            commit(program, ROOT, Trace((row,)))
    with pytest.raises(TraceError, match="a program root is 32 bytes"):
        commit(program, b"", Trace(((first, second),)))


def test_tensors_need_not_lie_together() -> None:
    program = small_program([(ElementType.INT64, 40)], leaf_bytes=32)
    wide = np.arange(80, dtype="<i8")
    scattered, packed = Trace(((wide[::2],),)), Trace(((wide[::2].copy(),),))
    assert commit(program, ROOT, scattered) == commit(program, ROOT, packed)
    assert replace(commit(program, ROOT, packed), rows=2).rows == 2
