"""Leaves shown with their proofs: of a trace under its root, of a program under its own.

Whoever holds the tree opens; whoever holds a root verifies, and is told exactly what is wrong.
Judges no value: an opening proves what was committed, not that it is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oracle.core import merkle
from oracle.core.types import ZERO_BYTES32
from oracle.court.commitment import Commitment, raw_bytes, trace_root
from oracle.errors import ProgramError, TraceError
from oracle.program.encoding import EncodedProgram, constant_data
from oracle.program.instruction import Program, Trace


@dataclass(frozen=True, slots=True)
class Opening:
    """Leaves [first, first + count) of a tensor, and what connects them to a root.

    `row` is 0 for constants. `path` is ordered as `merkle.prove` has it.
    """

    row: int
    tensor: int
    first: int
    count: int
    data: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class RecordOpening:
    """One record of a program. Record 0 is the interface, record n + 1 is instruction n."""

    number: int
    data: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor lies in a tree; its record says so, too.

    Attributes:
        first_leaf: number, in the tree, of the tensor's first leaf.
        tree_leaves: leaves of the whole tree.
    """

    tag: bytes
    row: int
    tensor: int
    first_leaf: int
    byte_count: int
    leaf_bytes: int
    tree_leaves: int

    @property
    def leaf_count(self) -> int:
        return merkle.leaf_count(self.byte_count, self.leaf_bytes)

    def check(self, first: int, count: int) -> None:
        """Raises TraceError unless the tensor has these leaves."""
        if count < 1:
            raise TraceError(f"leaf count {count}: an opening shows one leaf or more")
        if first < 0 or first + count > self.leaf_count:
            raise TraceError(
                f"leaves {first} to {first + count - 1} are out of range: tensor {self.tensor} "
                f"has {self.leaf_count} leaves"
            )

    def data_bytes(self, first: int, count: int) -> int:
        """Bytes in these leaves; the tensor's last leaf is shorter."""
        return min(self.byte_count, (first + count) * self.leaf_bytes) - first * self.leaf_bytes


def trace_place(program: Program, rows: int, row: int, tensor: int) -> Place:
    """Where a tensor of one row lies. Raises TraceError where there is none such."""
    if not 0 <= row < rows:
        raise TraceError(f"row {row} is out of range: the trace has {rows} rows")
    if not 0 <= tensor < len(program.tensors):
        raise TraceError(
            f"tensor {tensor} is out of range: the program has {len(program.tensors)} tensors"
        )
    return Place(
        tag=merkle.TRACE,
        row=row,
        tensor=tensor,
        first_leaf=row * program.row_leaf_count + program.first_leaves[tensor],
        byte_count=program.tensors[tensor].byte_count,
        leaf_bytes=program.leaf_bytes,
        tree_leaves=rows * program.row_leaf_count,
    )


def constant_place(program: Program, tensor: int) -> Place:
    """Where a constant lies. Raises TraceError where there is none such."""
    if not 0 <= tensor < len(program.constants):
        raise TraceError(
            f"constant {tensor} is out of range: the program has {len(program.constants)} constants"
        )
    return Place(
        tag=merkle.CONSTANT,
        row=0,
        tensor=tensor,
        first_leaf=program.constant_first_leaves[tensor],
        byte_count=program.constants[tensor].byte_count,
        leaf_bytes=program.leaf_bytes,
        tree_leaves=program.constant_leaf_count,
    )


def open_trace(
    program: Program,
    trace: Trace,
    commitment: Commitment,
    *,
    row: int,
    tensor: int,
    first: int = 0,
    count: int | None = None,
) -> Opening:
    """Leaves of one tensor of one row; up to its end where no count is given.

    Raises:
        TraceError: the trace has no such row, tensor or leaves.
    """
    place = trace_place(program, commitment.rows, row, tensor)
    return _open(place, raw_bytes(trace.rows[row][tensor]), commitment.levels, first, count)


