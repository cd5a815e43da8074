"""Bounds of the certificate against the court's exact rules, at their edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oracle.certificate.adjoint_step import choices
from oracle.certificate.bounds import gamma, tolerance
from oracle.certificate.frame import Frame
from oracle.certificate.rules import RULES
from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.judge import judge_element
from oracle.court.rules_linear import MOST_ROUNDINGS
from oracle.court.verdict import Outcome
from oracle.program.instruction import Program, Space
from oracle.program.opcode import Opcode
from tests.certificate.building import Builder
from tests.support.failures import thorough

TAPS = 4


def _quantised(kind: str, scales: tuple[float, float, float], zeros: Any, bias: int) -> Program:
    """QUANTIZED_DOT of two committed vectors."""
    builder = Builder(Tier.EXACT)
    element = ElementType(kind)
    a, b = (builder.input(TAPS, element=element) for _ in range(2))
    lone = [
        *(builder.constant(np.array(zero, dtype=kind)) for zero in zeros[:2]),
        *(builder.constant(np.float32(scale)) for scale in scales),
        builder.constant(np.array(zeros[2], dtype=kind)),
        builder.constant(np.int32(bias)),
    ]
    operands = [builder.access(handle, (0, 1)) for handle in (a, b)]
    operands += [builder.access(handle, (0, 0)) for handle in lone]
    made = builder.step(Opcode.QUANTIZED_DOT, (1,), operands, (TAPS,), element=element)
    return builder.program(made)


def _accepted(program: Program, row: list[NDArray[Any]], kind: str) -> list[int]:
    """All claims that the exact rule takes."""
    (step,) = program.instructions

    def read(space: Space, tensor: int, place: int) -> int:
        value = (row if space is Space.TRACE else program.constant_values)[tensor]
        return int(value.reshape(-1).view(f"u{value.itemsize}")[place])

    limits = np.iinfo(kind)
    found = []
    for claim in range(limits.min, limits.max + 1):
        said = judge_element(program, step, 0, read, claim & 0xFF)
        assert said.outcome is not Outcome.UNDEFINED
        if said.outcome is Outcome.WITHIN:
            found.append(claim)
    return found


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["int8", "uint8"]),
    tie=st.booleans(),
    reach=st.integers(0, 3),
)
@thorough
def test_quantised_products_reach_what_the_exact_rule_takes(
    seed: int, kind: str, tie: bool, reach: int
) -> None:
    """In every run whose operands move by whole numbers within their reach."""
    random = np.random.default_rng(seed)
    limits = np.iinfo(kind)
    a, b = random.integers(limits.min + 3, limits.max - 2, size=(2, TAPS)).astype(kind)
    zeros = random.integers(limits.min, limits.max, size=3)
    bias = int(random.integers(-500, 500))
    level = int(((a.astype(int) - zeros[0]) * (b.astype(int) - zeros[1])).sum()) + bias
    if tie and level % 2 == 0:
        bias, level = bias + 1, level + 1
    # Powers of two scale exactly: an odd level at a half lies on a tie.
    scales = (0.5, 2.0, 2.0) if tie else tuple(np.exp(random.uniform(-5, 1, 3)))
    program = _quantised(kind, scales, zeros, bias)  # type: ignore[arg-type]
    (step,) = program.instructions
    row: list[NDArray[Any]] = [a, b, np.zeros(1, dtype=kind)]
    claims = _accepted(program, row, kind)
    row[2][0] = claims[0]
    reaches = [np.full(TAPS, float(reach)), np.zeros(TAPS), np.zeros(1)]
    still = Frame(program, step, row, [np.zeros(TAPS), np.zeros(TAPS), np.zeros(1)])
    ends = choices(still)
    assert ends is not None
    assert [int(end[0]) for end in (ends[0].reshape(-1), ends[1].reshape(-1))] == [
        claims[0],
        claims[-1],
    ]
    frame = Frame(program, step, row, reaches)
    room = float(np.broadcast_to(RULES[step.opcode].remainder(frame), (1, 1)).max())
    for _ in range(3):
        moved = a + random.integers(-reach, reach + 1, TAPS).astype(kind)
        others = _accepted(program, [moved.astype(kind), *row[1:]], kind)
        for claim in (others[0], others[-1]):
            assert abs(claim - claims[0]) <= room


def test_an_accumulator_that_can_wrap_is_without_bound() -> None:
    program = _quantised("int8", (0.5, 0.5, 1.0), (0, 0, 0), 2**31 - 20)
    (step,) = program.instructions
    row = [np.ones(TAPS, np.int8), np.full(TAPS, 4, np.int8), np.zeros(1, np.int8)]
    for reach, bounded in ((0.0, True), (2.0, False)):
        frame = Frame(program, step, row, [np.full(TAPS, reach), np.zeros(TAPS), np.zeros(1)])
        assert np.isfinite(RULES[step.opcode].remainder(frame)).all() == bounded


@pytest.mark.parametrize("tier", [Tier.NATIVE, Tier.ROUNDED])
def test_sums_end_where_the_courts_do(tier: Tier) -> None:
    """A sum of so many terms is UNDEFINED, and without bound; of one fewer it is judged."""
    for taps, bounded in ((MOST_ROUNDINGS - 1, False), (MOST_ROUNDINGS - 2, True)):
        builder = Builder(tier)
        x = builder.input(1)
        program = builder.program(
            builder.step(Opcode.SUM, (1,), [builder.access(x, (0, 0))], (taps,))
        )
        (step,) = program.instructions
        row = [np.ones(1, np.float32), np.full(1, taps, np.float32)]
        found = tolerance(Frame(program, step, row, [np.zeros(1)] * 2), np.zeros((1, 1)))
        assert np.isfinite(found).all() == bounded
    assert np.isinf(gamma(np.array(float(MOST_ROUNDINGS))))
