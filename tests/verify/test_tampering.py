"""A saved receipt in which one thing was changed: it fails, at the step that it belongs to."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from oracle.core.receipt import answer_batch_digest
from oracle.core.request import data_hash
from oracle.core.saved_receipt import SavedReceipt
from oracle.devnet.accounts import Person, signer_of
from oracle.errors import InputError
from oracle.verify import evidence as evidences
from oracle.verify.facts import NotReached
from oracle.verify.report import Kind, Name, Verdict
from tests.support.scene import Scene
from tests.verify.support import Play, play, said

ELSEWHERE = {
    # what an offline reader cannot know: the chain alone shows that it was changed
    "contracts.registry", "contracts.staking", "contracts.token", "contracts.court",
    "answer.posted.block_number", "answer.posted.block_hash", "answer.posted.transaction_hash",
    "answer.posted.settle_at", "model.name", "model.uri",
}  # fmt: skip

STEPS: dict[str, tuple[Name, str]] = {
    # the first step that fails, and what it says
    "contracts.chain_id": (Name.REQUEST, "which is not its id"),
    "contracts.oracle": (Name.REQUEST, "which is not its id"),
    "contracts.registry": (Name.MODEL, "the oracle's registry is"),
    "contracts.staking": (Name.RECEIPT, "the oracle keeps stakes in"),
    "contracts.token": (Name.SETTLEMENT, "the oracle pays in"),
    "contracts.court": (Name.SETTLEMENT, "the oracle has the court"),
    "request.id": (Name.REQUEST, "which is not its id"),
    "request.terms.": (Name.REQUEST, "which is not its id"),
    "request.input": (Name.BINDING, "the input of 512 bytes hashes to"),
    "answer.fields.": (Name.RECEIPT, "the signature does not hold: signed by"),
    "answer.result": (Name.BINDING, "the result hashes to"),
    "answer.posted.": (Name.RECEIPT, "the chain's answer has another"),
    "signature.signer": (Name.RECEIPT, "the signature does not hold: signed by"),
    "signature.bytes": (Name.RECEIPT, "the signature does not hold"),
    "model.id": (Name.MODEL, "its id is given as"),
    "model.registrar": (Name.MODEL, "registrar and terms hash to the model"),
    "model.terms.": (Name.MODEL, "registrar and terms hash to the model"),
    "model.name": (Name.MODEL, "the registry has another name"),
    "model.uri": (Name.MODEL, "the registry has another uri"),
    "model.schema.": (Name.MODEL, "does not hash to the registered schema hash"),
}


def places(document: Any, path: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Every value of a document: its path in words, and in keys."""
    items: Any = ()
    if isinstance(document, dict):
        items = document.items()
    elif isinstance(document, list):
        items = enumerate(document)
    for key, value in items:
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict | list):
            for words, keys in places(value, here):
                yield words, [key, *keys]
        else:
            yield here, [key]


