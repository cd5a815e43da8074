"""A real node's answers, verified from the outside as soon as they are on the chain."""

from __future__ import annotations

import aiohttp
import pytest

from oracle.bootstrap.verify import Options, save_receipt, verify_answer
from oracle.certificate.certificate import Certificate
from oracle.client.answer import InferenceAnswer
from oracle.core.model import UNCERTIFIED
from oracle.core.saved_receipt import SavedReceipt
from oracle.errors import NoAnswer, TraceUnavailable
from oracle.program.manifest import ProgramManifest
from oracle.storage.heartbeat import HeartbeatFile
from oracle.verify.report import Name, Verdict
from tests.support.world import DIGITS, World
from tests.verify.support import said


async def test_a_nodes_answers_are_verified_alone_and_in_a_batch(world: World) -> None:
    alone, *batch = await world.ask_several(4)
    async with world.node():
        await world.until_settled(alone.id, *(made.id for made in batch))
    for made in (alone, batch[1]):
        report = await verify_answer(world.settings, made.id, Options())
        assert report.verdict is Verdict.VERIFIED, report.text()
        assert "settled: 1 OPG to" in said(report, Name.SETTLEMENT)
    assert "one of a batch of 3" in said(report, Name.RECEIPT)
    saved = await save_receipt(world.settings, batch[1].id)
    again = SavedReceipt.from_json(saved.to_json())
    report = await verify_answer(world.settings, again, Options())
    assert report.verdict is Verdict.VERIFIED
    offline = await verify_answer(world.settings, again, Options(offline=True))
    assert offline.verdict is Verdict.NOT_CHECKED


async def test_a_nodes_receipt_is_the_one_that_the_chain_gives(world: World) -> None:
    alone, *batch = await world.ask_several(3)
    async with world.node():
        await world.until_settled(alone.id, *(made.id for made in batch))
        beat = HeartbeatFile(world.settings.data_dir / "node.json").read()
        assert beat is not None
        assert beat.serving is not None
        for made in (alone, *batch):
            served = await save_receipt(world.settings, made.id, endpoint=beat.serving)
            assert served == await save_receipt(world.settings, made.id)
            report = await verify_answer(world.settings, served, Options())
            assert report.verdict is Verdict.VERIFIED, report.text()
        assert len(served.batch) == 2
        model = await world.client.model(DIGITS)
        assert served.model.terms.epsilon == model.terms.epsilon < UNCERTIFIED
        with pytest.raises(TraceUnavailable, match="there is no receipt of request"):
            await save_receipt(world.settings, bytes(32), endpoint=beat.serving)
        url = f"{beat.serving}/programs/0x{model.terms.program_root.hex()}/manifest"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            manifest = ProgramManifest.from_json(await response.read())
    assert manifest.certificate is not None
    certificate = Certificate.of_document(manifest.certificate)
    assert (certificate.kind, certificate.epsilon_wad) == ("proved", model.terms.epsilon)


async def test_an_answer_shows_what_it_decides(world: World) -> None:
    made = await world.ask()
    async with world.node():
        answer: InferenceAnswer = await world.client.wait(made.id, until="answered")
        await world.until_settled(made.id)
    model = await world.client.model(DIGITS)
    assert answer.epsilon == model.terms.epsilon
    (decision,) = answer.decisions()["probabilities"]
    assert decision.label == answer.outputs["label"][0]
    assert "label" not in answer.decisions()


async def test_without_an_answer_there_is_no_receipt_to_save(world: World) -> None:
    made = await world.ask()
    with pytest.raises(NoAnswer):
        await save_receipt(world.settings, made.id)
    report = await verify_answer(world.settings, made.id, Options())
    assert report.verdict is Verdict.NOT_CHECKED
    assert report.step(Name.SETTLEMENT).kind.name == "PASSED"
