"""What a place asks for, and what shows it: `demandOf`, `isRevealed` and `rowsOf` of the verifier.

A demand must name exactly the leaves that the program gives a tensor, and be met by nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from typing import Any, Final

import pytest

from oracle.chain.proof_coder import encode_place
from oracle.core import merkle
from oracle.core.schema import ElementType
from oracle.core.types import ZERO_BYTES32
from oracle.court.opening import Opening, open_record, open_trace, trace_place
from oracle.court.proof import Place
from oracle.court.proving import Prover
from tests.contracts.courtroom import PLAIN_REVERT, Courtroom, committed
from tests.contracts.harness import Chain
from tests.support.small_programs import small_program, small_trace

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(0)]

ROWS: Final = 3
SHORT: Final = (ElementType.INT64, 5)
LONG: Final = (ElementType.FLOAT32, 45)
"""Its last leaf is shorter than the others, as that of the next one."""
TENSORS: Final = (LONG, (ElementType.BOOL, 33), SHORT, (ElementType.FLOAT64, 8), (LONG[0], 1))


@dataclass(frozen=True, slots=True)
class Demand:
    """`IFraudVerifier.Demand`."""

    rows: int
    row: int
    tensor: int
    first_leaf: int
    row_leaf_count: int
    leaf_bytes: int
    byte_count: int
    first: int
    count: int


@pytest.fixture(scope="module")
def room(court_chain: Chain) -> Courtroom:
    return Courtroom(court_chain)


@pytest.fixture(scope="module")
def prover() -> Prover:
    """Two inputs, and leaves of 16 bytes."""
    program = replace(small_program(TENSORS, leaf_bytes=16), inputs=(0, 1))
    program = replace(program, instructions=program.instructions[1:])
    return committed(program, small_trace(program, ROWS))


def place_of(prover: Prover, tensor: int, row: int, first: int, count: int) -> Place:
    """An input by its number, any other tensor by the instruction that writes it."""
    program = prover.program
    number = 0 if tensor in program.inputs else program.producer[tensor] + 1
    return Place(
        header=prover.encoded.header,
        record=open_record(prover.encoded, number),
        input=program.inputs.index(tensor) if tensor in program.inputs else 0,
        rows=ROWS,
        row=row,
        first=first,
        count=count,
    )


def expected(prover: Prover, tensor: int, row: int, first: int, count: int) -> Demand:
    program = prover.program
    return Demand(
        rows=ROWS,
        row=row,
        tensor=tensor,
        first_leaf=program.first_leaves[tensor],
        row_leaf_count=program.row_leaf_count,
        leaf_bytes=program.leaf_bytes,
        byte_count=program.tensors[tensor].byte_count,
        first=first,
        count=count,
    )


def ranges(prover: Prover) -> Iterator[tuple[int, int, int, int]]:
    """Every run of leaves of every tensor of every row."""
    for tensor in range(len(prover.program.tensors)):
        leaves = trace_place(prover.program, ROWS, 0, tensor).leaf_count
        for row in range(ROWS):
            for first in range(leaves):
                for count in range(1, leaves - first + 1):
                    yield tensor, row, first, count


def opened(prover: Prover, tensor: int, row: int, first: int, count: int) -> Opening:
    return open_trace(
        prover.program,
        prover.trace,
        prover.commitment,
        row=row,
        tensor=tensor,
        first=first,
        count=count,
    )


def demands(room: Courtroom, prover: Prover, places: list[Place]) -> list[Any]:
    root = prover.encoded.root
    return room.ask("demandOf", [(root, encode_place(place)) for place in places])


def revealed(room: Courtroom, prover: Prover, shown: list[tuple[Demand, Opening]]) -> list[Any]:
    root, trace_root = prover.encoded.root, prover.commitment.trace_root
    calls = [
        (root, trace_root, astuple(demand), opening.data, opening.path) for demand, opening in shown
    ]
    return room.ask("isRevealed", calls)


def test_a_place_is_where_the_program_has_it(room: Courtroom, prover: Prover) -> None:
    wanted = list(ranges(prover))
    found = demands(room, prover, [place_of(prover, *one) for one in wanted])
    assert [Demand(*words) for words in found] == [expected(prover, *one) for one in wanted]


def test_places_that_are_none(room: Courtroom, prover: Prover) -> None:
    place, leaves = place_of(prover, 0, 1, 0, 1), 12
    wrong = {
        "LeavesOutside": [
            replace(place, count=0), replace(place, count=leaves + 1),
            replace(place, first=leaves), replace(place, first=leaves - 1, count=2),
            replace(place, first=2**256 - 1), replace(place, count=2**256 - 1),
        ],
        "RowOutside": [replace(place, row=ROWS), replace(place, rows=0, row=0)],
        "SafeCastOverflowedUintDowncast": [replace(place, rows=2**32)],
        "TensorUnknown": [replace(place, input=2), replace(place, input=2**255)],
        "ProgramRootMismatch": [replace(place, header=replace(place.header, leaf_bytes=8))],
        "RecordMismatch": [
            replace(place, record=replace(place.record, data=place.record.data + b"\0"))
        ],
    }  # fmt: skip
    for name, places in wrong.items():
        assert set(demands(room, prover, places)) == {name}
    root = prover.encoded.root
    data = encode_place(place)
    no_places = [b"", data[:31], bytes(32), data[:100]]
    found = room.ask("demandOf", [(root, data) for data in no_places])
    assert set(found) <= {PLAIN_REVERT, "ProgramRootMismatch"}
    heads = [len(data), 2**256 - 1, 2**256 - 32, 2**256 - 132]
    elsewhere = [head.to_bytes(32, "big") + data[32:] for head in heads]
    found = room.ask("demandOf", [(root, data) for data in elsewhere])
    assert set(found) == {"HeadOutside"}


def test_the_leaves_themselves_are_revealed(room: Courtroom, prover: Prover) -> None:
    shown = [(expected(prover, *one), opened(prover, *one)) for one in ranges(prover)]
    assert set(revealed(room, prover, shown)) == {True}


def test_nothing_else_is_revealed(room: Courtroom, prover: Prover) -> None:
    """Other bytes, fewer or more of them, other paths, and the leaves of another place."""
    for tensor, row, first, count in [(0, 1, 2, 3), (0, 2, 10, 2), (2, 1, 2, 1), (4, 2, 0, 1)]:
        demand = expected(prover, tensor, row, first, count)
        right = opened(prover, tensor, row, first, count)
        others = [
            replace(right, data=bytes([right.data[0] ^ 1]) + right.data[1:]),
            replace(right, data=right.data[:-1] + bytes([right.data[-1] ^ 128])),
            replace(right, data=right.data[:-1]),
            replace(right, data=right.data + b"\0"),
            replace(right, data=right.data[:-16]),
            replace(right, path=right.path[:-1]),
            replace(right, path=(*right.path, ZERO_BYTES32)),
            replace(right, path=right.path[::-1]),
            opened(prover, tensor, (row + 1) % ROWS, first, count),
            opened(prover, 3, row, 0, 1),
        ]
        found = revealed(room, prover, [(demand, opening) for opening in others])
        assert set(found) <= {False, "PathLength"}, found
        # The same leaves for a demand that was another.
        changes: list[dict[str, int]] = [
            {"rows": ROWS + 1}, {"row": row + 1}, {"tensor": tensor + 1}, {"first": first + 1},
            {"first_leaf": demand.first_leaf + 1}, {"row_leaf_count": demand.row_leaf_count + 1},
        ]  # fmt: skip
        found = revealed(room, prover, [(replace(demand, **change), right) for change in changes])
        assert set(found) <= {False, "PathLength", "RangeOutsideTree", PLAIN_REVERT}, found


def test_other_roots_reveal_nothing(room: Courtroom, prover: Prover) -> None:
    demand, right = expected(prover, 0, 1, 2, 3), opened(prover, 0, 1, 2, 3)
    root, trace_root = prover.encoded.root, prover.commitment.trace_root
    rest = (astuple(demand), right.data, right.path)
    calls = [(root, root, *rest), (trace_root, trace_root, *rest), (root, ZERO_BYTES32, *rest)]
    assert room.ask("isRevealed", calls) == [False] * 3


def test_rows_are_bound_by_the_trace_root(room: Courtroom, prover: Prover) -> None:
    root, trace_root = prover.encoded.root, prover.commitment.trace_root
    tree = merkle.root_of(prover.commitment.levels)
    calls = [(root, trace_root, rows, tree) for rows in (0, 1, ROWS, ROWS + 1, 2**32 - 1)]
    assert room.ask("rowsOf", calls) == [rows == ROWS for rows in (0, 1, ROWS, ROWS + 1, -1)]
    assert room.ask("rowsOf", [(root, trace_root, ROWS, root)]) == [False]
    empty = committed(prover.program, small_trace(prover.program, 0), prover.encoded)
    calls = [(root, empty.commitment.trace_root, rows, ZERO_BYTES32) for rows in (0, 1)]
    assert room.ask("rowsOf", calls) == [True, False]
