"""What is wrong with an answer whose whole trace is at hand: a proof of it, or nothing.

The checks go from the cheapest to the dearest: the rows, the input, the result, every element. The
caller has found that the trace has the signed root. Pure; knows no chain and no operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from oracle.core import merkle
from oracle.court.check import Violation, check_trace
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
from oracle.court.proof_size import LARGEST_PROOF_BYTES, fits, largest_proof_bytes, proof_bytes
from oracle.court.proving import Prover
from oracle.program.encoding import EncodedProgram
from oracle.program.instruction import Program, Trace

_OTHERS: Final = 16
"""Violations that are looked at for a smaller proof, of each kind."""


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


def beyond_a_transaction(found: Accusation) -> Accusation:
    """Says of an accusation that its proof is too large, and that there is no smaller one."""
    return replace(
        found,
        what=f"{found.what}; its proof of {proof_bytes(found.proof)} bytes is above the "
        f"{LARGEST_PROOF_BYTES} that public nodes have room for, and nothing else was found "
        "wrong whose proof is not",
    )


def _element(prover: Prover) -> Accusation | None:
    first = check_trace(prover.program, prover.trace).first
    if first is None:
        return None
    found = _accused(prover, first)
    if fits(found.proof):
        return found
    others = (_accused(prover, one) for one in _others(prover.program, prover.trace, first))
    smaller = next((one for one in others if fits(one.proof)), None)
    return smaller or beyond_a_transaction(found)


def _accused(prover: Prover, found: Violation) -> Accusation:
    proof = prover.element(found.row, found.instruction, found.position)
    return Accusation(proof, str(found))


def _others(program: Program, trace: Trace, first: Violation) -> Iterator[Violation]:
    """Other violations than one whose proof is too large: of steps whose proofs are small by their
    form, then some of the same step, whose elements may read less at its edges."""
    small = [
        number
        for number, step in enumerate(program.instructions)
        if number != first.instruction and largest_proof_bytes(program, step) <= LARGEST_PROOF_BYTES
    ]
    for numbers in (small, [first.instruction]):
        part = replace(program, instructions=tuple(program.instructions[one] for one in numbers))
        for found in check_trace(part, trace, most=_OTHERS).violations:
            yield replace(found, instruction=numbers[found.instruction])
