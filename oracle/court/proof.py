"""What convicts: the openings of one element and of all that it was computed from.

The classes mirror `contracts/src/court/Proof.sol` field by field. Here is what a proof consists of;
how one is built (`proving`), encoded (`oracle.chain`) and judged is said elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from oracle.court.opening import Opening, RecordOpening
from oracle.program.encoding import ProgramHeader


class FraudKind(IntEnum):
    """What a proof is about."""

    ELEMENT = 0
    INPUT = 1
    OUTPUT = 2
    ROWS = 3
    EMPTY = 4


@dataclass(frozen=True, slots=True)
class TraceClaim:
    """The trace that an answer commits to: its rows, and the root of the tree over them."""

    rows: int
    tree_root: bytes


@dataclass(frozen=True, slots=True)
class OperandOpening:
    """Leaves that operand `operand` of an instruction reads."""

    operand: int
    leaves: Opening


@dataclass(frozen=True, slots=True)
class ElementProof:
    """An element of the trace cannot have come from its operands.

    `operands` come in the order of the operands, and of their leaves.
    """

    header: ProgramHeader
    trace: TraceClaim
    record: RecordOpening
    row: int
    position: int
    output: Opening
    operands: tuple[OperandOpening, ...]


@dataclass(frozen=True, slots=True)
class InterfaceProof:
    """The trace begins with another input than the request's, or the result is not what it ends
    with, or it has another number of rows than the input.

    `message` is the input (INPUT, ROWS) or the result (OUTPUT). `leaves` is None for ROWS, and for
    a result of the wrong length; `tensor` counts among the inputs or among the outputs.
    """

    kind: FraudKind
    header: ProgramHeader
    trace: TraceClaim
    record: RecordOpening
    message: bytes
    row: int = 0
    tensor: int = 0
    position: int = 0
    leaves: Opening | None = None


@dataclass(frozen=True, slots=True)
class EmptyProof:
    """The result is empty, but the trace has rows, and their outputs fit a transaction."""

    header: ProgramHeader
    trace: TraceClaim
    record: RecordOpening


@dataclass(frozen=True, slots=True)
class Place:
    """Leaves of a tensor that somebody wants to see.

    `record` is of the instruction that writes the tensor, or the interface for input `input`.
    """

    header: ProgramHeader
    record: RecordOpening
    input: int
    rows: int
    row: int
    first: int
    count: int


Proof = ElementProof | InterfaceProof | EmptyProof
