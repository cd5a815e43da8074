"""What is wrong with an answer whose whole trace is at hand: a proof of it, or nothing.

The checks go from the cheapest to the dearest: the rows, the input, the result, every element. The
caller has found that the trace has the signed root. Pure; knows no chain and no operator.
"""

from __future__ import annotations

from dataclasses import dataclass

from oracle.core import merkle
from oracle.court.check import check_trace
from oracle.court.commitment import Commitment, no_rows_root
from oracle.court.message import (
    MessagePlace,
    first_difference,
    may_be_empty,
    row_bytes,
    rows_of,
)
from oracle.court.opening import open_record
from oracle.court.proof import FraudKind, InterfaceProof, Proof, TraceClaim
from oracle.court.proving import Prover
from oracle.program.encoding import EncodedProgram
from oracle.program.instruction import Program, Trace


@dataclass(frozen=True, slots=True)
class Accusation:
    """A proof, and in one line what it shows."""

    proof: Proof
    what: str


def accuse(
    program: Program,
    encoded: EncodedProgram,
    message: bytes,
    result: bytes,
    trace: Trace,
    commitment: Commitment,
) -> Accusation | None:
    """The first thing that is wrong, or None where the answer is as an honest run's.

    Args:
        message: the request's input.
        trace, commitment: what the answer commits to.
    """
    prover = Prover(program, encoded, trace, commitment)
    rows = rows_of(program, message)
    if rows != commitment.rows:
        proof = prover.length(FraudKind.ROWS, message)
        return Accusation(proof, f"a trace of {commitment.rows} rows of an input of {rows}")
    place = first_difference(program, program.inputs, message, trace) if rows else None
    if place is not None:
        return _message(prover, FraudKind.INPUT, message, place, "the trace is of another input")
    found = _empty(prover, rows) if not result else _result(prover, rows, result)
    return found or _element(prover)


def accuse_without_rows(
    program: Program, encoded: EncodedProgram, message: bytes, result: bytes, trace_root: bytes
) -> Accusation | None:
    """As `accuse`, of an answer that commits to a trace of no rows; None also of any other."""
    if trace_root != no_rows_root(encoded.root):
        return None
    commitment = Commitment(trace_root, encoded.root, 0, merkle.build(b""))
    return accuse(program, encoded, message, result, Trace(()), commitment)


def wrong_rows(
    program: Program, encoded: EncodedProgram, message: bytes, claim: TraceClaim
) -> Accusation | None:
    """What the number of rows alone shows, where the trace itself is not at hand."""
    rows = rows_of(program, message)
    if rows == claim.rows:
        return None
    proof = InterfaceProof(FraudKind.ROWS, encoded.header, claim, open_record(encoded, 0), message)
    return Accusation(proof, f"a trace of {claim.rows} rows of an input of {rows}")


def _empty(prover: Prover, rows: int) -> Accusation | None:
    if may_be_empty(prover.program, rows):
        return None
    return Accusation(prover.empty(), "the result is empty, and the outputs fit a transaction")


def _result(prover: Prover, rows: int, result: bytes) -> Accusation | None:
    program = prover.program
    wanted = rows * row_bytes(program, program.outputs)
    if len(result) != wanted:
        proof = prover.length(FraudKind.OUTPUT, result)
        return Accusation(proof, f"a result of {len(result)} bytes, not of {wanted}")
    place = first_difference(program, program.outputs, result, prover.trace)
    if place is None:
        return None
    what = "the result is not what the trace ends with"
    return _message(prover, FraudKind.OUTPUT, result, place, what)


def _message(
    prover: Prover, kind: FraudKind, message: bytes, place: MessagePlace, what: str
) -> Accusation:
    proof = prover.message(
        kind, message, row=place.row, tensor=place.tensor, position=place.position
    )
    return Accusation(
        proof, f"{what}: row {place.row}, tensor {place.tensor}, element {place.position}"
    )


def _element(prover: Prover) -> Accusation | None:
    first = check_trace(prover.program, prover.trace).first
    if first is None:
        return None
    return Accusation(prover.element(first.row, first.instruction, first.position), str(first))
