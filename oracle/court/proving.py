"""Builds proofs: which leaves an element is judged from, opened under the roots.

Whoever has the program and a trace can build one of any element, honest or not; what a court makes
of it is the judge's. Knows nothing of chains, and does not look for what is wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.core import merkle
from oracle.court.case import Bits
from oracle.court.commitment import Commitment
from oracle.court.judge import judge_element
from oracle.court.lookup import Read
from oracle.court.opening import Opening, open_constant, open_record, open_trace
from oracle.court.proof import (
    ElementProof,
    EmptyProof,
    FraudKind,
    InterfaceProof,
    OperandOpening,
    TraceClaim,
)
from oracle.court.proof_size import leaf_runs
from oracle.court.taps import domain_index, places_read
from oracle.court.verdict import Verdict
from oracle.errors import TraceError
from oracle.program.encoding import EncodedProgram
from oracle.program.instruction import Access, Instruction, Program, Space, Trace
from oracle.program.opcode import Opcode

_FOUND_BY_DATA = frozenset({Opcode.GATHER, Opcode.TREE})


@dataclass(frozen=True)
class Prover:
    """A committed trace of a program, from which anything can be opened."""

    program: Program
    encoded: EncodedProgram
    trace: Trace
    commitment: Commitment

    @property
    def claim(self) -> TraceClaim:
        """What the trace root commits to."""
        return TraceClaim(self.commitment.rows, merkle.root_of(self.commitment.levels))

    def verdict(self, row: int, instruction: int, position: int) -> Verdict:
        """What the court says of an element: the mirror's verdict, from the trace itself."""
        step = self.program.instructions[instruction]
        read = self._reader(row)
        return judge_element(
            self.program, step, position, read, read(Space.TRACE, step.output, position)
        )

    def element(self, row: int, instruction: int, position: int) -> ElementProof:
        """The proof of one element of the output of an instruction, by committed position.

        Raises:
            TraceError: there is no such row or element.
        """
        step = self.program.instructions[instruction]
        if not 0 <= position < step.size:
            raise TraceError(f"position {position} is outside the {step.size} elements of the step")
        return ElementProof(
            header=self.encoded.header,
            trace=self.claim,
            record=open_record(self.encoded, instruction + 1),
            row=row,
            position=position,
            output=self._leaf_of(row, step.output, position),
            operands=tuple(self._operands(row, step, position)),
        )

    def message(
        self, kind: FraudKind, message: bytes, *, row: int, tensor: int, position: int
    ) -> InterfaceProof:
        """The proof that an input (INPUT) or output (OUTPUT) element differs from the message.

        `tensor` counts among the program's inputs or outputs. Raises TraceError.
        """
        numbers = self.program.inputs if kind is FraudKind.INPUT else self.program.outputs
        return InterfaceProof(
            kind=kind,
            header=self.encoded.header,
            trace=self.claim,
            record=open_record(self.encoded, 0),
            message=message,
            row=row,
            tensor=tensor,
            position=position,
            leaves=self._leaf_of(row, numbers[tensor], position),
        )

    def length(self, kind: FraudKind, message: bytes) -> InterfaceProof:
        """The proof that the input has another number of rows (ROWS), or that the result has
        another length than so many rows give (OUTPUT)."""
        return InterfaceProof(
            kind=kind,
            header=self.encoded.header,
            trace=self.claim,
            record=open_record(self.encoded, 0),
            message=message,
        )

    def empty(self) -> EmptyProof:
        """The proof that there are outputs to post, against an answer that is empty."""
        return EmptyProof(
            header=self.encoded.header,
            trace=self.claim,
            record=open_record(self.encoded, 0),
        )

    def _operands(self, row: int, step: Instruction, position: int) -> Iterator[OperandOpening]:
        read = self._positions(row, step, position)
        for number, access in enumerate(step.operands):
            for first, count in self._runs(access, read[number]):
                yield OperandOpening(number, self._open(row, access, first, count))

    def _positions(self, row: int, step: Instruction, position: int) -> dict[int, set[int]]:
        """Of each operand, the positions that the judge reads."""
        if step.opcode in _FOUND_BY_DATA:
            return self._recorded(row, step, position)
        found = places_read(step, domain_index(step, position))
        return {
            number: {place for place in places if place is not None}
            for number, places in enumerate(found)
        }

    def _recorded(self, row: int, step: Instruction, position: int) -> dict[int, set[int]]:
        """Where data says what is read, whatever the judge asked for."""
        asked: dict[tuple[Space, int], set[int]] = defaultdict(set)
        read = self._reader(row)

        def recording(space: Space, tensor: int, place: int) -> Bits:
            asked[space, tensor].add(place)
            return read(space, tensor, place)

        judge_element(self.program, step, position, recording, 0)
        return defaultdict(
            set,
            {
                number: asked[access.space, access.tensor]
                for number, access in enumerate(step.operands)
            },
        )

    def _runs(self, access: Access, places: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Leaves that hold these positions, as (first, count)."""
        levels = self.commitment.levels
        if access.space is Space.CONSTANT:
            levels = self.encoded.constant_levels
        path_bytes = merkle.DIGEST_BYTES * (len(levels) - 1)
        item_bytes = self.program.info(access).element.item_size
        return leaf_runs(places, item_bytes, self.program.leaf_bytes, path_bytes)

    def _leaf_of(self, row: int, tensor: int, position: int) -> Opening:
        info = self.program.tensors[tensor]
        first = position * info.element.item_size // self.program.leaf_bytes
        return open_trace(
            self.program,
            self.trace,
            self.commitment,
            row=row,
            tensor=tensor,
            first=first,
            count=1,
        )

    def _open(self, row: int, access: Access, first: int, count: int) -> Opening:
        if access.space is Space.CONSTANT:
            return open_constant(
                self.program, self.encoded, access.tensor, first=first, count=count
            )
        return open_trace(
            self.program,
            self.trace,
            self.commitment,
            row=row,
            tensor=access.tensor,
            first=first,
            count=count,
        )

    def _reader(self, row: int) -> Read:
        tensors = self.trace.rows[row]
        constants = self.program.constant_values

        def read(space: Space, tensor: int, place: int) -> Bits:
            return bits((tensors if space is Space.TRACE else constants)[tensor], place)

        return read


def bits(values: NDArray[Any], place: int) -> Bits:
    """The raw bits of one element of a flat tensor."""
    return int.from_bytes(np.ascontiguousarray(values[place : place + 1]).tobytes(), "little")
