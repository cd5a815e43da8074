"""Where to look in a trace that its operator does not show: from the wrong output back to the lie.

Given what was revealed so far and a run of one's own, says which leaves to demand next, or what is
proven by now. Starts where what was shown before explains least, and follows, from an element that
its operands explain, the operand that moved it most. Pure; knows no chain, no deposit and no clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.court.accusation import Accusation, beyond_a_transaction, wrong_rows
from oracle.court.explained import explained
from oracle.court.message import (
    MessagePlace,
    cut,
    first_difference,
    may_be_empty,
    row_bytes,
)
from oracle.court.proof import FraudKind
from oracle.court.proof_size import fits
from oracle.court.proving import Prover, bits
from oracle.court.revealed import Leaves, NotRevealed, RevealedProver
from oracle.court.screen_result import same
from oracle.court.taps import domain_index, places_read
from oracle.court.verdict import Outcome
from oracle.program.instruction import Space, Trace
from oracle.program.opcode import Opcode

_FURTHEST = 1e300
"""How far a number that is none lies from any."""


@dataclass(frozen=True, slots=True)
class DeadEnd:
    """Nothing more can be shown: every element is explained by operands as in the own run."""

    reason: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that must be shown before the walk can go on, and the element that it stands at."""

    leaves: tuple[Leaves, ...]
    row: int
    tensor: int


@dataclass(frozen=True, slots=True)
class _Element:
    row: int
    tensor: int
    position: int


class _Stopped(Exception):
    """The walk needs to be shown more to go on from an element."""

    def __init__(self, here: _Element, leaves: tuple[Leaves, ...]) -> None:
        super().__init__(here)
        self.here = here
        self.leaves = leaves


def next_step(
    prover: RevealedProver, message: bytes, result: bytes, own: Trace
) -> Accusation | Wanted | DeadEnd:
    """What to do next about an answer whose result is not what the own run gave.

    Args:
        prover: the own run with what was revealed laid over it.
        message: the request's input, of as many rows as the own run.
    """
    program, rows = prover.program, len(own.rows)
    if prover.revealed is not None:
        found = wrong_rows(program, prover.encoded, message, prover.revealed)
        if found is not None:
            return found
    try:
        return _next(prover, message, result, own, rows)
    except NotRevealed as missing:
        first = missing.leaves[0]
        return Wanted(missing.leaves, first.row, first.tensor)
    except _Stopped as stopped:
        return Wanted(stopped.leaves, stopped.here.row, stopped.here.tensor)


def _next(
    prover: RevealedProver, message: bytes, result: bytes, own: Trace, rows: int
) -> Accusation | DeadEnd:
    program = prover.program
    if not result:
        return _empty(prover, rows)
    if len(result) != rows * row_bytes(program, program.outputs):
        _any_leaf(prover)
        proof = prover.length(FraudKind.OUTPUT, result)
        return Accusation(proof, f"a result of {len(result)} bytes")
    place = _worst_output(prover, result, own) or _other_output(prover, result)
    if place is None:
        return DeadEnd("the result is that of the own run, and of the trace")
    tensor = program.outputs[place.tensor]
    prover.leaf_of(place.row, tensor, place.position)
    said = bits(cut(program, program.outputs, result)[place.tensor][place.row], place.position)
    if bits(prover.trace.rows[place.row][tensor], place.position) != said:
        made = prover.message(
            FraudKind.OUTPUT,
            result,
            row=place.row,
            tensor=place.tensor,
            position=place.position,
        )
        return Accusation(made, "the result is not what the trace ends with")
    follows = explained(prover, own)
    starts = _starts(prover, follows, _Element(place.row, tensor, place.position))
    return _walk(prover, message, follows, starts)


def _empty(prover: RevealedProver, rows: int) -> Accusation | DeadEnd:
    if may_be_empty(prover.program, rows):
        return DeadEnd("the outputs do not fit a transaction")
    _any_leaf(prover)
    return Accusation(prover.empty(), "the result is empty, and the outputs fit a transaction")


def _any_leaf(prover: RevealedProver) -> None:
    """With any leaf comes the tree root, which every proof needs. Raises NotRevealed."""
    if prover.revealed is None:
        prover.leaf_of(0, prover.program.outputs[0], 0)


def _worst_output(prover: RevealedProver, result: bytes, own: Trace) -> MessagePlace | None:
    """The output element that is furthest from the own run's."""
    program = prover.program
    worst, place = 0.0, first_difference(program, program.outputs, result, own)
    for tensor, (number, said) in enumerate(
        zip(program.outputs, cut(program, program.outputs, result), strict=True)
    ):
        for row in range(len(own.rows)):
            gap = _gap(said[row], own.rows[row][number])
            if gap.size and float(gap.max()) > worst:
                worst = float(gap.max())
                place = MessagePlace(row, tensor, int(gap.argmax()))
    return place


def _other_output(prover: RevealedProver, result: bytes) -> MessagePlace | None:
    """Of a right result: an output that the trace has otherwise. Raises NotRevealed."""
    prover.outputs()
    return first_difference(prover.program, prover.program.outputs, result, prover.trace)


def _starts(prover: RevealedProver, follows: Trace, output: _Element) -> list[_Element]:
    """The output element, and of every tensor that was shown whole its worst: what is furthest from
    what follows from the tensors shown before it comes first, in its own measure."""
    ranked = [(-_relative(prover, follows, output), 0, output)]
    for number, (row, tensor) in enumerate(sorted(prover.whole), start=1):
        gaps = _gap(prover.trace.rows[row][tensor], follows.rows[row][tensor])
        if gaps.any():
            worst = _Element(row, tensor, int(gaps.argmax()))
            ranked.append((-_relative(prover, follows, worst), number, worst))
    return list(dict.fromkeys(element for _, _, element in sorted(ranked, key=lambda one: one[:2])))


