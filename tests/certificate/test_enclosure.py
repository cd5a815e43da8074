"""Shares of a positive sum stay in their enclosure, however far their operands move."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oracle.certificate import Options, certify
from oracle.certificate.enclosure import enclosure
from oracle.certificate.frame import Frame
from oracle.certificate.reach import freedom
from oracle.core.types import Tier
from oracle.program.instruction import Program, Trace
from oracle.program.opcode import Opcode
from tests.certificate import attack
from tests.certificate.building import Builder, honest
from tests.certificate.court import convictions

LEVELS = np.array([3.0, 0.5, -1.0, -90.0, 2.5])


def _stepped(tier: Tier, quantum: float, *, mixed: bool = False) -> Program:
    """A softmax of scores that are rounded to whole quanta first, so that they move by jumps.

    `mixed`: the divisor's sum is another row's.
    """
    builder = Builder(tier)
    x = builder.input(2, 5)
    sums = builder.dense(x, np.eye(5))
    whole = builder.pointwise(Opcode.ROUND, sums)
    scores = builder.pointwise(Opcode.MUL, whole, builder.constant(np.float32(quantum)))
    shifted = builder.pointwise(Opcode.SUB, scores, builder.reduce(Opcode.REDUCE_MAX, scores))
    powers = builder.pointwise(Opcode.EXP, shifted)
    total = builder.reduce(Opcode.SUM, powers)
    if mixed:
        operands = [builder.access(powers, (5, 1)), builder.access(total, (-1, 0), 1)]
        return builder.program(builder.step(Opcode.DIV, (2, 5), operands))
    return builder.program(builder.pointwise(Opcode.DIV, powers, total))


def _tied(random: np.random.Generator, quantum: float) -> NDArray[np.float32]:
    """Levels of which some lie on a tie."""
    whole = np.rint(LEVELS / quantum) + random.integers(-2, 3, size=(2, 5))
    return (whole + 0.5 * random.integers(0, 2, size=(2, 5))).astype(np.float32)


@pytest.mark.parametrize("tier", [Tier.NATIVE, Tier.ROUNDED])
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), quantum=st.sampled_from([0.01, 0.25, 1.0, 4.0, 30.0]))
def test_no_accepted_run_leaves_the_enclosure(tier: Tier, seed: int, quantum: float) -> None:
    random = np.random.default_rng(seed)
    program = _stepped(tier, quantum)
    row = honest(program, _tied(random, quantum))
    free = freedom(program, row)
    output = program.outputs[0]
    limit = free.limit[output] if output in free.limit else np.full(10, np.inf)
    bound = certify(program, Trace((row,)), Options(probes=0)).outputs[0].maximum
    for _ in range(4):
        moved = attack.drifted(program, row, attack.at_random(program, random))
        if convictions(program, moved):  # float64 rounded a subnormal quotient twice: no attack
            continue
        drift = np.abs(moved[output].astype(np.float64) - row[output])
        assert np.all(drift <= limit)
        assert np.all(drift <= np.array(bound))
        for tensor, reach in enumerate(free.reach):
            apart = np.abs(moved[tensor].astype(np.float64) - row[tensor])
            assert np.all(apart <= reach * (1 + 1e-9))


def test_a_softmax_whose_sum_could_fall_to_zero_by_its_reach_is_bounded() -> None:
    program = _stepped(Tier.NATIVE, 2.0)
    values = np.tile(np.float32([1.5, 0.5, -1.5, 0.5, 2.5]), (2, 1))
    certificate = certify(program, Trace((honest(program, values),)), Options(probes=0))
    assert math.isfinite(certificate.epsilon)
    assert certificate.epsilon <= 1.001


def test_a_quotient_by_a_foreign_sum_is_not_a_share() -> None:
    program = _stepped(Tier.NATIVE, 2.0, mixed=True)
    values = np.tile(np.float32([1.5, 0.5, -1.5, 0.5, 2.5]), (2, 1))
    free = freedom(program, honest(program, values))
    assert program.outputs[0] not in free.limit
    assert np.isinf(free.reach[program.outputs[0]]).any()


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), spread=st.sampled_from([1e-6, 0.1, 2.0, 30.0]))
def test_the_ends_are_those_of_the_real_function(seed: int, spread: float) -> None:
    """Scores moved anywhere in their reach, in real arithmetic: shares stay within, and the
    farthest of many is not far from the end."""
    random = np.random.default_rng(seed)
    builder = Builder(Tier.ROUNDED)
    x = builder.input(6)
    powers = builder.pointwise(Opcode.EXP, x)
    program = builder.program(
        builder.pointwise(Opcode.DIV, powers, builder.reduce(Opcode.SUM, powers))
    )
    scores = random.normal(size=6).astype(np.float32) * np.float32(3)
    row = honest(program, scores)
    reaches: list[Any] = [np.zeros(tensor.size) for tensor in program.tensors]
    reaches[program.inputs[0]] = random.random(6) * spread
    known: dict[int, Any] = {}
    for step in program.instructions:
        found = enclosure(Frame(program, step, row, reaches), known)
        if found is not None:
            known[step.output] = found
            reaches[step.output] = found.distance(row[step.output].astype(np.float64))
        else:
            reaches[step.output] = np.full(step.size, np.inf)
    shares = known[program.outputs[0]]
    ends = reaches[program.inputs[0]]
    for signs in [*random.uniform(-1, 1, (20, 6)), *(2 * np.eye(6) - 1), *(1 - 2 * np.eye(6))]:
        moved = scores.astype(np.float64) + signs * ends
        share = np.exp(moved) / np.exp(moved).sum()
        assert np.all(shares.low <= share)
        assert np.all(share <= shares.high)
    moved = scores.astype(np.float64) + (2 * np.eye(6) - 1) * ends
    upper = np.diag(np.exp(moved) / np.exp(moved).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(shares.high, upper, rtol=1e-4, atol=1e-6)
