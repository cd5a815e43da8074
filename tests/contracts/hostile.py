"""Proofs of one element with one thing wrong, by what is wrong, and the errors that say so.

Made for a proof of a DOT whose first operands have several leaves; asks no contract.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

from oracle.court.opening import Opening
from oracle.court.proof import ElementProof
from tests.contracts.courtroom import PLAIN_REVERT

Change = Callable[[ElementProof], Iterator[ElementProof]]

PATHS: Final = {"LeafMismatch", "PathLength"}
RECORDS: Final = {"RecordMismatch", "PathLength", "RangeOutsideTree"}


def header(proof: ElementProof, **changes: Any) -> ElementProof:
    return replace(proof, header=replace(proof.header, **changes))


def flipped(data: bytes, place: int = 0) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def digests(path: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
    """Paths that are not this one."""
    return [
        (flipped(path[0]), *path[1:]),
        (*path[:-1], flipped(path[-1], 31)),
        path[:-1],
        (*path, bytes(32)),
        path[::-1],
        (),
    ]


def headers(proof: ElementProof) -> Iterator[ElementProof]:
    old = proof.header
    for name in ("tier", "leaf_bytes", "record_count", "row_leaf_count", "constant_leaf_count"):
        for step in (1, -1, 1 << 32, 1 << 255):
            yield header(proof, **{name: (getattr(old, name) + step) % 2**256})
    for name in ("record_root", "constant_root", "source_sha256"):
        yield header(proof, **{name: flipped(getattr(old, name))})


def traces(proof: ElementProof) -> Iterator[ElementProof]:
    old = proof.trace
    for rows in (0, old.rows - 1, old.rows + 1):
        yield replace(proof, trace=replace(old, rows=rows))
    yield replace(proof, trace=replace(old, tree_root=flipped(old.tree_root)))


def too_many_rows(proof: ElementProof) -> Iterator[ElementProof]:
    """The trace root binds 32 bits of them."""
    for rows in (1 << 32, 1 << 64, 1 << 255):
        yield replace(proof, trace=replace(proof.trace, rows=proof.trace.rows + rows))


def records(proof: ElementProof) -> Iterator[ElementProof]:
    old = proof.record
    for number in (old.number + 1, old.number - 1, 1, 99, old.number + (1 << 32)):
        yield replace(proof, record=replace(old, number=number))
    words = [old.data[:-1], old.data[:-4], old.data + bytes(1), old.data + bytes(4), b""]
    for data in (*words, flipped(old.data, 3), flipped(old.data, len(old.data) - 1)):
        yield replace(proof, record=replace(old, data=data))
    for path in digests(old.path):
        yield replace(proof, record=replace(old, path=path))


def leaves(
    proof: ElementProof, put: Callable[[Opening], ElementProof], old: Opening
) -> Iterator[ElementProof]:
    """Other data of as many bytes, and other paths."""
    for data in (flipped(old.data), flipped(old.data, len(old.data) - 1), bytes(len(old.data))):
        yield put(replace(old, data=data))
    for path in digests(old.path):
        yield put(replace(old, path=path))


def outputs(proof: ElementProof) -> Iterator[ElementProof]:
    return leaves(proof, lambda opening: replace(proof, output=opening), proof.output)


def operands(proof: ElementProof) -> Iterator[ElementProof]:
    for place, old in enumerate(proof.operands):
        yield from leaves(proof, partial(operand, proof, place), old.leaves)


def operand(proof: ElementProof, place: int, opening: Opening) -> ElementProof:
    put = replace(proof.operands[place], leaves=opening)
    return replace(proof, operands=(*proof.operands[:place], put, *proof.operands[place + 1 :]))


def lengths(proof: ElementProof) -> Iterator[ElementProof]:
    """Bytes that are not whole leaves, or more than the tensor has."""
    first, last = proof.operands[0], len(proof.operands) - 1
    for data in (first.leaves.data[:-1], first.leaves.data + b"\0", first.leaves.data * 9):
        yield operand(proof, 0, replace(first.leaves, data=data))
    summand = proof.operands[last].leaves
    for data in (summand.data[:-1], summand.data + b"\0", summand.data + bytes(64)):
        yield operand(proof, last, replace(summand, data=data))
    for data in (proof.output.data[:-4], proof.output.data + bytes(4)):
        yield replace(proof, output=replace(proof.output, data=data))
    yield replace(proof, output=replace(proof.output, first=1))
    yield replace(proof, output=replace(proof.output, first=1 << 32))


def nothing_shown(proof: ElementProof) -> Iterator[ElementProof]:
    yield operand(proof, 0, replace(proof.operands[0].leaves, data=b""))
    yield replace(proof, output=replace(proof.output, data=b""))


def other_rows(proof: ElementProof) -> Iterator[ElementProof]:
    for row in range(proof.trace.rows):
        if row != proof.row:
            yield replace(proof, row=row)


def no_such_rows(proof: ElementProof) -> Iterator[ElementProof]:
    for row in (proof.trace.rows, 1 << 32, (1 << 32) + proof.row, 2**256 - 1):
        yield replace(proof, row=row)


def no_such_positions(proof: ElementProof) -> Iterator[ElementProof]:
    for position in (5, 1 << 32, 2**256 - 1):
        yield replace(proof, position=position)


def missing(proof: ElementProof) -> Iterator[ElementProof]:
    for place in range(len(proof.operands)):
        yield replace(proof, operands=proof.operands[:place] + proof.operands[place + 1 :])
    yield replace(proof, operands=())


def shifted(proof: ElementProof) -> Iterator[ElementProof]:
    """Openings of the very next leaf, of which too few are shown then."""
    old = proof.operands[0].leaves
    yield operand(proof, 0, replace(old, first=old.first + 1))
    yield operand(proof, 0, replace(old, first=old.first + 1, data=old.data[64:]))


def unknown(proof: ElementProof) -> Iterator[ElementProof]:
    one, *others = proof.operands
    yield replace(proof, operands=tuple(reversed(proof.operands)))
    yield replace(proof, operands=(*proof.operands, one))
    for number in (9, 1 << 32, 2**256 - 1):
        yield replace(proof, operands=(*proof.operands, replace(one, operand=number)))
        yield replace(proof, operands=(replace(one, operand=number), *others))


def disorder(proof: ElementProof) -> Iterator[ElementProof]:
    one, *others = proof.operands
    yield replace(proof, operands=(one, one, *others))


REFUSED: Final[dict[str, tuple[Change, set[str]]]] = {
    "header": (headers, {"ProgramRootMismatch"}),
    "trace": (traces, {"TraceMismatch"}),
    "rows beyond 32 bits": (too_many_rows, {"SafeCastOverflowedUintDowncast"}),
    "record": (records, {*RECORDS, PLAIN_REVERT}),
    "output": (outputs, PATHS),
    "operands": (operands, PATHS),
    "lengths": (lengths, {"LeafLength"}),
    "nothing shown": (nothing_shown, {"RangeOutsideTree"}),
    "another row": (other_rows, PATHS),
    "no such row": (no_such_rows, {"RowOutside"}),
    "no such position": (no_such_positions, {"PositionOutside"}),
    "missing": (missing, {"LeafMissing"}),
    "shifted": (shifted, {*PATHS, "LeafLength"}),
    "unknown operands": (unknown, {"OperandUnknown"}),
    "disorder": (disorder, {"OpeningsOutOfOrder"}),
}
