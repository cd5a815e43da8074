"""Openings: what was committed is shown, and whatever is not is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.core import merkle
from oracle.core.schema import ElementType
from oracle.court.commitment import commit
from oracle.court.opening import (
    Opening,
    constant_place,
    fold_opening,
    open_constant,
    open_record,
    open_trace,
    verify_trace_opening,
)
from oracle.errors import ProgramError, TraceError
from oracle.program.encoding import encode
from tests.support.small_programs import small_program, small_trace

PROGRAM = small_program(
    [(ElementType.FLOAT32, 21), (ElementType.BOOL, 7), (ElementType.INT64, 9)],
    [(ElementType.FLOAT32, 13), (ElementType.INT8, 70)],
    leaf_bytes=16,
)
ENCODED = encode(PROGRAM)
ROWS = 3
TRACE = small_trace(PROGRAM, ROWS)
COMMITMENT = commit(PROGRAM, ENCODED.root, TRACE)


def verify(opening: Opening, **other: Any) -> bytes:
    known = {"program_root": ENCODED.root, "root": COMMITMENT.trace_root, "rows": ROWS} | other
    return verify_trace_opening(PROGRAM, opening=opening, **known)


@st.composite
def places(draw: st.DrawFn) -> tuple[int, int, int, int]:
    row = draw(st.integers(0, ROWS - 1))
    tensor = draw(st.integers(0, 2))
    leaves = -(-PROGRAM.tensors[tensor].byte_count // 16)
    first = draw(st.integers(0, leaves - 1))
    return row, tensor, first, draw(st.integers(1, leaves - first))


@given(places())
def test_what_was_committed_is_shown(place: tuple[int, int, int, int]) -> None:
    row, tensor, first, count = place
    opening = open_trace(
        PROGRAM, TRACE, COMMITMENT, row=row, tensor=tensor, first=first, count=count
    )
    raw = TRACE.rows[row][tensor].tobytes()
    assert verify(opening) == raw[16 * first : 16 * (first + count)]


@settings(max_examples=300)
@given(places(), places(), st.integers(0, 7), st.data())
def test_nothing_else_is(
    place: tuple[int, int, int, int],
    other: tuple[int, int, int, int],
    bit: int,
    data: st.DataObject,
) -> None:
    row, tensor, first, count = place
    opening = open_trace(
        PROGRAM, TRACE, COMMITMENT, row=row, tensor=tensor, first=first, count=count
    )
    at = data.draw(st.integers(0, len(opening.data) - 1))
    changed = bytearray(opening.data)
    changed[at] ^= 1 << bit
    with pytest.raises(TraceError, match="path mismatch"):
        verify(replace(opening, data=bytes(changed)))
    if other != place:
        moved = replace(opening, row=other[0], tensor=other[1], first=other[2], count=other[3])
        with pytest.raises(TraceError):
            verify(moved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"row": 3}, "row 3 is out of range: the trace has 3 rows"),
        ({"row": -1}, "row -1 is out of range"),
        ({"row": 1}, "path mismatch: leaves 1 to 2 of tensor 0 of row 1"),
        ({"tensor": 3}, "tensor 3 is out of range: the program has 3 tensors"),
        ({"tensor": -1}, "tensor -1 is out of range"),
        ({"first": 5}, "leaves 5 to 6 are out of range: tensor 0 has 6 leaves"),
        ({"first": -1}, "out of range"),
        ({"count": 0}, "leaf count 0"),
        ({"count": 3}, "truncated data: leaves 1 to 3 of tensor 0 are 48 bytes, not 32"),
        ({"count": 1}, "oversize data: leaves 1 to 1 of tensor 0 are 16 bytes, not 32"),
        ({"data": b"x" * 31}, "truncated data"),
        ({"path": ()}, "the proof has 0 digests, these leaves need"),
        ({"path": (b"",) * 6}, "a digest in a proof is not 32 bytes"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], message: str) -> None:
    opening = open_trace(PROGRAM, TRACE, COMMITMENT, row=0, tensor=0, first=1, count=2)
    assert len(opening.path) == 6
    with pytest.raises(TraceError, match=message):
        verify(replace(opening, **change))


def test_roots_and_rows_are_bound() -> None:
    opening = open_trace(PROGRAM, TRACE, COMMITMENT, row=0, tensor=1)
    verify(opening)
    for other in ({"rows": 2}, {"rows": 4}, {"program_root": bytes(32)}, {"root": bytes(32)}):
        with pytest.raises(TraceError, match=r"path mismatch|the proof has"):
            verify(opening, **other)


def test_what_is_not_there_cannot_be_opened() -> None:
    with pytest.raises(TraceError, match="row 3 is out of range"):
        open_trace(PROGRAM, TRACE, COMMITMENT, row=3, tensor=0)
    with pytest.raises(TraceError, match="leaf count 0"):
        open_trace(PROGRAM, TRACE, COMMITMENT, row=0, tensor=0, first=6)
    with pytest.raises(TraceError, match="constant 2 is out of range"):
        open_constant(PROGRAM, ENCODED, 2)
    with pytest.raises(ProgramError, match="record 3 is out of range"):
        open_record(ENCODED, 3)


def test_constants_are_shown_under_the_header() -> None:
    root = ENCODED.header.constant_root
    for tensor, values in enumerate(PROGRAM.constant_values):
        place = constant_place(PROGRAM, tensor)
        opening = open_constant(PROGRAM, ENCODED, tensor)
        assert (fold_opening(place, opening), opening.data) == (root, values.tobytes())
        part = open_constant(PROGRAM, ENCODED, tensor, first=1, count=2)
        assert (fold_opening(place, part), part.data) == (root, opening.data[16:48])
        assert fold_opening(place, replace(part, data=bytes(32))) != root
        for change, message in (
            ({"tensor": 1 - tensor}, f"not of tensor {tensor}"),
            ({"row": 1}, "of row 1"),
            ({"first": 9}, "out of range"),
        ):
            with pytest.raises(TraceError, match=message):
                fold_opening(place, replace(part, **change))


def test_records_are_shown_under_the_header() -> None:
    header = ENCODED.header
    for number, record in enumerate(ENCODED.records):
        opening = open_record(ENCODED, number)
        assert (opening.number, opening.data) == (number, record)
        leaf = merkle.leaf_hash(merkle.RECORD, 0, 0, number, record)
        assert merkle.fold(header.record_count, number, [leaf], opening.path) == header.record_root


def test_a_trace_leaf_is_no_constant() -> None:
    """Same bytes, same place, another tag."""
    opening = open_trace(PROGRAM, TRACE, COMMITMENT, row=0, tensor=0, first=0, count=2)
    constant = open_constant(PROGRAM, ENCODED, 0, first=0, count=2)
    claimed = replace(constant, data=opening.data, path=opening.path)
    with pytest.raises(TraceError):
        fold_opening(constant_place(PROGRAM, 0), claimed)