def other(value: Any) -> Any:
    """Another value of the same form."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case None:
            return "0x" + "11" * 20
        case str() if value.startswith("0x") and len(value) == 42:
            return "0x" + "22" * 20
        case str() if value.startswith("0x"):
            middle = len(value) // 2
            return value[:middle] + ("0" if value[middle] != "0" else "1") + value[middle + 1 :]
        case _:
            return value + "x"


def expected(path: str) -> tuple[Name, str]:
    return next(found for start, found in STEPS.items() if path.startswith(start))


def with_other(saved: SavedReceipt, keys: list[Any]) -> SavedReceipt | InputError:
    document = json.loads(saved.to_json())
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = other(place[keys[-1]])
    try:
        return SavedReceipt.from_json(json.dumps(document))
    except InputError as error:
        return error


async def test_one_change_anywhere_fails_at_its_step(scene: Scene) -> None:
    one = await play(scene)
    document = json.loads(one.saved.to_json())
    refused, failed = set(), set()
    for path, keys in places(document):
        if path == "format":
            continue
        tampered = with_other(one.saved, keys)
        if isinstance(tampered, InputError):
            refused.add(path)
            continue
        failed.add(path)
        report = await one.verify(tampered, runner=None, files=(), traces=())
        step, words = expected(path)
        first = next((found for found in report.steps if found.broken), None)
        assert first is not None, f"{path} was changed unnoticed:\n{report.text()}"
        assert (first.name, report.verdict) == (step, Verdict.NOT_AS_CLAIMED), path
        assert words in said(report, step, Kind.FAILED), (path, report.text())
        offline = await one.verify(
            tampered, NotReached("offline"), runner=None, files=(), traces=()
        )
        assert (offline.verdict is Verdict.NOT_CHECKED) == (path in ELSEWHERE), path
    assert refused <= {path for path in refused if path.startswith("model.schema.")}
    assert len(failed) >= 45


async def test_every_single_byte_of_input_result_and_signature_counts(scene: Scene) -> None:
    one = await play(scene)
    offline = NotReached("offline")
    for name, step in (("input", 97), ("result", 7), ("signature", 1)):
        data: bytes = getattr(one.saved, name)
        for place in range(0, len(data), step):
            wrong = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            tampered = replace(one.saved, **{name: wrong})  # type: ignore[arg-type]
            report = await one.verify(tampered, offline, runner=None, files=())
            assert report.verdict is Verdict.NOT_AS_CLAIMED, (name, place)


async def test_another_key_that_signs_everything_anew_was_not_the_operators(scene: Scene) -> None:
    one = await play(scene)
    stranger = signer_of(Person.WATCHER)
    lie = replace(one.saved.answer, result_hash=b"\x07" * 32)
    for answer in (one.saved.answer, lie):
        signature = stranger.sign_digest(answer.digest(one.saved.contracts.domain))
        forged = replace(one.saved, answer=answer, signer=stranger.address, signature=signature)
        report = await one.verify(forged)
        words = said(report, Name.RECEIPT, Kind.FAILED)
        assert f"{stranger.address} was not the signer of {one.saved.answer.operator}" in words
        assert report.verdict is Verdict.NOT_AS_CLAIMED


async def test_an_operator_that_signed_twice_shows_the_other_answer(scene: Scene) -> None:
    one = await play(scene)
    other_result = bytes(len(one.saved.result))
    answer = replace(one.saved.answer, result_hash=data_hash(other_result))
    signature = scene.signer.signer.sign_digest(answer.digest(one.saved.contracts.domain))
    second = replace(one.saved, answer=answer, result=other_result, signature=signature)
    report = await one.verify(second)
    assert said(report, Name.RECEIPT, Kind.FAILED) == "the chain's answer has another result"


async def test_another_operator_that_answers_as_its_own(scene: Scene) -> None:
    one = await play(scene)
    stranger = signer_of(Person.WATCHER)
    answer = replace(one.saved.answer, operator=stranger.address)
    signature = stranger.sign_digest(answer.digest(one.saved.contracts.domain))
    forged = replace(one.saved, answer=answer, signer=stranger.address, signature=signature)
    report = await one.verify(forged)
    assert "the chain's answer has another operator" in said(report, Name.RECEIPT)
    assert f"{stranger.address} is not an operator" in said(report, Name.RECEIPT)
    assert "was accepted by" in said(report, Name.BINDING, Kind.FAILED)


async def test_a_receipt_of_another_chain_is_left_open_not_accused(scene: Scene) -> None:
    one = await play(scene)
    contracts = replace(one.saved.contracts, chain_id=one.saved.contracts.chain_id + 1)
    request_id = one.saved.request.id(contracts.domain)
    answer = replace(one.saved.answer, request_id=request_id)
    signature = scene.signer.signer.sign_digest(answer.digest(contracts.domain))
    foreign = replace(
        one.saved, contracts=contracts, request_id=request_id, answer=answer, signature=signature
    )
    report = await one.verify(foreign)
    assert report.verdict is Verdict.NOT_CHECKED, report.text()
    assert f"the endpoint serves chain {one.saved.contracts.chain_id}" in report.text()


async def test_a_request_that_the_oracle_never_saw(scene: Scene) -> None:
    one = await play(scene)
    request = replace(one.saved.request, nonce=12_345)
    request_id = request.id(one.saved.contracts.domain)
    invented = replace(one.saved, request=request, request_id=request_id)
    report = await one.verify(invented)
    assert "has no such request" in said(report, Name.REQUEST, Kind.FAILED)


async def test_a_batch_is_signed_as_one(scene: Scene) -> None:
    first = await play(scene)
    stranger = b"\x09" * 32
    batch = (first.saved.answer.struct_hash(), stranger)
    domain = first.saved.contracts.domain
    digest = answer_batch_digest(domain, [first.saved.answer])
    alone = replace(
        first.saved,
        signature=scene.signer.signer.sign_digest(digest),
        batch=(first.saved.answer.struct_hash(),),
    )
    assert "one of a batch of 1" in said(await first.verify(alone), Name.RECEIPT)
    for wrong in (batch, (stranger,)):
        report = await first.verify(replace(alone, batch=wrong))
        assert "the signature does not hold" in said(report, Name.RECEIPT, Kind.FAILED)


async def test_a_signer_that_was_rotated_since_still_signed_then(scene: Scene) -> None:
    one = await play(scene)
    staking, contracts = scene.contracts.staking, scene.contracts
    fresh = signer_of(Person.SECOND_SIGNER)
    await scene.owner.send(staking.address, staking.rotate_signer_data(fresh.address))
    await scene.chain.increase_time(contracts.deployment.parameters.signer_delay + 1)
    report = await one.verify()
    assert f"it is {fresh.address} now" in said(report, Name.RECEIPT, Kind.PASSED)
    assert report.verdict is Verdict.VERIFIED
    signature = fresh.sign_digest(one.saved.answer.digest(one.saved.contracts.domain))
    later = replace(one.saved, signer=fresh.address, signature=signature)
    report = await one.verify(later)
    assert "was not the signer of" in said(report, Name.RECEIPT, Kind.FAILED)


async def test_evidence_from_the_chain_and_from_a_receipt_is_the_same(scene: Scene) -> None:
    one: Play = await play(scene)
    found = await evidences.of_chain(one.reader, one.request_id)
    assert found == evidences.of_receipt(one.saved)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "is of format 2"),
        ({"more": 1}, "does not belong there: more"),
        ({"signature": []}, "signature is not a JSON object"),
        ({"model": None}, "model is not a JSON object"),
    ],
)
async def test_documents_of_another_form_are_refused(
    scene: Scene, change: dict[str, Any], words: str
) -> None:
    one = await play(scene)
    document = copy.deepcopy(json.loads(one.saved.to_json())) | change
    with pytest.raises(InputError, match=words):
        SavedReceipt.from_json(json.dumps(document))
    for nothing in ("", "[]", "{}", "null", "[" * 100_000, '{"format": 1, "format": 1}'):
        with pytest.raises(InputError):
            SavedReceipt.from_json(nothing)
