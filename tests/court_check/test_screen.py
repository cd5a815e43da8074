"""The screen against the exact judge, element by element, on honest and on tampered claims."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from oracle.core.types import Tier
from oracle.court.check import check_trace
from oracle.court.check_evaluate import evaluate
from oracle.court.check_structure import stacked
from oracle.court.judge import judge_element
from oracle.court.screen import screen
from oracle.court.screen_matrix import Memory
from oracle.court.screen_nest import bind
from oracle.court.verdict import Outcome
from oracle.program.instruction import Program, Space, Trace
from oracle.program.opcode import Opcode
from tests.court_check.cases import CASES
from tests.court_check.programs import KINDS, SPECIAL, Array

INTEGERS = {"integer_dot", "integer_sum", "logic"}
"""Their data has no kinds."""

TIERS = {"matmul", "batched", "convolution", "sum", "mean"}


def outcomes(program: Program, trace: Trace) -> list[list[Array]]:
    """What the exact judge says of every element: [row][instruction][element]."""
    constants = [_bits(value) for value in program.constant_values]
    found = []
    for row in trace.rows:
        tensors = [_bits(value) for value in row]

        def read(space: Space, tensor: int, place: int, tensors: list[Array] = tensors) -> int:
            return int((tensors if space is Space.TRACE else constants)[tensor][place])

        found.append(
            [
                np.array(
                    [
                        judge_element(program, step, place, read, int(claimed)).outcome.value
                        for place, claimed in enumerate(tensors[step.output])
                    ]
                )
                for step in program.instructions
            ]
        )
    return found


def _bits(value: Array) -> Array:
    return value.view(f"<u{value.dtype.itemsize}")


def tampered(program: Program, trace: Trace, rng: np.random.Generator) -> Trace:
    """Every element of every output moved: by an ulp or two, by a random bit, to something special.

    Instructions are still judged against the tampered operands, which is what makes it a trace.
    """
    rows = []
    for row in trace.rows:
        tensors = list(row)
        for step in program.instructions:
            value = tensors[step.output].copy()
            bits = _bits(value)
            if value.dtype.kind == "b":
                value ^= rng.random(value.size) < 0.5
            else:
                width = 8 * value.dtype.itemsize
                kinds = rng.integers(0, 6, value.size)
                bits += (kinds == 1).astype(bits.dtype)
                bits -= (kinds == 2).astype(bits.dtype)
                one = np.ones((), bits.dtype) << rng.integers(0, width, value.size).astype(
                    bits.dtype
                )
                bits ^= np.where(kinds == 3, one, 0).astype(bits.dtype)
                far = rng.integers(-40, 40, value.size)  # near the bounds of the NATIVE tier
                bits += np.where(kinds == 5, far, 0).astype(bits.dtype)
                if value.dtype == np.float32:
                    value[kinds == 4] = rng.choice(SPECIAL, int((kinds == 4).sum()))
            tensors[step.output] = value
        rows.append(tuple(tensors))
    return Trace(tuple(rows))


def compare(program: Program, trace: Trace) -> Counter[str]:
    """Asserts that the screen says nothing that the judge does not; counts what it left open."""
    exact = outcomes(program, trace)
    tensors = stacked(trace, 0, len(trace.rows))
    counts: Counter[str] = Counter()
    memory = Memory()
    for number, step in enumerate(program.instructions):
        nest = bind(program, step, len(trace.rows), tensors)
        said = screen(nest, tensors[step.output].reshape(nest.domain), memory)
        truth = np.stack([row[number] for row in exact]).reshape(nest.domain)
        assert not (said.within & (truth != "within")).any(), step
        assert not (said.undefined & (truth != "undefined")).any(), step
        open_ = ~(said.within | said.undefined)
        counts["all"] += truth.size
        counts["open"] += int((open_ & (truth != "violated")).sum())
        counts.update(truth.reshape(-1).tolist())
    report = check_trace(program, trace, most=1 << 30)
    assert (report.within, report.violated, report.undefined) == tuple(
        counts[outcome.value] for outcome in (Outcome.WITHIN, Outcome.VIOLATED, Outcome.UNDEFINED)
    )
    assert report.elements == counts["all"]
    assert report.open == 0
    return counts


def test_every_opcode_has_a_case() -> None:
    rng = np.random.default_rng(0)
    made = {
        step.opcode
        for make in CASES.values()
        for step in make(rng, "normal", Tier.ROUNDED).program().instructions
    }
    assert made == set(Opcode)


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in CASES for kind in (KINDS[:1] if name in INTEGERS else KINDS)],
)
def test_screen_says_what_the_judge_says(name: str, kind: str) -> None:
    rng = np.random.default_rng([len(name), ord(name[0]), KINDS.index(kind)])
    for tier in (Tier.ROUNDED, Tier.NATIVE) if name in TIERS else (Tier.ROUNDED,):
        made = CASES[name](rng, kind, tier)
        program = made.program()
        honest = evaluate(program, None, made.rows())
        counts = compare(program, honest)
        # An infinite weight times padding is NaN in numpy, while the court does not count the tap.
        assert counts["violated"] == 0 or (name, kind) == ("convolution", "special")
        if kind in ("normal", "tied", "aligned"):
            assert counts["open"] <= 0.02 * counts["all"], (name, tier, counts)
        compare(program, tampered(program, honest, rng))
