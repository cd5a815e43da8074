"""False claims about one element, and what the exact judge and the whole check say of them.

A false claim lies beyond twice the bound that the honest claim was judged by. Knows no models.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from oracle.core.schema import ElementType
from oracle.court.binary32 import BINARY32
from oracle.court.case import Bits
from oracle.court.check import check_trace
from oracle.court.judge import judge_element
from oracle.court.number import integer_range, width
from oracle.court.verdict import Outcome, Verdict
from oracle.program.instruction import Instruction, Program, Space, Trace
from oracle.program.opcode import Opcode
from tests.court_check.programs import Array

ELEMENTS = 8
"""Elements of an instruction that are tampered with, spread over its output."""

UNJUDGED = frozenset(
    {
        "an operand is not finite",
        "the operand is not finite",
        "the operand is not a number",
        "division by zero",
    }
)
"""Why the court may leave a claim open: IEEE 754's special operands, and nothing else."""

SCALED = frozenset({Opcode.QUANTIZE, Opcode.QUANTIZED_DOT})
"""Integers that may be off by a rounding."""


@dataclass
class Tally:
    """How many honest claims were judged, and what became of the false ones."""

    honest: int = 0
    false: int = 0
    convicted: int = 0
    undefined: int = 0

    def __iadd__(self, other: Tally) -> Tally:
        self.honest += other.honest
        self.false += other.false
        self.convicted += other.convicted
        self.undefined += other.undefined
        return self


class Bench:
    """The exact judge over one row of a program."""

    def __init__(self, program: Program, row: Sequence[Array]) -> None:
        self._program = program
        self._tensors = [bits_of(value) for value in row]
        self._constants = [bits_of(value) for value in program.constant_values]

    def claimed(self, step: Instruction, place: int) -> Bits:
        return int(self._tensors[step.output][place])

    def judge(self, step: Instruction, place: int, claimed: Bits) -> Verdict:
        return judge_element(self._program, step, place, self._read, claimed)

    def _read(self, space: Space, tensor: int, place: int) -> Bits:
        return int((self._tensors if space is Space.TRACE else self._constants)[tensor][place])


def accuse(program: Program, row: Sequence[Array], tallies: dict[Opcode, Tally]) -> Iterator[str]:
    """Tampers with every instruction; a line for each false claim that is not convicted.

    The judge is asked about every false claim alone, the whole check about one of each element
    together: both must say the same. Only special operands leave a claim open.
    """
    bench = Bench(program, row)
    for number, step in enumerate(program.instructions):
        kind = program.tensors[step.output].element
        tally = tallies.setdefault(step.opcode, Tally())
        forged = bits_of(row[step.output]).copy()
        expected = []
        for place in spread(step.size, ELEMENTS):
            claimed = bench.claimed(step, place)
            honest = bench.judge(step, place, claimed)
            tally.honest += 1
            if honest.convicts:
                yield f"{step.opcode.name} {step.name!r} {place}: honest, {honest.reason}"
            for turn, claim in enumerate(false_claims(step.opcode, kind, claimed, honest)):
                verdict = bench.judge(step, place, claim)
                tally.false += 1
                tally.convicted += verdict.convicts
                tally.undefined += verdict.outcome is Outcome.UNDEFINED
                if not verdict.convicts and verdict.reason not in UNJUDGED:
                    yield f"{step.opcode.name} {step.name!r} {place}: {verdict}, honest {honest}"
                if turn == place % 3 or turn == 0:
                    forged[place] = claim
            if bench.judge(step, place, int(forged[place])).convicts:
                expected.append(place)
        values = list(row)
        values[step.output] = forged.view(row[step.output].dtype)
        # One instruction alone: false values that others read are not the point here.
        alone = replace(program, instructions=(step,))
        report = check_trace(alone, Trace((tuple(values),)), most=step.size)
        found = [violation.position for violation in report.violations]
        if found != expected:
            yield f"{step.opcode.name} {step.name!r} ({number}): check {found}, judge {expected}"


def false_claims(
    opcode: Opcode, kind: ElementType, claimed: Bits, honest: Verdict
) -> Iterator[Bits]:
    """Claims that no honest run gives, the nearest first."""
    if kind is ElementType.BOOL:
        yield 1 - claimed
    elif kind is ElementType.FLOAT32:
        yield from _floats(claimed, honest)
    elif opcode in SCALED and honest.exact is not None:
        yield from _scaled(kind, claimed, honest)
    else:
        yield claimed ^ 1
        yield claimed ^ (1 << (width(kind) - 1))


def _floats(claimed: Bits, honest: Verdict) -> Iterator[Bits]:
    if honest.exact is not None:
        for sign in (1, -1):
            far = BINARY32.round(Fraction(honest.exact) + sign * 2 * honest.bound)
            further = _steps(far, 3 * sign)
            if further is not None:
                yield further
    if BINARY32.is_finite(claimed):
        yield 0x7F800000 | (~claimed & BINARY32.sign_bit)  # the other infinity
    else:
        yield 0x3F800000
    yield 0x3F800000 if BINARY32.is_nan(claimed) else 0x7FC00000


def _steps(bits: Bits, steps: int) -> Bits | None:
    """The float32 so many numbers further up; None where it is not finite."""
    if not BINARY32.is_finite(bits):
        return None
    magnitude = BINARY32.magnitude(bits)
    place = steps + (-magnitude if BINARY32.is_negative(bits) else magnitude)
    found = -place | BINARY32.sign_bit if place < 0 else place
    return found if BINARY32.is_finite(found) else None


def _scaled(kind: ElementType, claimed: Bits, honest: Verdict) -> Iterator[Bits]:
    """The nearest integers of the type beyond twice the bound from what saturates."""
    assert honest.exact is not None
    least, greatest = integer_range(kind)
    exact = max(Fraction(least), min(Fraction(greatest), Fraction(honest.exact)))
    below, above = math.ceil(exact - 2 * honest.bound) - 1, math.floor(exact + 2 * honest.bound) + 1
    for value in (below, above):
        if least <= value <= greatest:
            yield value & ((1 << width(kind)) - 1)


def spread(size: int, most: int) -> list[int]:
    """Up to `most` places from the first to the last."""
    return sorted({round(place) for place in np.linspace(0, size - 1, min(size, most))})


def bits_of(value: Array) -> Array:
    """A flat tensor's elements as unsigned integers."""
    return np.ascontiguousarray(value).view(f"<u{value.dtype.itemsize}")
