"""ONNX's own node tests before the contract: honest runs pass, moved elements are convicted.

By default one case in some, and those of the operations that few cases have; with ORACLE_CASES
from 50,000 on the whole suite.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np
import pytest

from oracle.court.verdict import Outcome
from oracle.program.instruction import Program
from oracle.program.opcode import Opcode
from tests.contracts.courtroom import Courtroom, committed
from tests.contracts.forgery import false_ones, forgeries
from tests.contracts.harness import Chain, case_count
from tests.court_suite.forging import UNJUDGED, spread
from tests.court_suite.node_cases import NodeCase, Ran, node_cases

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(0)]

WHOLE_FROM: Final = 50_000
STRIDE: Final = max(1, WHOLE_FROM // case_count())
PER_INSTRUCTION: Final = 3
TURNS: Final = 2
RARE: Final = (
    "and2d", "argmin_default_axis_example", "ceil", "dequantizelinear",
    "erf", "floor", "gather_0", "gather_negative_indices", "layer_normalization_2d_axis0", "less",
    "matmulinteger", "max_float32", "neg", "not_2d", "or2d", "qlinearmatmul_2D_int8_float32",
    "quantizelinear", "reduce_min_keepdims_random", "round", "sigmoid", "sign", "softplus", "tanh",
    "top_k", "top_k_smallest", "xor2d",
)  # fmt: skip


@pytest.fixture(scope="module")
def room(court_chain: Chain) -> Courtroom:
    return Courtroom(court_chain)


def chosen() -> list[NodeCase]:
    cases = [case for cases in node_cases().values() for case in cases]
    assert {case.name for case in cases} >= set(RARE)
    return [case for n, case in enumerate(cases) if n % STRIDE == 0 or case.name in RARE]


def runs() -> Iterator[tuple[str, Ran]]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for case in chosen():
            for run in case.runs():
                yield f"{case.name} {run.tier.name}", run


def test_honest_runs_pass_and_false_elements_are_convicted(room: Courtroom) -> None:
    honest: Counter[Outcome] = Counter()
    false: dict[Opcode, Counter[Outcome]] = {}
    for name, run in runs():
        print(name)  # shown with a difference
        prover = committed(run.program, run.trace)
        honest += room.compare(prover, elements(run.program))
        for number, step in enumerate(run.program.instructions):
            tally = false.setdefault(step.opcode, Counter())
            for forgery in forgeries(
                prover, 0, number, false_ones, most=PER_INSTRUCTION, turns=TURNS
            ):
                tally += room.compare(forgery.prover, forgery.elements)
                for element in forgery.elements:
                    verdict = forgery.prover.verdict(*element)
                    assert verdict.convicts or verdict.reason in UNJUDGED, (element, verdict)
    print(honest, false)
    assert honest[Outcome.VIOLATED] == 0
    # Its trees are of float64; the sample models have others.
    assert set(false) == set(Opcode) - {Opcode.TREE}
    for opcode, counts in false.items():
        assert counts[Outcome.VIOLATED] > counts[Outcome.UNDEFINED], opcode.name


def elements(program: Program) -> list[tuple[int, int, int]]:
    return [
        (0, number, place)
        for number, step in enumerate(program.instructions)
        for place in spread(step.size, PER_INSTRUCTION)
    ]
