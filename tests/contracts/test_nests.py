"""Loop nests before the contract: random ones, and a small program of every operation.

Operands lie in leaves of a few elements, and are often shown leaf by leaf, so that runs of taps go
from piece to piece. Claims are what Python computes, or next to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Final

import numpy as np
import pytest

from oracle.core.merkle import leaf_count
from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.case import Bits
from oracle.court.check_evaluate import evaluate
from oracle.court.judge import judge_element
from oracle.court.number import FORMATS, INTEGERS, integer_range, width
from oracle.court.opening import Opening, open_constant, open_trace
from oracle.court.proof import ElementProof, OperandOpening
from oracle.court.proving import Prover, bits
from oracle.court.verdict import Outcome, Verdict
from oracle.errors import TraceError
from oracle.program.instruction import Access, Program, Space, Trace
from oracle.program.opcode import Opcode
from tests.contracts.courtroom import PLAIN_REVERT, Courtroom, Element, claim_of, committed
from tests.contracts.elements import element
from tests.contracts.harness import Chain, case_count
from tests.contracts.nests import OPCODES, random_program, random_trace
from tests.court_check.cases import CASES
from tests.court_check.programs import KINDS
from tests.court_suite.forging import bits_of, spread
from tests.support.small_programs import small_program, small_trace

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(0)]

PROGRAMS: Final = max(20, case_count() // 28)
"""Of each operation."""
POSITIONS: Final = 4
"""Of each program."""


@pytest.fixture(scope="module")
def room(court_chain: Chain) -> Courtroom:
    return Courtroom(court_chain)


@pytest.mark.parametrize("opcode", OPCODES)
def test_random_nests(room: Courtroom, opcode: Opcode) -> None:
    source = Random(int(opcode))
    counts: Counter[Outcome] = Counter()
    for _ in range(PROGRAMS):
        program = random_program(source, opcode)
        trace = random_trace(source, program)
        places = source.sample(
            range(program.instructions[0].size), min(POSITIONS, program.instructions[0].size)
        )
        prover = committed(program, claimed(source, program, trace, places))
        counts += compared(room, source, prover, [(0, 0, place) for place in places])
    assert min(counts[Outcome.WITHIN], counts[Outcome.VIOLATED]) > PROGRAMS // 4, counts
    assert counts[Outcome.UNDEFINED], counts


@pytest.mark.parametrize("name", CASES)
def test_programs_of_every_operation(room: Courtroom, name: str) -> None:
    """All kinds of data, honest claims first, and then one of each instruction's changed."""
    source = Random(name)
    tiers = (Tier.ROUNDED, Tier.NATIVE)
    for number, kind in enumerate(KINDS):
        with np.errstate(all="ignore"):
            made = CASES[name](np.random.default_rng(number), kind, tiers[number % 2])
            program = replace(made.program(), leaf_bytes=source.choice((8, 16, 64)))
            trace = evaluate(program, None, made.rows())
        last = len(trace.rows) - 1
        elements = [
            (last, step, place)
            for step, one in enumerate(program.instructions)
            for place in spread(one.size, POSITIONS)
        ]
        compared(room, source, committed(program, trace), elements)
        rows = [list(row) for row in trace.rows]
        for row, step, place in elements:
            output = program.instructions[step].output
            forged = bits_of(rows[row][output]).copy()
            forged[place] ^= source.choice((1, 1, 2, 1 << (8 * forged.itemsize - 1)))
            rows[row][output] = forged.view(rows[row][output].dtype)
        forged_trace = Trace(tuple(map(tuple, rows)))
        compared(room, source, committed(program, forged_trace), elements)


