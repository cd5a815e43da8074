"""ONNX's own node tests before the court: honest runs pass, and whatever is moved is convicted."""

from __future__ import annotations

import warnings
from functools import cache
from string import ascii_lowercase

import numpy as np
import pytest

from oracle.court.check import check_trace
from oracle.program.opcode import Opcode
from tests.court_suite.forging import Tally, accuse
from tests.court_suite.node_cases import node_cases
from tests.program.test_node_suite import SUPPORTED

UNDEFINED_SHARE = 0.02
"""Of false claims; the suite feeds few infinities and NaNs."""


@cache
def examined(letter: str) -> tuple[int, dict[Opcode, Tally], list[str]]:
    """Cases that ran, what became of the claims by opcode, and every fault by its case's name."""
    cases, tallies = 0, dict[Opcode, Tally]()
    faults: list[str] = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for case in node_cases().get(letter, ()):
            ran = False
            for run in case.runs():
                ran = True
                where = f"{case.name} {run.tier.name}"
                report = check_trace(run.program, run.trace)
                faults += [f"{where}: {violation}" for violation in report.violations]
                faults += [
                    f"{where}: {fault}" for fault in accuse(run.program, run.trace.rows[0], tallies)
                ]
            cases += ran
    return cases, tallies, faults


@pytest.mark.timeout(600)
@pytest.mark.parametrize("letter", ascii_lowercase)
def test_honest_runs_pass_and_false_elements_are_convicted(letter: str) -> None:
    _, _, faults = examined(letter)
    assert faults == []


@pytest.mark.timeout(600)
def test_every_supported_case_and_operation_was_judged() -> None:
    cases, tallies = 0, dict[Opcode, Tally]()
    for letter in ascii_lowercase:
        count, found, _ = examined(letter)
        cases += count
        for opcode, tally in found.items():
            merged = tallies.setdefault(opcode, Tally())
            merged += tally
    total = Tally()
    for opcode, tally in sorted(tallies.items()):
        print(opcode.name, tally)
        total += tally
    print(cases, "cases", total)
    assert cases >= SUPPORTED
    # Its trees are of float64; `test_tampering` has others.
    assert set(tallies) == set(Opcode) - {Opcode.TREE}
    assert total.convicted + total.undefined == total.false
    assert total.undefined < UNDEFINED_SHARE * total.false
    for opcode, tally in tallies.items():
        assert tally.convicted > tally.undefined, opcode.name
