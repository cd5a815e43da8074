"""Whether every element of a program can be proven wrong in one transaction.

A proof shows whole leaves, each run of them with a path. Its size is worked out before anybody
runs a program, at the ends and the middle of every output: others read alike. Knows no chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from oracle.core import merkle
from oracle.court.opening import Opening
from oracle.court.proof import ElementProof, InterfaceProof, Proof
from oracle.court.taps import domain_index, places_read
from oracle.errors import ProgramError
from oracle.program.encoding import EncodedProgram
from oracle.program.instruction import Instruction, Program, Space
from oracle.program.opcode import Opcode

LARGEST_PROOF_BYTES: Final = 120_000
"""Public nodes refuse a transaction above 128 KiB, and the request's terms need room as well."""
MOST_OPERANDS: Final = 1_024
"""The contract reads the maps of all of them: 4,000 would take more gas than a transaction has."""

_OPENING_BYTES: Final = 192
"""What the ABI adds to an opening: its place, and the lengths of its parts."""
_PROOF_BYTES: Final = 1_024
"""Header, roots, numbers and lengths."""
_FOUND_BY_DATA: Final = frozenset({Opcode.GATHER, Opcode.TREE})
"""A few leaves each, wherever they lie."""


def leaf_runs(
    places: Iterable[int], item_bytes: int, leaf_bytes: int, path_bytes: int
) -> Iterator[tuple[int, int]]:
    """Leaves that hold these positions of a tensor, as (first, count); a gap is shown with them
    where that is shorter than a path of its own."""
    leaves = sorted({place * item_bytes // leaf_bytes for place in places})
    if not leaves:
        return
    first = last = leaves[0]
    for leaf in leaves[1:]:
        if (leaf - last - 1) * leaf_bytes > path_bytes:
            yield first, last - first + 1
            first = leaf
        last = leaf
    yield first, last - first + 1


def require_provable(program: Program, encoded: EncodedProgram) -> None:
    """Raises ProgramError, naming the step, where some element could not be proven wrong."""
    for number, step in enumerate(program.instructions):
        name = f"{step.opcode.name} ({step.name})"
        if len(step.operands) > MOST_OPERANDS:
            raise ProgramError(
                f"{name} has {len(step.operands)} operands, the court reads at most "
                f"{MOST_OPERANDS}",
                hint="join fewer tensors at once, or register the model as unproven",
            )
        size = largest_proof_bytes(program, step) + len(encoded.records[number + 1])
        if size > LARGEST_PROOF_BYTES:
            raise ProgramError(
                f"{name}: to show one element of it takes {size} bytes, and a transaction has "
                f"room for {LARGEST_PROOF_BYTES}",
                hint="split its longest sum, or register the model as unproven",
            )


def largest_proof_bytes(program: Program, step: Instruction) -> int:
    """Bytes of a proof of the dearest of some elements of a step, its record left out."""
    if step.opcode in _FOUND_BY_DATA or not step.size:
        return 0
    paths = {
        Space.TRACE: _path_bytes(program.row_leaf_count * program.max_rows),
        Space.CONSTANT: _path_bytes(program.constant_leaf_count),
    }
    dearest = 0
    for position in _samples(step):
        size = _PROOF_BYTES + program.leaf_bytes + paths[Space.TRACE]
        found = places_read(step, domain_index(step, position))
        for access, places in zip(step.operands, found, strict=True):
            item_bytes = program.info(access).element.item_size
            read = {place for place in places if place is not None}
            path = paths[access.space]
            for _, count in leaf_runs(read, item_bytes, program.leaf_bytes, path):
                size += count * program.leaf_bytes + path + _OPENING_BYTES
        dearest = max(dearest, size)
    return dearest


def proof_bytes(proof: Proof) -> int:
    """Bytes of a proof in a transaction, near enough."""
    size = _PROOF_BYTES + len(proof.record.data) + merkle.DIGEST_BYTES * len(proof.record.path)
    shown: list[Opening] = []
    if isinstance(proof, ElementProof):
        shown = [proof.output, *(one.leaves for one in proof.operands)]
    elif isinstance(proof, InterfaceProof):
        size += len(proof.message)
        shown = [] if proof.leaves is None else [proof.leaves]
    for one in shown:
        size += len(one.data) + merkle.DIGEST_BYTES * len(one.path) + _OPENING_BYTES
    return size


def fits(proof: Proof) -> bool:
    """Whether a transaction that public nodes take has room for a proof."""
    return proof_bytes(proof) <= LARGEST_PROOF_BYTES


def _samples(step: Instruction) -> set[int]:
    """The first, the last and the middle element: there the least and the most padding is met."""
    middle = 0
    for length in step.domain:
        middle = middle * length + length // 2
    return {0, middle, step.size - 1}


def _path_bytes(leaves: int) -> int:
    return merkle.DIGEST_BYTES * max(leaves - 1, 0).bit_length()
