"""Where the screen saves itself work, it still says only what the judge says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from oracle.core.types import Tier
from oracle.court.check import check_trace
from oracle.court.check_evaluate import evaluate
from oracle.court.screen_elementary import elementary_values
from oracle.program.instruction import Trace
from oracle.program.opcode import Opcode
from tests.court_check.cases import CASES
from tests.court_check.programs import KINDS
from tests.court_check.test_screen import compare

FINITE = tuple(kind for kind in KINDS if kind not in ("special", "huge"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["matmul", "batched", "convolution", "sum", "mean"])
def test_a_float64_sum_rounded_once_is_within(name: str, kind: str) -> None:
    for seed in range(6):
        made = CASES[name](np.random.default_rng([seed, 7]), kind, Tier.ROUNDED)
        program = made.program()
        counts = compare(program, evaluate(program, None, made.rows()))
        if kind in FINITE:
            assert counts["violated"] == counts["open"] == 0
            assert name == "mean" or counts["within"] == counts["all"]  # one is a mean of nothing


@pytest.mark.parametrize("name", ["matmul", "convolution", "sum", "mean"])
def test_one_wrong_claim_among_many_that_agree_is_found(name: str) -> None:
    rng = np.random.default_rng(3)
    made = CASES[name](rng, "normal", Tier.ROUNDED)
    program = made.program()
    honest = evaluate(program, None, made.rows())
    for number, step in enumerate(program.instructions):
        row = int(rng.integers(len(honest.rows)))
        position = int(rng.choice(np.flatnonzero(np.isfinite(honest.rows[row][step.output]))))
        tensors = list(honest.rows[row])
        tensors[step.output] = tensors[step.output].copy()
        tensors[step.output][position] += np.float32(1)
        rows = (*honest.rows[:row], tuple(tensors), *honest.rows[row + 1 :])
        first = check_trace(program, Trace(rows)).first
        assert first is not None
        assert (first.row, first.instruction, first.position) == (row, number, position)


@pytest.mark.parametrize("divisor", [-3, (1 << 24) + 1])
def test_a_mean_by_a_divisor_out_of_range_is_undefined(divisor: int) -> None:
    made = CASES["mean"](np.random.default_rng(0), "normal", Tier.ROUNDED)
    program = made.program()
    honest = evaluate(program, None, made.rows())
    steps = tuple(replace(step, attributes=(divisor,)) for step in program.instructions)
    report = check_trace(replace(program, instructions=steps), honest)
    assert report.undefined == report.elements


def test_the_error_function_is_as_exact_as_the_screen_takes_it_for() -> None:
    points = np.arange(7 * 256) / 256
    between = (points + 1 / 512) * (1 + 2.0**-40)  # farthest from the points of the table
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [
            points,
            between,
            np.nextafter(between, 0),
            np.ldexp(rng.random(100_000) + 1, rng.integers(-150, 3, 100_000)),
            rng.uniform(0, 7, 100_000),
        ]
    )
    exact = np.array([math.erf(value) for value in x.tolist()])
    for sign in (1, -1):
        found = elementary_values(Opcode.ERF, sign * x)
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = np.where(exact == 0, 0, np.abs(sign * found - exact) / exact)
        assert np.all((found == 0) == (exact == 0))
        assert gap.max() < 2.0**-35
    special = elementary_values(Opcode.ERF, np.array([np.nan, np.inf, -np.inf, 0.0, -0.0]))
    assert np.array_equal(special, [np.nan, 1, -1, 0, 0], equal_nan=True)
    assert np.signbit(special[-1])
