"""The contract and Python on runs of the sample models: honest, moved within the bound, forged.

False elements are put into the trace itself, which is committed and opened anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from random import Random
from typing import Final

import pytest

from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.binary32 import BINARY32
from oracle.court.case import Bits
from oracle.court.proving import Prover
from oracle.court.verdict import Outcome, Verdict
from oracle.program.instruction import Instruction
from tests.contracts.courtroom import Courtroom, Element, committed
from tests.contracts.forgery import Claims, Forgery, false_ones, forgeries
from tests.contracts.harness import WHOLE_CASES, Chain, case_count
from tests.court_suite.forging import UNJUDGED, spread
from tests.court_suite.sample_runs import ROWS, sample

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(0)]

TABULAR: Final = ("breast-cancer-gbt", "wine-xgboost", "wine-forest", "diabetes-xgboost")
IMAGES: Final = (
    "digits-encoder", "digits-lenet", "digits-lenet-int8", "digits-logistic", "digits-mlp",
    "digits-residual",
)  # fmt: skip
LARGE: Final = ("digits-residual", "digits-encoder")
SUMMING: Final = ("breast-cancer-gbt", *IMAGES)
PER_INSTRUCTION: Final = max(2, case_count() // 400)
"""Elements of each instruction that are brought before the court."""
TURNS: Final = max(2, case_count() // 1000)
"""How often an instruction's output is forged, with another claim at each place every time."""
FORGED_ROW: Final = 1
WHOLE: Final = case_count() >= WHOLE_CASES
RANDOM_ELEMENTS: Final = 10_000
"""Of a large model in a whole run, besides the above; of the others every element."""
AT_ONCE: Final = 1_000
"""Proofs that are held at a time."""
RUNS: Final = (
    *((name, Tier.ROUNDED) for name in (*TABULAR, *IMAGES) if name != "digits-encoder"),
    *((name, Tier.NATIVE) for name in IMAGES),
)
"""The largest model in one tier only."""


@pytest.fixture(scope="module")
def room(court_chain: Chain) -> Courtroom:
    return Courtroom(court_chain)


def honest(name: str, tier: Tier) -> Prover:
    made = sample(name, tier)
    return committed(made.program, made.trace)


@pytest.mark.parametrize(("name", "tier"), RUNS)
def test_honest_elements_are_not_convicted(room: Courtroom, name: str, tier: Tier) -> None:
    prover = honest(name, tier)
    whole = name in TABULAR or (WHOLE and name not in LARGE)
    elements = spread_elements(prover, None if whole else PER_INSTRUCTION)
    if WHOLE and name in LARGE:
        elements = sorted({*elements, *random_elements(prover, RANDOM_ELEMENTS)})
    counts: Counter[Outcome] = Counter()
    for start in range(0, len(elements), AT_ONCE):
        counts += room.compare(prover, elements[start : start + AT_ONCE])
    print(f"{name} {tier.name}: {len(elements)} honest elements")
    assert counts == {Outcome.WITHIN: len(elements)}


@pytest.mark.parametrize(("name", "tier"), RUNS)
def test_false_elements_are_convicted(room: Courtroom, name: str, tier: Tier) -> None:
    prover = honest(name, tier)
    counts: Counter[Outcome] = Counter()
    for number in range(len(prover.program.instructions)):
        for forgery in forged(prover, number, false_ones):
            counts += room.compare(forgery.prover, forgery.elements)
            for element in forgery.elements:
                verdict = forgery.prover.verdict(*element)
                assert verdict.convicts or verdict.reason in UNJUDGED, (element, verdict)
    assert counts[Outcome.VIOLATED] > 10 * counts[Outcome.UNDEFINED], counts


@pytest.mark.parametrize(("name", "tier"), [run for run in RUNS if run[0] in SUMMING])
def test_the_bound_ends_at_the_same_number(room: Courtroom, name: str, tier: Tier) -> None:
    prover = honest(name, tier)
    counts: Counter[Outcome] = Counter()
    for number in range(len(prover.program.instructions)):
        for forgery in forged(prover, number, at_the_edge):
            counts += room.compare(forgery.prover, forgery.elements)
    assert min(counts[Outcome.VIOLATED], counts[Outcome.WITHIN]) > 0, counts


def spread_elements(prover: Prover, most: int | None) -> list[Element]:
    """Of each instruction in each row so many elements; of None all."""
    return [
        (row, number, place)
        for row in range(ROWS)
        for number, step in enumerate(prover.program.instructions)
        for place in spread(step.size, most or step.size)
    ]


def random_elements(prover: Prover, count: int) -> list[Element]:
    """Different ones of the whole trace, each as likely as any other; the same in every run."""
    return Random(count).sample(spread_elements(prover, None), count)


def forged(prover: Prover, number: int, claims: Claims) -> Iterator[Forgery]:
    return forgeries(prover, FORGED_ROW, number, claims, most=PER_INSTRUCTION, turns=TURNS)


def at_the_edge(
    prover: Prover, step: Instruction, claimed: Bits, honest: Verdict
) -> Iterator[Bits]:
    """The float32 numbers where the bound ends, and their neighbours. None of zero or infinity."""
    kind = prover.program.tensors[step.output].element
    if kind is not ElementType.FLOAT32 or honest.exact is None:
        return
    for sign, move in ((1, 0), (-1, 1), (1, 1), (-1, 0), (1, -1), (-1, -1)):
        edge = BINARY32.round(Fraction(honest.exact) + sign * honest.bound)
        if 1 < BINARY32.magnitude(edge) < BINARY32.infinity - 1:
            yield edge + move
