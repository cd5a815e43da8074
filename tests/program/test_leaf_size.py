"""Leaves grow with the trace, and never shrink."""

from __future__ import annotations

import pytest

from oracle.bench.hashing import READINGS, opening_gas
from oracle.errors import ProgramError
from oracle.program.compile import compile_model
from oracle.program.leaf_size import LARGE_LEAF_BYTES, choose_leaf_bytes
from tests.program.models import SAMPLES


@pytest.mark.parametrize(
    ("row_bytes", "leaf_bytes"),
    [
        (0, 256),
        (40, 256),
        (1 << 20, 256),
        ((1 << 20) + 1, 1024),
        (4 << 20, 1024),
        ((4 << 20) + 1, 4096),
        (1 << 34, 4096),
    ],
)
def test_the_rule(row_bytes: int, leaf_bytes: int) -> None:
    assert choose_leaf_bytes(row_bytes) == leaf_bytes


def test_what_an_element_reads_fits_a_transaction_at_the_chosen_size() -> None:
    for reading in READINGS:
        assert opening_gas(reading, choose_leaf_bytes(reading.trace_bytes)) < 2_000_000


def test_leaves_that_no_transaction_can_show_are_refused() -> None:
    source = (SAMPLES / "digits-logistic.onnx").read_bytes()
    compile_model(source, leaf_bytes=LARGE_LEAF_BYTES)
    with pytest.raises(ProgramError, match="leaves of 8192 bytes"):
        compile_model(source, leaf_bytes=2 * LARGE_LEAF_BYTES)
