"""Rounding ties: every run that they allow is found, and none of them exceeds epsilon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oracle.certificate import certify
from oracle.certificate.ties import MOST_RUNS, branches
from oracle.core.types import Tier
from oracle.program.compile import compile_model
from oracle.program.instruction import Program, Trace
from oracle.program.opcode import Opcode
from tests.certificate import attack, models
from tests.certificate.building import honest
from tests.certificate.court import convictions
from tests.support.failures import thorough

SAMPLES = Path(__file__).parents[2] / "models"


def _sample(tier: Tier) -> tuple[Program, NDArray[Any]]:
    program = compile_model((SAMPLES / "digits-lenet-int8.onnx").read_bytes(), tier=tier).program
    with np.load(SAMPLES / "heldout" / "digits-lenet-int8.npz") as held_out:
        return program, held_out[held_out.files[0]]


@pytest.mark.parametrize("tier", [Tier.ROUNDED, pytest.param(Tier.NATIVE, marks=thorough)])
def test_no_adversary_exceeds_epsilon_on_the_quantised_sample(tier: Tier) -> None:
    """Every choice at every tie, and from there as far as the tolerances of the softmax reach."""
    program, rows = _sample(tier)
    output = program.outputs[1]
    parted = 0
    for values in rows[:20]:
        row = honest(program, values)
        certificate = certify(program, Trace((row,)))
        assert certificate.estimated == 0
        assert certificate.epsilon == certificate.proved < 0.05
        bars = np.array(certificate.outputs[1].maximum)
        worst = 0.0
        for branch in branches(program, row):
            parted += branch.row is not row
            for position in range(0, 10, 3):
                for sign in (1.0, -1.0):
                    target = (output, position)
                    directions = attack.along_the_gradient(program, branch.row, target, sign)
                    moved = _drifted(program, branch.row, directions)
                    assert convictions(program, moved) == 0
                    drift = np.abs(moved[output].astype(float) - row[output].astype(float)) / bars
                    worst = max(worst, float(drift.max()))
        assert worst <= 1
        if certificate.epsilon > 1e-5:  # a tie: then the run beyond it is most of epsilon
            assert worst > 0.9
    assert parted > 20


def _drifted(program: Program, row: Any, directions: attack.Directions) -> Any:
    """An attack on what comes behind the last integer; the integers stay as they are."""
    last = max(
        number
        for number, step in enumerate(program.instructions)
        if step.opcode is Opcode.QUANTIZED_DOT
    )
    return attack.drifted(program, row, directions, first=last + 1)


def test_the_sample_has_a_finite_proved_certificate() -> None:
    program, rows = _sample(Tier.ROUNDED)
    flat = program.tensors[program.inputs[0]]
    certificate = certify(program, [[flat.flatten(values[None])] for values in rows[:32]])
    assert (certificate.rows, certificate.estimated) == (32, 0)
    assert certificate.epsilon == certificate.proved
    assert certificate.epsilon < 0.01
    assert certificate.contributions[0].opcode == "QUANTIZE"


def test_every_choice_is_a_run_of_its_own() -> None:
    program, inputs = models.quantised()
    (values,) = inputs(np.random.default_rng(4))
    for places in ([], [1], [1, 3, 6]):
        tied = values.copy()
        tied[places] = np.float32(0.05) * np.float32(2.5)
        row = honest(program, tied)
        found = branches(program, row)
        assert found[0].row is row
        assert len(found) == 2 ** len(places)
        assert len({bytes(branch.row[program.instructions[0].output]) for branch in found}) == len(
            found
        )
        for branch in found:
            assert convictions(program, branch.row) == 0
            assert not branch.free.reach[program.outputs[0]].any()


def test_too_many_ties_are_bends() -> None:
    program, inputs = models.quantised()
    (values,) = inputs(np.random.default_rng(4))
    assert 2**values.size > MOST_RUNS
    values[:] = np.float32(0.05) * np.float32(2.5)
    row = honest(program, values)
    (alone,) = branches(program, row)
    assert alone.row is row
    assert not alone.pinned
    some = certify(program, Trace((row,))).epsilon
    weights = program.constant_values[2].reshape(3, 8).astype(np.float64)
    scale = float(np.float32(0.05))
    assert some == pytest.approx(np.abs(weights).sum(axis=1).max() * scale, rel=1e-4)
