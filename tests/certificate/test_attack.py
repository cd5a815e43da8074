"""Adversaries within the court's bounds never move an answer beyond its certified epsilon."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oracle.certificate import Options, certify
from oracle.core.types import Tier
from oracle.program.compile import compile_model
from oracle.program.instruction import Program, Trace
from tests.certificate import attack, models
from tests.certificate.building import honest
from tests.certificate.court import convictions

TIERS = (Tier.NATIVE, Tier.ROUNDED)
ROWS = 3


@dataclass(frozen=True)
class Ratios:
    """The farthest drifts, as parts of epsilon: from the honest run, between two adversaries, and
    by random search; and how many elements of the attacking runs the court convicts."""

    drift: float
    spread: float
    random: float
    convicted: int


def _attack(program: Program, inputs: models.Inputs, options: Options, tries: int) -> Ratios:
    random = np.random.default_rng(7)
    output = program.outputs[0]
    drift = spread = lucky = 0.0
    convicted = 0
    for _ in range(ROWS):
        row = honest(program, *inputs(random))
        convicted += convictions(program, row)
        certificate = certify(program, Trace((row,)), options)
        for position, epsilon in list(enumerate(certificate.outputs[0].maximum))[:3]:
            ends: list[float] = []
            for sign in (1.0, -1.0):
                directions = attack.along_the_gradient(program, row, (output, position), sign)
                moved = attack.drifted(program, row, directions)
                convicted += convictions(program, moved)
                ends.append(float(moved[output][position]) - float(row[output][position]))
            drift = max(drift, *(abs(end) / epsilon for end in ends))
            spread = max(spread, (ends[0] - ends[1]) / epsilon)
        bars = np.array(certificate.outputs[0].maximum)
        for _ in range(tries):
            moved = attack.drifted(program, row, attack.at_random(program, random))
            lucky = max(lucky, float((_distance(moved[output], row[output]) / bars).max()))
    return Ratios(drift, spread, lucky, convicted)


def _distance(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    return np.abs(a.astype(np.float64) - b.astype(np.float64))


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", sorted(models.MODELS))
def test_no_adversary_exceeds_epsilon(name: str, tier: Tier) -> None:
    program, inputs = models.MODELS[name](tier)
    found = _attack(program, inputs, Options(), tries=5)
    print(f"\n{name} {tier.name}: {found}")
    assert found.convicted == 0
    assert found.drift <= 1
    assert found.random <= 1
    assert found.spread <= 1.001  # of two adversaries, neither is the certified honest run
    if tier is Tier.NATIVE:  # the certificate is not a mere large number
        assert found.drift > 1 / 3
        assert found.spread > 0.9


def test_the_attack_would_exceed_a_bar_fifty_times_lower() -> None:
    program, inputs = models.MODELS["mlp"](Tier.NATIVE)
    found = _attack(program, inputs, Options(), tries=0)
    assert found.drift > 1 / 50


def test_estimated_certificates_hold_too() -> None:
    """Many kinks within reach: a wide, deep network whose rows are certified by estimate."""
    program, inputs = models.deep()
    random = np.random.default_rng(3)
    output = program.outputs[0]
    for _ in range(2):
        row = honest(program, *inputs(random))
        certificate = certify(program, Trace((row,)), Options(tolerated_bend=0.0))
        assert certificate.estimated == 1
        assert certificate.proved > certificate.epsilon
        for position, epsilon in list(enumerate(certificate.outputs[0].maximum))[:3]:
            for sign in (1.0, -1.0):
                directions = attack.along_the_gradient(program, row, (output, position), sign)
                moved = attack.drifted(program, row, directions)
                drift = float(_distance(moved[output], row[output])[position])
                assert epsilon / 50 < drift <= epsilon


@pytest.mark.parametrize("name", ["digits-mlp", "digits-lenet"])
def test_trained_models(name: str) -> None:
    """Held-out rows of sample models, compiled from ONNX."""
    models_path = Path(__file__).parents[2] / "models"
    program = compile_model((models_path / f"{name}.onnx").read_bytes(), tier=Tier.NATIVE).program
    with np.load(models_path / "heldout" / f"{name}.npz") as held_out:
        values = held_out[held_out.files[0]][0]
    row = honest(program, values)
    certificate = certify(program, Trace((row,)))
    checked = 0
    for output, bound in zip(program.outputs, certificate.outputs, strict=True):
        if not bound.is_float:
            continue
        position = int(np.argmax(bound.maximum))
        ends: list[float] = []
        for sign in (1.0, -1.0):
            directions = attack.along_the_gradient(program, row, (output, position), sign)
            moved = attack.drifted(program, row, directions)
            assert convictions(program, moved) == 0
            ends.append(float(moved[output][position]) - float(row[output][position]))
        assert max(map(abs, ends)) <= bound.maximum[position]
        assert bound.maximum[position] / 2 < ends[0] - ends[1]
        assert ends[0] - ends[1] <= bound.maximum[position] * 1.001
        checked += 1
    assert checked


def test_an_adversary_can_turn_a_kink() -> None:
    """At relu(z) with z just below zero the derivative is 0, and yet the answer moves."""
    program, row = models.at_a_kink()
    certificate = certify(program, Trace((row,)))
    (epsilon,) = certificate.outputs[0].maximum
    moved = attack.drifted(program, row, {0: np.ones(1)})
    drift = float(_distance(moved[program.outputs[0]], row[program.outputs[0]])[0])
    assert convictions(program, moved) == 0
    assert 0 < drift <= epsilon
    assert drift > epsilon / 4


def test_an_adversary_can_turn_a_step() -> None:
    """At round(z) with z within reach of a tie a whole unit is free; away from one nothing is."""
    program, rows = models.at_a_step()
    near, far = (certify(program, Trace((row,))).epsilon for row in rows)
    assert near == pytest.approx(1.0, rel=1e-5)
    assert far == 0
    moved = attack.drifted(program, rows[0], {0: np.ones(1)})
    output = program.outputs[0]
    assert _distance(moved[output], rows[0][output])[0] == 1.0


def test_what_the_court_leaves_undefined_is_without_bound() -> None:
    """A divisor that an adversary can drive to zero."""
    program, row = models.at_a_pole()
    assert certify(program, Trace((row,))).epsilon == math.inf


def test_rounded_is_free_only_at_ties() -> None:
    """1 + 2^-24 lies half way between two floats: the court takes either."""
    program, row = models.at_a_tie()
    certificate = certify(program, Trace((row,)))
    moved = attack.drifted(program, row, {0: np.full(1, 1 + 2e-6)})  # all of the tolerance
    drift = float(_distance(moved[program.outputs[0]], row[program.outputs[0]])[0])
    assert convictions(program, moved) == 0
    assert 0.99 * certificate.epsilon < drift <= certificate.epsilon
