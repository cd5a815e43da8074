"""Honest answers: every step ticks, with the chain and without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oracle.core.saved_receipt import SavedReceipt
from oracle.core.types import Tier
from oracle.court.commitment import no_rows_root
from oracle.verify import evidence as evidences
from oracle.verify.facts import NotReached
from oracle.verify.places import NamedFile
from oracle.verify.report import Kind, Name, Verdict
from oracle.verify.verify import verify
from tests.support.scene import Scene
from tests.verify.support import Served, compiled, kinds, play, root, said, source

OFFLINE = NotReached("no chain was asked")


async def test_an_honest_answer_of_a_program_is_verified(scene: Scene) -> None:
    one = await play(scene)
    report = await one.verify(source=source())
    assert report.verdict is Verdict.VERIFIED, report.text()
    assert kinds(report) == {
        "request": "PASSED",
        "receipt": "PASSED",
        "binding": "PASSED",
        "model": "PASSED",
        "trace": "PASSED",
        "run": "PASSED",
        "settlement": "PASSED",
    }
    assert "was the signer of" in said(report, Name.RECEIPT)
    assert "compiling the source here gives the same program root" in said(report, Name.MODEL)
    assert "error bar: 0.001" in said(report, Name.MODEL)
    assert "has the signed root" in said(report, Name.TRACE)
    assert "no violated element among" in said(report, Name.RUN)
    assert "the same, to the bit" in said(report, Name.RUN)
    assert "the court that may void an answer is 0x" in said(report, Name.SETTLEMENT)
    assert report.text().count("✗") == 0


async def test_a_request_is_verified_by_its_id_alone(scene: Scene) -> None:
    one = await play(scene)
    claimed = await evidences.of_chain(one.reader, one.request_id)
    report = await verify(claimed, await one.facts(), one.sources())
    assert report.verdict is Verdict.VERIFIED, report.text()


async def test_without_the_trace_an_equal_run_is_the_trace(scene: Scene) -> None:
    one = await play(scene)
    for places in ((), (Served(None),)):
        report = await one.verify(traces=places)
        assert report.verdict is Verdict.VERIFIED, report.text()
        assert "own run has the signed root" in said(report, Name.TRACE)


async def test_offline_what_the_chain_knows_is_left_open_and_the_rest_holds(scene: Scene) -> None:
    one = await play(scene)
    report = await one.verify(facts=OFFLINE)
    assert report.verdict is Verdict.NOT_CHECKED
    assert report.verdict.exit_code == 22
    assert "✗" not in report.text()
    assert kinds(report)["binding"] == kinds(report)["run"] == "PASSED"
    for name in (Name.REQUEST, Name.RECEIPT, Name.MODEL, Name.SETTLEMENT):
        assert "cannot be checked, because no chain was asked" in said(report, name)


async def test_an_unproven_answer_is_run_again_and_its_worth_is_said(scene: Scene) -> None:
    one = await play(scene, tier=Tier.UNPROVEN)
    report = await one.verify()
    assert "can only be run again" in said(report, Name.TRACE)
    assert kinds(report)["run"] == "PASSED", report.text()
    assert report.verdict is Verdict.VERIFIED


async def test_nothing_to_run_with_leaves_steps_open(scene: Scene) -> None:
    one = await play(scene)
    without_file = await one.verify(files=())
    assert without_file.verdict is Verdict.NOT_CHECKED
    assert "not at hand" in said(without_file, Name.MODEL)
    assert "the program is not at hand" in said(without_file, Name.TRACE)
    without_machine = await one.verify(runner=None)
    assert "it was not to be run" in said(without_machine, Name.RUN)
    assert said(without_machine, Name.RUN, Kind.PASSED).startswith("the court's rules find no")
    without_court = await one.verify(judge=None)
    assert "not to be judged" in said(without_court, Name.RUN)


async def test_an_input_without_output_is_an_answer(scene: Scene) -> None:
    nan = np.full((1, 64), np.nan, np.float32).tobytes()
    one = await play(scene, data=nan, result=b"", trace_root=no_rows_root(root()))
    report = await one.verify(traces=())
    assert report.verdict is Verdict.VERIFIED, report.text()
    assert "a trace of no rows" in said(report, Name.TRACE)
    assert "agrees that there is no output" in said(report, Name.RUN)


async def test_outputs_that_fit_no_transaction_are_an_empty_result(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in ("run_step", "trace_step"):
        monkeypatch.setattr(f"oracle.verify.{step}.MAX_RESULT_BYTES", 95)
    one = await play(scene, result=b"")
    report = await one.verify()
    assert report.verdict is Verdict.VERIFIED, report.text()
    assert "do not fit a transaction" in said(report, Name.TRACE)
    assert "do not fit a transaction, either" in said(report, Name.RUN)


async def test_a_settled_answer_shows_who_was_paid(scene: Scene) -> None:
    one = await play(scene)
    early = await one.verify()
    assert "not final before" in said(early, Name.SETTLEMENT)
    await scene.until_final(one.created.request)
    assert "final, not settled yet" in said(await one.verify(), Name.SETTLEMENT)


async def test_a_request_without_an_answer_is_not_verified(scene: Scene) -> None:
    asked = await scene.request()
    one = await play(scene)
    claimed = await evidences.of_chain(one.reader, asked.request_id)
    saved = replace(one.saved, request_id=asked.request_id, request=asked.request)
    report = await verify(claimed, await one.facts(saved), one.sources())
    assert report.verdict is Verdict.NOT_CHECKED
    assert "has no answer" in said(report, Name.RECEIPT)
    assert "not answered yet" in said(report, Name.SETTLEMENT)


async def test_a_named_file_that_is_the_model_is_used(scene: Scene, tmp_path: Path) -> None:
    one = await play(scene)
    file = tmp_path / "program.onnx"
    file.write_bytes(compiled().file)
    assert (await one.verify(files=(NamedFile(file),))).verdict is Verdict.VERIFIED


async def test_a_receipt_survives_being_written_and_read(scene: Scene) -> None:
    one = await play(scene)
    assert SavedReceipt.from_json(one.saved.to_json()) == one.saved
