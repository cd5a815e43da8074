"""Wrong answers of an operator: each is shown, at the step where it shows."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from oracle.core.types import Tier
from oracle.court.check import CheckReport
from oracle.court.commitment import no_rows_root
from oracle.errors import TensorError
from oracle.program.instruction import Program, Trace
from oracle.verify.places import NamedFile
from oracle.verify.report import Kind, Name, Verdict
from oracle.verify.run_step import _distance
from tests.inference.graphs import relu
from tests.support.scene import Scene
from tests.verify.support import (
    Served,
    blind,
    changed,
    compiled,
    digits,
    honest,
    kinds,
    model_terms,
    play,
    result_of,
    root,
    said,
    source,
)

PROBABILITIES = compiled().program.outputs[1]
LABEL = compiled().program.outputs[0]


async def test_a_number_moved_beyond_the_bar_is_wrong(scene: Scene) -> None:
    _, _, trace = honest(digits())
    lie = changed(trace, PROBABILITIES, 3, 0.5)
    one = await play(scene, trace=lie, result=result_of(lie))
    report = await one.verify()
    assert report.verdict is Verdict.WRONG_ANSWER
    assert report.verdict.exit_code == 20
    assert kinds(report)["trace"] == "PASSED"
    words = said(report, Name.RUN, Kind.WRONG)
    assert "violated: row 0, instruction " in words
    assert "element 3 = [0, 3]: claimed 0.5 (0x3f000000), exact 0.52342" in words
    assert "bound 0.0: " in words
    assert "probabilities: 0.5 at [0, 3]" in words
    assert "beyond the error bar of 0.001" in words


async def test_a_move_within_the_bar_passes_and_says_so(scene: Scene) -> None:
    _, _, trace = honest(digits())
    value = trace.rows[0][PROBABILITIES][3]
    near = changed(trace, PROBABILITIES, 3, value + np.float32(5e-4))
    one = await play(scene, trace=near, result=result_of(near))
    report = await one.verify()
    assert "within the error bar of 0.001" in said(report, Name.RUN)
    assert "violated" in said(report, Name.RUN, Kind.WRONG), "and yet the court sees it"
    assert (await one.verify(judge=blind)).verdict is Verdict.VERIFIED


async def test_beyond_the_bar_with_nothing_violated_accuses_the_bar_too(scene: Scene) -> None:
    _, _, trace = honest(digits())
    lie = changed(trace, PROBABILITIES, 3, 0.5)
    one = await play(scene, trace=lie, result=result_of(lie))
    assert "so the bar is too small" in said(await one.verify(judge=blind), Name.RUN, Kind.WRONG)


async def test_another_label_is_left_to_the_court(scene: Scene) -> None:
    _, _, trace = honest(digits())
    lie = changed(trace, LABEL, 0, 8)
    one = await play(scene, trace=lie, result=result_of(lie))
    assert (await one.verify()).verdict is Verdict.WRONG_ANSWER
    report = await one.verify(judge=blind)
    assert "no error bar covers whole numbers" in said(report, Name.RUN, Kind.UNCHECKED)
    assert report.verdict is Verdict.NOT_CHECKED


async def test_a_result_that_the_trace_does_not_end_with_is_wrong(scene: Scene) -> None:
    _, result, trace = honest(digits())
    lie = bytes([result[0] ^ 1]) + result[1:]
    one = await play(scene, result=lie, trace=trace)
    report = await one.verify()
    assert "the signed trace is of another result" in said(report, Name.TRACE, Kind.WRONG)
    assert report.verdict is Verdict.WRONG_ANSWER


async def test_a_trace_of_another_input_is_wrong(scene: Scene) -> None:
    _, result, other = honest(digits(first=5))
    one = await play(scene, trace=other, result=result)
    report = await one.verify()
    assert said(report, Name.TRACE, Kind.WRONG) == "the signed trace is of another input"
    assert kinds(report)["run"] == "WRONG"


async def test_an_answer_that_commits_to_nothing_is_wrong(scene: Scene) -> None:
    one = await play(scene, trace_root=bytes(32))
    report = await one.verify()
    assert "the answer commits to no trace" in said(report, Name.TRACE, Kind.WRONG)
    assert report.verdict is Verdict.WRONG_ANSWER


async def test_no_output_is_wrong_where_this_machine_has_one(scene: Scene) -> None:
    one = await play(scene, result=b"")
    report = await one.verify()
    assert "the answer says that there is no output, this machine gets one" in said(
        report, Name.RUN
    )
    assert "fit a transaction, and the result is empty" in said(report, Name.TRACE, Kind.WRONG)
    assert report.verdict is Verdict.WRONG_ANSWER


async def test_rows_that_are_not_the_inputs_are_wrong(scene: Scene) -> None:
    rowless = await (await play(scene, result=b"", trace_root=no_rows_root(root()))).verify()
    assert "the input is well formed" in said(rowless, Name.TRACE, Kind.WRONG)
    assert rowless.verdict is Verdict.WRONG_ANSWER
    nan = np.full((1, 64), np.nan, np.float32).tobytes()
    run = await (await play(scene, data=nan, result=b"")).verify(traces=())
    assert "a run of an input that is malformed" in said(run, Name.TRACE, Kind.WRONG)
    assert run.verdict is Verdict.WRONG_ANSWER


async def test_a_result_of_another_length_is_wrong(scene: Scene) -> None:
    one = await play(scene, result=b"\x00" * 7)
    report = await one.verify(traces=())
    assert "does not fit the model's schema" in said(report, Name.RUN, Kind.WRONG)


async def test_an_unproven_answer_is_close_or_different(scene: Scene) -> None:
    _, _, trace = honest(digits())
    value = trace.rows[0][PROBABILITIES][3]
    near = await play(
        scene,
        tier=Tier.UNPROVEN,
        result=result_of(changed(trace, PROBABILITIES, 3, value + np.float32(1e-6))),
    )
    report = await near.verify()
    assert "a small cheat would look like that" in said(report, Name.RUN, Kind.PASSED)
    far = await play(
        scene,
        tier=Tier.UNPROVEN,
        result=result_of(changed(trace, PROBABILITIES, 3, 0.5)),
    )
    report = await far.verify()
    assert "this convinces you and nobody else" in said(report, Name.RUN, Kind.WRONG)
    assert report.verdict is Verdict.WRONG_ANSWER


async def test_a_model_nobody_certified_is_left_open(scene: Scene) -> None:
    terms = model_terms(Tier.ROUNDED, epsilon=2**96 - 1)
    _, _, trace = honest(digits())
    lie = changed(trace, PROBABILITIES, 3, 0.5)
    one = await play(scene, terms=terms, trace=lie, result=result_of(lie))
    assert "no bar is certified" in said(await one.verify(), Name.RUN, Kind.UNCHECKED)


async def test_an_unknown_profile_is_left_open(scene: Scene) -> None:
    one = await play(scene, terms=model_terms(Tier.ROUNDED, profile_hash=b"\x05" * 32))
    assert "does not know the execution profile" in said(await one.verify(), Name.MODEL)


async def test_a_model_registered_in_a_tier_that_is_not_its_own(scene: Scene) -> None:
    one = await play(scene, terms=model_terms(Tier.EXACT))
    report = await one.verify()
    assert "registered in the exact tier, the program is of the rounded tier" in said(
        report, Name.MODEL, Kind.FAILED
    )
    assert report.verdict is Verdict.NOT_AS_CLAIMED
    assert "what is claimed does not hold (model)" in said(report, Name.RUN)


async def test_a_trace_that_was_not_signed_fails_and_accuses_nobody(scene: Scene) -> None:
    one = await play(scene)
    assert one.trace is not None
    other = changed(one.trace, PROBABILITIES, 0, 0.25)
    short = replace(one.trace, rows=one.trace.rows[:1])
    for served, words in ((other, "gives another trace: its root is"), (short, "it has 1 rows")):
        report = await one.verify(traces=(Served(served),))
        assert words in said(report, Name.TRACE, Kind.FAILED)
        assert report.verdict is Verdict.NOT_AS_CLAIMED


async def test_a_signed_trace_that_no_run_can_give_is_wrong(scene: Scene) -> None:
    one = await play(scene)

    def impossible(program: Program, trace: Trace) -> CheckReport:
        raise TensorError("a bool that is neither 0 nor 1")

    report = await one.verify(judge=impossible)
    assert "holds what no run can give: a bool" in said(report, Name.RUN, Kind.WRONG)


async def test_mutilated_programs_are_refused_in_words(scene: Scene) -> None:
    one = await play(scene)
    numbers = random.Random(7)
    for _ in range(40):
        data = bytearray(compiled().file)
        for _ in range(3):
            data[numbers.randrange(len(data))] = numbers.randrange(256)
        mutilated = replace(one, file=bytes(data))
        report = await mutilated.verify(runner=None, traces=())
        assert report.verdict is Verdict.NOT_CHECKED
        assert "is not at hand" in said(report, Name.MODEL, Kind.UNCHECKED)


async def test_another_source_or_file_is_named(scene: Scene, tmp_path: Path) -> None:
    one = await play(scene)
    report = await one.verify(source=b"another")
    assert "the source given has the SHA-256" in said(report, Name.MODEL, Kind.FAILED)
    file = tmp_path / "other.onnx"
    for data, words in (
        (source(), "is not the model's program"),
        (relu().SerializeToString(), "is not the model's program"),
        (b"", "is not the model's program"),
    ):
        file.write_bytes(data)
        report = await one.verify(files=(NamedFile(file),))
        assert words in said(report, Name.MODEL, Kind.FAILED)


@pytest.mark.parametrize("tier", [Tier.ROUNDED, Tier.UNPROVEN])
@pytest.mark.parametrize("value", [np.nan, np.inf])
async def test_what_is_no_number_is_wrong(scene: Scene, tier: Tier, value: float) -> None:
    _, _, trace = honest(digits())
    lie = changed(trace, PROBABILITIES, 3, value)
    one = await play(scene, tier=tier, trace=lie, result=result_of(lie))
    report = await one.verify()
    assert "probabilities: NaN or infinity" in said(report, Name.RUN, Kind.WRONG)
    assert report.verdict is Verdict.WRONG_ANSWER


def test_differences_of_every_shape_and_type_are_found() -> None:
    for one, other, distance in (
        (np.float32(1.5), np.float32(1.0), Fraction(1, 2)),
        (np.asarray([[True, False]]), np.asarray([[True, True]]), 1),
        (np.asarray([2**63], np.uint64), np.asarray([2**63 + 1], np.uint64), 1),
        (np.asarray([-(2**63)], np.int64), np.asarray([2**63 - 1], np.int64), 2**64 - 1),
        (np.asarray([1e300]), np.asarray([-1e300]), 2 * Fraction(1e300)),
        (np.asarray([np.nan, 2.0, np.inf]), np.asarray([-np.nan, 1.0, np.inf]), 1),
    ):
        assert _distance(np.asarray(one), np.asarray(other)) == distance
