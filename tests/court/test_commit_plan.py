"""A plan gives the digests of the definition, whatever the sizes, leaves and layouts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.schema import ElementType
from oracle.court.commit_plan import CommitPlan
from oracle.court.commitment import commit
from oracle.errors import TraceError
from oracle.program.instruction import Trace
from tests.support.small_programs import small_program, small_trace

ROOT = sha256(b"a program").digest()

specs = st.lists(
    st.tuples(st.sampled_from(list(ElementType)), st.integers(0, 200)), min_size=1, max_size=6
)


@given(specs, st.integers(0, 4), st.sampled_from([4, 8, 12, 64, 256]))
def test_a_plan_changes_no_bit(
    tensors: list[tuple[ElementType, int]], rows: int, leaf_bytes: int
) -> None:
    program = small_program(tensors, leaf_bytes=leaf_bytes)
    plan = CommitPlan(program)
    for seed in range(2):  # a frame is used again
        trace = small_trace(program, rows, seed)
        assert commit(program, ROOT, trace, plan=plan) == commit(program, ROOT, trace)


def test_elements_across_leaves_and_long_rows_go_without_a_frame() -> None:
    for program in (
        small_program([(ElementType.INT64, 9)], leaf_bytes=12),
        small_program([(ElementType.FLOAT32, 1_100_000)], leaf_bytes=4096),
    ):
        plan, trace = CommitPlan(program), small_trace(program)
        assert not plan.framed
        assert commit(program, ROOT, trace, plan=plan) == commit(program, ROOT, trace)


def test_tensors_need_not_lie_together() -> None:
    program = small_program([(ElementType.INT64, 40)], leaf_bytes=32)
    wide = np.arange(80, dtype="<i8")
    scattered, packed = Trace(((wide[::2],),)), Trace(((wide[::2].copy(),),))
    assert commit(program, ROOT, scattered, plan=CommitPlan(program)) == commit(
        program, ROOT, packed
    )


def test_threads_share_a_plan() -> None:
    program = small_program([(ElementType.FLOAT32, 700), (ElementType.BOOL, 31)], leaf_bytes=64)
    plan = CommitPlan(program)
    traces = [small_trace(program, 1 + seed % 3, seed) for seed in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda trace: commit(program, ROOT, trace, plan=plan), traces))
    assert found == [commit(program, ROOT, trace) for trace in traces]


def test_a_fault_leaves_the_plan_usable() -> None:
    program = small_program([(ElementType.FLOAT32, 3), (ElementType.FLOAT32, 2)])
    plan, trace = CommitPlan(program), small_trace(program)
    first, second = trace.rows[0]
    for row, message in (
        ((first,), "row 0 has 1 tensors, the program has 2"),
        ((first, second.astype("<f8")), "tensor 't1' is float64"),
        ((first.reshape(1, 3), second), "tensor 't0'"),
    ):
        with pytest.raises(TraceError, match=message):
            commit(program, ROOT, Trace((row,)), plan=plan)
    assert commit(program, ROOT, trace, plan=plan) == commit(program, ROOT, trace)
