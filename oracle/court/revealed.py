"""Proofs from pieces: what was revealed of a trace, laid over a run of one's own.

Where a piece was revealed, the operator's numbers stand; elsewhere those of the own run, which
prove nothing. A proof can be had of an element once all that it is judged from was revealed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.core import merkle
from oracle.court.commitment import Commitment, trace_root
from oracle.court.opening import Opening, fold_opening, narrowed, trace_place
from oracle.court.proof import TraceClaim
from oracle.court.proving import Prover
from oracle.errors import TraceError
from oracle.program.encoding import EncodedProgram
from oracle.program.instruction import Access, Program, Space, Trace


@dataclass(frozen=True, slots=True, order=True)
class Leaves:
    """Leaves of one tensor of one row."""

    row: int
    tensor: int
    first: int
    count: int


class NotRevealed(TraceError):
    """What a proof needs was not revealed yet. `leaves` are all that is missing of it."""

    def __init__(self, *leaves: Leaves) -> None:
        super().__init__(f"{', '.join(map(str, leaves))} were not revealed")
        self.leaves = leaves


@dataclass(frozen=True)
class RevealedProver(Prover):
    """`trace` is the own run with what was revealed laid over it, `commitment` that of the own
    run, which has as many levels."""

    openings: Sequence[Opening] = ()
    revealed: TraceClaim | None = None
    most_leaves: int = 1 << 32
    """As many as one demand may ask for."""

    @property
    def claim(self) -> TraceClaim:
        if self.revealed is None:
            raise TraceError("nothing was revealed, so the tree root is not known")
        return self.revealed

    @cached_property
    def whole(self) -> frozenset[tuple[int, int]]:
        """Tensors that were shown to the last leaf, as (row, tensor)."""
        seen: dict[tuple[int, int], set[int]] = defaultdict(set)
        for one in self.openings:
            seen[one.row, one.tensor].update(range(one.first, one.first + one.count))
        return frozenset(
            place for place, leaves in seen.items() if len(leaves) == self._leaf_count(place[1])
        )

    def outputs(self) -> None:
        """Raises NotRevealed unless every output of every row was shown, whole."""
        missing = [
            Leaves(row, tensor, 0, self._leaf_count(tensor))
            for row in range(self.commitment.rows)
            for tensor in self.program.outputs
            if (row, tensor) not in self.whole
        ]
        if missing:
            raise NotRevealed(*missing)

    def require(self, row: int, tensor: int, position: int) -> None:
        """Raises NotRevealed, with all that is missing, unless an element can be judged: its own
        leaf and those of everything that it was computed from."""
        wanted = [self._leaf_with(row, tensor, position)]
        if tensor in self.program.producer:
            step = self.program.instructions[self.program.producer[tensor]]
            places = self._positions(row, step, position)
            wanted += [
                Leaves(row, access.tensor, first, count)
                for number, access in enumerate(step.operands)
                if access.space is Space.TRACE
                for first, count in self._runs(access, places[number])
            ]
        missing = [one for one in dict.fromkeys(wanted) if self._covering(one) is None]
        if missing:
            raise NotRevealed(*missing)

    def reads(self, row: int, instruction: int, position: int) -> list[tuple[int, int]]:
        """Elements of the trace that an element is judged from, as (tensor, position)."""
        step = self.program.instructions[instruction]
        places = self._positions(row, step, position)
        return [
            (access.tensor, place)
            for number, access in enumerate(step.operands)
            if access.space is Space.TRACE
            for place in sorted(places[number])
        ]

    def leaf_of(self, row: int, tensor: int, position: int) -> Opening:
        """The leaf with an element. Raises NotRevealed."""
        return self._leaf_of(row, tensor, position)

    def _runs(self, access: Access, places: Iterable[int]) -> Iterator[tuple[int, int]]:
        for first, count in super()._runs(access, places):
            if access.space is Space.CONSTANT:
                yield first, count
                continue
            for start in range(first, first + count, self.most_leaves):
                yield start, min(self.most_leaves, first + count - start)

    def _leaf_count(self, tensor: int) -> int:
        return merkle.leaf_count(self.program.tensors[tensor].byte_count, self.program.leaf_bytes)

    def _leaf_with(self, row: int, tensor: int, position: int) -> Leaves:
        width = self.program.tensors[tensor].element.item_size
        return Leaves(row, tensor, position * width // self.program.leaf_bytes, 1)

    def _leaf_of(self, row: int, tensor: int, position: int) -> Opening:
        return self._shown(self._leaf_with(row, tensor, position))

    def _open(self, row: int, access: Access, first: int, count: int) -> Opening:
        if access.space is Space.CONSTANT:
            return super()._open(row, access, first, count)
        return self._shown(Leaves(row, access.tensor, first, count))

    def _covering(self, wanted: Leaves) -> Opening | None:
        last = wanted.first + wanted.count
        for one in self.openings:
            if (one.row, one.tensor) != (wanted.row, wanted.tensor):
                continue
            if one.first <= wanted.first and last <= one.first + one.count:
                return one
        return None

    def _shown(self, wanted: Leaves) -> Opening:
        """These leaves and no more, though more were shown at once: a proof is to stay small."""
        found = self._covering(wanted)
        if found is None:
            raise NotRevealed(wanted)
        place = trace_place(self.program, self.commitment.rows, wanted.row, wanted.tensor)
        return narrowed(place, found, wanted.first, wanted.count)


def claim_of(
    program: Program, program_root: bytes, root: bytes, rows: int, opening: Opening
) -> TraceClaim:
    """The tree that revealed leaves are of. Raises TraceError where it is not the signed one."""
    tree_root = fold_opening(trace_place(program, rows, opening.row, opening.tensor), opening)
    if trace_root(program_root, rows, tree_root) != root:
        raise TraceError("these leaves are not of the signed trace")
    return TraceClaim(rows, tree_root)


def laid_over(
    program: Program,
    encoded: EncodedProgram,
    own: Trace,
    commitment: Commitment,
    openings: Sequence[Opening],
    claim: TraceClaim | None,
    most_leaves: int,
) -> RevealedProver:
    """An own run with what was revealed in its place."""
    rows = [list(row) for row in own.rows]
    for one in openings:
        values: NDArray[Any] = rows[one.row][one.tensor].copy()
        start = one.first * program.leaf_bytes
        values.view(np.uint8)[start : start + len(one.data)] = np.frombuffer(one.data, np.uint8)
        rows[one.row][one.tensor] = values
    trace = Trace(tuple(tuple(row) for row in rows))
    return RevealedProver(program, encoded, trace, commitment, tuple(openings), claim, most_leaves)