def test_more_taps_than_anybody_runs_are_refused(room: Courtroom) -> None:
    """What a program asks for is no reason to hand out memory that ends before it begins."""
    tensors = [(ElementType.FLOAT32, 4), (ElementType.FLOAT32, 1)]
    bare = small_program(tensors, leaf_bytes=16)
    (copy,) = bare.instructions
    most = 2**32 - 1
    errors = []
    for reduction in ((65_536, 65_536), (most, most), (most,) * 7 + (8,), (most,) * 9):
        still = Access(Space.TRACE, 0, 0, (0,) * (1 + len(reduction)))
        step = replace(copy, opcode=Opcode.SUM, reduction=reduction, operands=(still,))
        program = replace(bare, instructions=(step,))
        prover = committed(program, small_trace(program))
        proof = showing(prover, 0, 0, 0, in_pieces=False)
        (answer,) = room.judge(claim_of(prover), [proof])
        errors.append(answer.error)
    assert errors == ["TooManyTaps"] * 3 + [PLAIN_REVERT], "the last product is no word"


def compared(
    room: Courtroom, source: Random, prover: Prover, elements: Sequence[Element]
) -> Counter[Outcome]:
    """Some proofs show whole operands, some each leaf by itself; those of elements that ask for
    what no tensor has cannot show what is read."""
    proofs = []
    for row, number, place in elements:
        try:
            proof = prover.element(row, number, place)
        except TraceError:
            proof = showing(prover, row, number, place, in_pieces=source.random() < 0.5)
        else:
            if source.random() < 0.6:
                proof = showing(prover, row, number, place, in_pieces=source.random() < 0.7)
        proofs.append(proof)
    return room.compare_proofs(prover, elements, proofs)


def showing(prover: Prover, row: int, number: int, place: int, *, in_pieces: bool) -> ElementProof:
    """The proof with every leaf of every operand: in one piece, or each leaf as one."""
    program = prover.program
    step = program.instructions[number]
    # A program without operands has the same element at that place.
    bare = replace(step, operands=(), opcode=Opcode.COPY)
    steps = (*program.instructions[:number], bare, *program.instructions[number + 1 :])
    output = replace(prover, program=replace(program, instructions=steps))
    operands = tuple(
        OperandOpening(operand, opened(prover, row, access, first, count))
        for operand, access in enumerate(step.operands)
        for first, count in pieces(program, access, in_pieces)
    )
    return replace(output.element(row, number, place), operands=operands)


def pieces(program: Program, access: Access, in_pieces: bool) -> list[tuple[int, int]]:
    """All leaves of an operand, as (first, count)."""
    leaves = leaf_count(program.info(access).byte_count, program.leaf_bytes)
    return [(leaf, 1) for leaf in range(leaves)] if in_pieces else [(0, leaves)]


def opened(prover: Prover, row: int, access: Access, first: int, count: int) -> Opening:
    program, tensor = prover.program, access.tensor
    if access.space is Space.CONSTANT:
        return open_constant(program, prover.encoded, tensor, first=first, count=count)
    return open_trace(
        program,
        prover.trace,
        prover.commitment,
        row=row,
        tensor=tensor,
        first=first,
        count=count,
    )


def claimed(source: Random, program: Program, trace: Trace, places: Sequence[int]) -> Trace:
    """The trace with claims at these places: right, nearly right, or anything."""
    (step,) = program.instructions
    kind = program.tensors[step.output].element
    (row,) = trace.rows
    values = bits_of(row[step.output]).copy()

    def read(space: Space, tensor: int, place: int) -> Bits:
        return bits((row if space is Space.TRACE else program.constant_values)[tensor], place)

    for place in places:
        right = answer(source, kind, judge_element(program, step, place, read, 0))
        wrong = source.choice((right ^ 1, right + 1, right - 1, element(source, kind)))
        values[place] = (right if source.random() < 0.6 else wrong) & ((1 << width(kind)) - 1)
    return Trace(((*row[:-1], values.view(row[-1].dtype)),))


def answer(source: Random, kind: ElementType, verdict: Verdict) -> Bits:
    """The claim that is right where the court knows one."""
    if verdict.exact is None:
        return element(source, kind)
    if kind.is_float:
        return FORMATS[kind].round(Fraction(verdict.exact))
    right = round(verdict.exact)
    if kind in INTEGERS:
        least, greatest = integer_range(kind)
        right = min(max(right, least), greatest)
    return right & ((1 << width(kind)) - 1)
