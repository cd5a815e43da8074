"""What a certificate says: numbers, JSON, samples, rows that have none."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from oracle.certificate import Certificate, Options, OutputBound, certify
from oracle.certificate.gradient import gradients, targets_at_once
from oracle.certificate.reach import MARGIN, freedom
from oracle.certificate.row_bounds import bound_row
from oracle.core.model import UNCERTIFIED
from oracle.core.types import Tier
from oracle.court.judge import judge_element
from oracle.errors import InputError
from oracle.program.instruction import Space, Trace
from tests.certificate import models
from tests.certificate.building import honest


def _certificate(name: str = "mlp", rows: int = 3, options: Options | None = None) -> Certificate:
    program, inputs = models.MODELS[name](Tier.NATIVE)
    random = np.random.default_rng(2)
    runs = tuple(honest(program, *inputs(random)) for _ in range(rows))
    return certify(program, Trace(runs), options)


def test_json_both_ways() -> None:
    certificate = _certificate()
    assert _again(certificate) == certificate
    unbounded = replace(certificate, proved=math.inf, undefined=("row 3: why",))
    assert _again(unbounded) == unbounded


def _again(certificate: Certificate) -> Certificate:
    text = json.dumps(certificate.document(), allow_nan=False)
    return Certificate.of_document(json.loads(text))


@pytest.mark.parametrize("document", [{}, {"format": 2}, {"format": 1, "tier": 3}])
def test_json_that_is_no_certificate_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Certificate.of_document(document)


def test_it_says_what_epsilon_is_worth() -> None:
    certificate = _certificate()
    assert (certificate.kind, certificate.estimated) == ("proved", 0)
    assert 1 < certificate.safety_factor < 1 + 1e-5
    assert replace(certificate, estimated=1).kind == "estimated"
    assert replace(certificate, rows=0).kind == "none"


def test_shares_add_up_and_are_sorted() -> None:
    certificate = _certificate("convolution")
    shares = [entry.share for entry in certificate.contributions]
    assert sum(shares) == pytest.approx(1, abs=1e-6)
    assert shares == sorted(shares, reverse=True)
    assert {entry.opcode for entry in certificate.contributions} >= {"DOT", "ADD"}


def test_maximum_median_and_epsilon() -> None:
    certificate = _certificate(rows=5)
    (output,) = certificate.outputs
    assert certificate.rows == 5
    assert all(m <= n for m, n in zip(output.median, output.maximum, strict=True))
    assert certificate.epsilon == max(output.maximum)
    assert certificate.proved == certificate.epsilon
    assert not certificate.sampled


def test_wad_is_rounded_up() -> None:
    base = _certificate(rows=1)

    def wad(epsilon: float) -> int:
        bound = OutputBound("y", True, 1, (0,), (epsilon,), (epsilon,), 0)
        return replace(base, outputs=(bound,)).epsilon_wad

    assert wad(0.0) == 0
    assert wad(1e-30) == 2
    assert wad(0.5) == 5 * 10**17 + 1
    assert wad(0.1) > Fraction(0.1) * 10**18
    assert wad(1e11) == UNCERTIFIED
    assert wad(math.inf) == UNCERTIFIED


def test_no_row_no_bar() -> None:
    program, _ = models.linear()
    certificate = certify(program, ())
    assert certificate.epsilon == math.inf
    assert certificate.epsilon_wad == UNCERTIFIED


def test_rows_of_inputs_are_evaluated() -> None:
    program, inputs = models.mlp()
    random = np.random.default_rng(2)
    rows = [inputs(random) for _ in range(3)]
    seen: list[int] = []
    certificate = certify(program, rows, progress=seen.append)
    assert certificate == _certificate()
    assert seen == [1, 2, 3]


def test_a_row_that_is_not_finite_is_left_out() -> None:
    program, inputs = models.mlp()
    good = honest(program, *inputs(np.random.default_rng(2)))
    bad = tuple(np.full_like(tensor, np.nan) if n == 2 else tensor for n, tensor in enumerate(good))
    certificate = certify(program, Trace((bad, good)))
    assert certificate.rows == 1
    assert certificate.undefined == ("row 0: tensor 't2' holds NaN or infinity",)
    assert certificate.inputs_sha256 != certify(program, Trace((good,))).inputs_sha256


def test_a_sample_of_the_outputs_says_so() -> None:
    whole = _certificate()
    sample = _certificate(options=Options(output_limit=2))
    assert sample.sampled
    assert sample.outputs[0].positions == (0, 2)
    assert sample.outputs[0].maximum == (whole.outputs[0].maximum[0], whole.outputs[0].maximum[2])


def test_chunks_change_nothing() -> None:
    program, inputs = models.convolution()
    row = honest(program, *inputs(np.random.default_rng(1)))
    assert targets_at_once(program, 1) == 1
    output = program.outputs[0]
    targets = [(output, position) for position in range(3)]
    free = freedom(program, row)
    one, all_at_once = (bound_row(program, row, targets, free, size) for size in (1, 2**29))
    np.testing.assert_allclose(one.epsilon, all_at_once.epsilon, rtol=1e-12)


def test_reach_is_epsilon_of_every_element() -> None:
    """Proved reach is at least the exact first-order one, and the estimate lies close above it."""
    program, inputs = models.mlp()
    row = honest(program, *inputs(np.random.default_rng(1)))
    proved, guess = freedom(program, row), freedom(program, row, probes=64)
    for tensor in program.producer:
        targets = [(tensor, position) for position in range(program.tensors[tensor].size)]
        exact = np.zeros(len(targets))
        for number, adjoints in gradients(program, row, targets):
            exact += np.abs(adjoints) @ proved.total[number]
        assert np.all(proved.reach[tensor] >= exact * (1 - 1e-9))
        assert np.mean(guess.reach[tensor] >= exact * 0.999) > 0.99
        assert np.all(guess.reach[tensor] <= exact * 2 * MARGIN)


@pytest.mark.parametrize("tier", [Tier.NATIVE, Tier.ROUNDED])
@pytest.mark.parametrize("name", sorted(models.MODELS))
def test_tolerances_are_the_courts(name: str, tier: Tier) -> None:
    """Freedom is at least twice the bound that the exact judge names, and not far above it where
    nothing else adds to it."""
    program, inputs = models.MODELS[name](tier)
    row = honest(program, *inputs(np.random.default_rng(1)))
    free = freedom(program, row)
    bits = [value.view(f"u{value.itemsize}") for value in row]
    constants = [value.view(f"u{value.itemsize}") for value in program.constant_values]

    def read(space: Space, tensor: int, place: int) -> int:
        return int((bits if space is Space.TRACE else constants)[tensor][place])

    for number, step in enumerate(program.instructions):
        for position in range(0, step.size, max(1, step.size // 5)):
            claimed = int(bits[step.output][position])
            verdict = judge_element(program, step, position, read, claimed)
            twice = 2 * float(verdict.bound)
            assert free.total[number][position] >= twice * (1 - 1e-12)
            if number == 0:
                assert free.total[number][position] <= twice * 2.001


def test_exact_programs_have_no_error_bar() -> None:
    program, inputs = models.quantised()
    random = np.random.default_rng(4)
    certificate = certify(program, [inputs(random) for _ in range(4)])
    assert certificate.epsilon == 0
    assert certificate.epsilon_wad == 0


def test_a_quantum_counts_where_the_court_takes_the_neighbour() -> None:
    program, inputs = models.quantised()
    (values,) = inputs(np.random.default_rng(4))
    values[3] = np.float32(0.05) * np.float32(2.5)
    certificate = certify(program, [(values,)])
    weights = program.constant_values[2].reshape(3, 8)[:, 3].astype(np.float64)
    scale = float(np.float32(0.05))
    np.testing.assert_allclose(certificate.outputs[0].maximum, np.abs(weights) * scale, rtol=1e-4)


def test_a_tree_counts_the_leaves_within_reach() -> None:
    program, row = models.tree()
    certificate = certify(program, Trace((row,)))
    assert certificate.epsilon == pytest.approx(3.0, rel=1e-5)
    assert certificate.contributions[0].opcode == "TREE"


def test_labels_have_no_error_bar_but_are_counted() -> None:
    program, rows = models.labels()
    near = certify(program, Trace(rows[:1]))
    clear = certify(program, Trace(rows[1:]))
    assert [output.unstable for output in near.outputs] == [0, 1]
    assert [output.unstable for output in clear.outputs] == [0, 0]
    assert near.outputs[1].maximum == ()