def _relative(prover: RevealedProver, follows: Trace, one: _Element) -> float:
    expected = follows.rows[one.row][one.tensor]
    span = slice(one.position, one.position + 1)
    gap = float(_gap(prover.trace.rows[one.row][one.tensor][span], expected[span])[0])
    with np.errstate(all="ignore"):
        sizes = np.abs(expected.astype(np.float64))
    largest = float(np.where(np.isfinite(sizes), sizes, 0.0).max(initial=0.0))
    return min(gap / largest, _FURTHEST) if largest else gap


def _walk(
    prover: RevealedProver, message: bytes, follows: Trace, starts: list[_Element]
) -> Accusation | DeadEnd:
    program, seen = prover.program, set(starts)
    too_large: Accusation | None = None
    path = starts[::-1]
    while path:
        here = path[-1]
        try:
            prover.require(here.row, here.tensor, here.position)
        except NotRevealed as missing:
            raise _Stopped(here, missing.leaves) from None
        if here.tensor in program.inputs:
            found: Accusation | None = _input(prover, message, here)
        else:
            found = _element(prover, here)
        if found is not None and fits(found.proof):
            return found
        too_large = too_large or found
        following = next((one for one in _culprits(prover, follows, here) if one not in seen), None)
        if following is None:
            path.pop()
        else:
            seen.add(following)
            path.append(following)
    if too_large is not None:
        return beyond_a_transaction(too_large)
    return DeadEnd("every element on the way back is what its operands give")


def _element(prover: RevealedProver, here: _Element) -> Accusation | None:
    instruction = prover.program.producer[here.tensor]
    verdict = prover.verdict(here.row, instruction, here.position)
    if verdict.outcome is not Outcome.VIOLATED:
        return None
    name = prover.program.instructions[instruction].opcode.name
    return Accusation(
        prover.element(here.row, instruction, here.position),
        f"row {here.row}, instruction {instruction} ({name}), element {here.position}: "
        f"{verdict.numbers}: {verdict.reason}",
    )


def _input(prover: RevealedProver, message: bytes, here: _Element) -> Accusation | None:
    program = prover.program
    tensor = program.inputs.index(here.tensor)
    asked = cut(program, program.inputs, message)[tensor][here.row]
    if bits(asked, here.position) == bits(prover.trace.rows[here.row][here.tensor], here.position):
        return None  # as it was asked
    proof = prover.message(
        FraudKind.INPUT, message, row=here.row, tensor=tensor, position=here.position
    )
    return Accusation(proof, f"the trace is of another input: element {here.position}")


def _culprits(prover: RevealedProver, own: Trace, here: _Element) -> Iterator[_Element]:
    """Operands that differ from the own run's, the one that contributes most first."""
    if here.tensor in prover.program.inputs:
        return
    instruction = prover.program.producer[here.tensor]
    reads = prover.reads(here.row, instruction, here.position)
    weights = _weights(prover, here, instruction)
    ranked = []
    for number, (tensor, position) in enumerate(reads):
        done = prover.trace.rows[here.row][tensor][position : position + 1]
        mine = own.rows[here.row][tensor][position : position + 1]
        if done.tobytes() != mine.tobytes():
            gap = float(_gap(done, mine)[0]) * weights.get((tensor, position), 1.0)
            ranked.append((-gap, number, _Element(here.row, tensor, position)))
    yield from (element for _, _, element in sorted(ranked, key=lambda one: one[:2]))


def _weights(
    prover: RevealedProver, here: _Element, instruction: int
) -> dict[tuple[int, int], float]:
    """Of a sum of products: how much each operand of the trace counts."""
    program, step = prover.program, prover.program.instructions[instruction]
    if step.opcode not in (Opcode.DOT, Opcode.INTEGER_DOT, Opcode.QUANTIZED_DOT):
        return {}
    weights: dict[tuple[int, int], float] = {}
    for pair in products(prover, here.row, instruction, here.position):
        for (space, tensor, place), (other_space, other, other_place) in (pair, pair[::-1]):
            if space is Space.TRACE:
                table = (
                    prover.trace.rows[here.row]
                    if other_space is Space.TRACE
                    else program.constant_values
                )
                factor = abs(float(table[other][other_place]))
                weights[tensor, place] = weights.get((tensor, place), 0.0) + (
                    factor if np.isfinite(factor) else _FURTHEST
                )
    return weights


_Factor = tuple[Space, int, int]


def products(
    prover: Prover, row: int, instruction: int, position: int
) -> Iterator[tuple[_Factor, _Factor]]:
    """The two factors of each tap that counts, as (space, tensor, position)."""
    step = prover.program.instructions[instruction]
    first, second, *_ = places_read(step, domain_index(step, position))
    a, b = step.operands[:2]
    for one, other in zip(first, second, strict=True):
        if one is not None and other is not None:
            yield (a.space, a.tensor, one), (b.space, b.tensor, other)


def _gap(one: Any, other: Any) -> Any:
    """How far apart elements are; NaN and infinity lie further from any number than numbers do."""
    with np.errstate(all="ignore"):
        gap = np.abs(one.astype(np.float64) - other.astype(np.float64))
    return np.where(same(one, other), 0.0, np.where(np.isfinite(gap), gap, _FURTHEST))
