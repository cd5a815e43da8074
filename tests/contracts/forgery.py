"""Traces in which one instruction's output is forged, committed anew, for the contract to judge.

Knows how a claim gets into a trace; which claims are worth making is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from oracle.court.case import Bits
from oracle.court.proving import Prover
from oracle.court.verdict import Verdict
from oracle.program.instruction import Instruction, Trace
from tests.contracts.courtroom import Element, committed
from tests.court_check.programs import Array
from tests.court_suite.forging import bits_of, false_claims, spread

Claims = Callable[[Prover, Instruction, Bits, Verdict], Iterator[Bits]]
"""Claims about an element of an instruction: from what was committed, and its verdict."""


@dataclass(frozen=True)
class Forgery:
    """A committed trace, and the elements in it that were replaced."""

    prover: Prover
    elements: tuple[Element, ...]


def forgeries(
    prover: Prover, row: int, number: int, claims: Claims, *, most: int, turns: int
) -> Iterator[Forgery]:
    """Forges up to `most` elements of an instruction together, which do not depend on each other.

    Up to so many turns, in which each element takes another one of its claims.
    """
    step = prover.program.instructions[number]
    places = spread(step.size, most)
    values = prover.trace.rows[row][step.output]
    claimed = bits_of(values)
    offered = [
        list(claims(prover, step, int(claimed[place]), prover.verdict(row, number, place)))
        for place in places
    ]
    for turn in range(min(turns, max(map(len, offered), default=0))):
        forged = claimed.copy()
        for index, (place, ones) in enumerate(zip(places, offered, strict=True)):
            if ones:
                forged[place] = ones[(turn + index) % len(ones)]
        yield Forgery(
            with_values(prover, row, step.output, forged),
            tuple((row, number, place) for place in places if forged[place] != claimed[place]),
        )


def with_element(prover: Prover, row: int, tensor: int, position: int, claimed: Bits) -> Prover:
    """The trace with another element in a tensor, committed anew."""
    forged = bits_of(prover.trace.rows[row][tensor]).copy()
    forged[position] = claimed
    return with_values(prover, row, tensor, forged)


def with_values(prover: Prover, row: int, tensor: int, bits: Array) -> Prover:
    """The trace with other elements in a tensor, given as unsigned integers, committed anew."""
    rows = [list(tensors) for tensors in prover.trace.rows]
    rows[row][tensor] = bits.view(rows[row][tensor].dtype)
    return committed(prover.program, Trace(tuple(map(tuple, rows))), prover.encoded)


def false_ones(prover: Prover, step: Instruction, claimed: Bits, honest: Verdict) -> Iterator[Bits]:
    """Claims that no honest run gives."""
    kind = prover.program.tensors[step.output].element
    return false_claims(step.opcode, kind, claimed, honest)