def open_constant(
    program: Program,
    encoded: EncodedProgram,
    tensor: int,
    *,
    first: int = 0,
    count: int | None = None,
) -> Opening:
    """Leaves of one constant; up to its end where no count is given. Raises TraceError."""
    place = constant_place(program, tensor)
    return _open(place, constant_data(program, tensor), encoded.constant_levels, first, count)


def open_record(encoded: EncodedProgram, number: int) -> RecordOpening:
    """One record. Raises ProgramError where the program has no such."""
    if not 0 <= number < len(encoded.records):
        raise ProgramError(
            f"record {number} is out of range: the program has {len(encoded.records)} records"
        )
    return RecordOpening(
        number, encoded.records[number], merkle.prove(encoded.record_levels, number, 1)
    )


def verify_trace_opening(
    program: Program, program_root: bytes, root: bytes, rows: int, opening: Opening
) -> bytes:
    """The bytes of the opened leaves, if the trace root commits to them.

    Args:
        program_root: root of this very program; the caller has checked that.
        root: the trace root of the answer.
        rows: rows of the request's input; another number does not verify.

    Raises:
        TraceError: what is wrong with the opening.
    """
    place = trace_place(program, rows, opening.row, opening.tensor)
    tree_root = fold_opening(place, opening)
    if trace_root(program_root, rows, tree_root) != root:
        raise TraceError(
            f"path mismatch: leaves {_span(opening)} of tensor {opening.tensor} of row "
            f"{opening.row} do not lead to trace root 0x{root.hex()}"
        )
    return opening.data


def fold_opening(place: Place, opening: Opening) -> bytes:
    """The root of the tree that this opening is of, if it is of any.

    Raises:
        TraceError: another row or tensor, leaves out of range, or bytes or digests missing or
            left over.
    """
    if (opening.row, opening.tensor) != (place.row, place.tensor):
        raise TraceError(
            f"the opening is of tensor {opening.tensor} of row {opening.row}, "
            f"not of tensor {place.tensor} of row {place.row}"
        )
    place.check(opening.first, opening.count)
    wanted = place.data_bytes(opening.first, opening.count)
    if len(opening.data) != wanted:
        word = "truncated" if len(opening.data) < wanted else "oversize"
        raise TraceError(
            f"{word} data: leaves {_span(opening)} of tensor {place.tensor} are {wanted} bytes, "
            f"not {len(opening.data)}"
        )
    hashed = merkle.leaf_hashes(
        place.tag, place.row, place.tensor, opening.data, place.leaf_bytes, first=opening.first
    )
    return merkle.fold(
        place.tree_leaves, place.first_leaf + opening.first, split(hashed), opening.path
    )


def narrowed(place: Place, opening: Opening, first: int, count: int) -> Opening:
    """Some of the leaves that an opening shows, with a path of their own. Raises TraceError where
    it does not show them."""
    if (opening.first, opening.count) == (first, count):
        return opening
    digests = split(
        merkle.leaf_hashes(
            place.tag,
            place.row,
            place.tensor,
            opening.data,
            place.leaf_bytes,
            first=opening.first,
        )
    )
    begin = place.first_leaf + opening.first
    path = merkle.narrowed(
        place.tree_leaves, begin, digests, opening.path, place.first_leaf + first, count
    )
    start = (first - opening.first) * place.leaf_bytes
    data = opening.data[start : start + place.data_bytes(first, count)]
    return Opening(opening.row, opening.tensor, first, count, data, path)


def split(digests: bytes) -> Sequence[bytes]:
    """Concatenated digests one by one."""
    width = len(ZERO_BYTES32)
    return [digests[at : at + width] for at in range(0, len(digests), width)]


def _open(
    place: Place, data: memoryview, levels: merkle.Levels, first: int, count: int | None
) -> Opening:
    count = place.leaf_count - first if count is None else count
    place.check(first, count)
    start = first * place.leaf_bytes
    shown = bytes(data[start : start + place.data_bytes(first, count)])
    path = merkle.prove(levels, place.first_leaf + first, count)
    return Opening(place.row, place.tensor, first, count, shown, path)


def _span(opening: Opening) -> str:
    return f"{opening.first} to {opening.first + opening.count - 1}"
