"""Requests and results before the contract: each of their elements, and their lengths.

Rows are in `test_rows`, empty results in `test_empty`. No operation is judged here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from random import Random
from typing import Any, Final

import pytest

from oracle.court.message import MAX_RESULT_BYTES, MessagePlace, row_bytes
from oracle.court.proof import FraudKind
from oracle.court.verdict import Outcome
from oracle.program.instruction import Trace
from tests.contracts.courtroom import Courtroom, claim_of, committed
from tests.contracts.harness import Answer, Chain
from tests.contracts.message_runs import EMPTY, Run, changed, joined, runs

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(0)]

WITHIN: Final = Answer(Outcome.WITHIN)
VIOLATED: Final = Answer(Outcome.VIOLATED)


@pytest.fixture(scope="module")
def room(court_chain: Chain) -> Courtroom:
    return Courtroom(court_chain)


# ---- elements


@pytest.mark.parametrize("kind", [FraudKind.INPUT, FraudKind.OUTPUT])
def test_each_element_is_that_of_the_message(room: Courtroom, kind: FraudKind) -> None:
    source = Random(int(kind))
    for run in runs():
        message, places = run.message(kind), run.places(kind)
        claim = claim_of(run.prover, run.request, run.result)
        assert set(room.judge(claim, at(run, kind, message, places))) == {WITHIN}
        # One element of the trace differs: it alone is convicted.
        wrong = source.choice(places)
        numbers = run.program.inputs if kind is FraudKind.INPUT else run.program.outputs
        forged = changed(run, numbers[wrong.tensor], wrong.row, wrong.position)
        claim = claim_of(forged.prover, run.request, run.result)
        answers = room.judge(claim, at(forged, kind, message, places))
        assert answers == [VIOLATED if place == wrong else WITHIN for place in places]
        # Or one byte of the message.
        offset = source.randrange(len(message))
        other = message[:offset] + bytes([message[offset] ^ 0x80]) + message[offset + 1 :]
        claim = claim_of(run.prover, other, other)
        answers = room.judge(claim, at(run, kind, other, places))
        assert answers.count(VIOLATED) == 1
        assert places[answers.index(VIOLATED)] == place_of(run, kind, offset)


def at(run: Run, kind: FraudKind, message: bytes, places: Sequence[MessagePlace]) -> list[Any]:
    return [
        run.prover.message(
            kind, message, row=place.row, tensor=place.tensor, position=place.position
        )
        for place in places
    ]


def place_of(run: Run, kind: FraudKind, offset: int) -> MessagePlace:
    """Whose byte it is."""
    numbers = run.program.inputs if kind is FraudKind.INPUT else run.program.outputs
    for tensor, number in enumerate(numbers):
        info = run.program.tensors[number]
        row, rest = divmod(offset, info.byte_count)
        if row < len(run.prover.trace.rows):
            return MessagePlace(row, tensor, rest // info.element.item_size)
        offset -= info.byte_count * len(run.prover.trace.rows)
    raise AssertionError(offset)


def test_places_that_no_message_has(room: Courtroom) -> None:
    run = joined()
    claim = claim_of(run.prover, run.request, run.result)
    for kind in (FraudKind.INPUT, FraudKind.OUTPUT):
        proof = run.prover.message(kind, run.message(kind), row=1, tensor=0, position=0)
        wrong = [
            replace(proof, tensor=4), replace(proof, tensor=2**256 - 1),
            replace(proof, position=5), replace(proof, position=2**256 - 1),
            replace(proof, position=1 if kind is FraudKind.OUTPUT else 2),
            replace(proof, row=3), replace(proof, row=2**32),
            replace(proof, row=0), replace(proof, tensor=1),
            replace(proof, leaves=None), replace(proof, message=proof.message + b"\0"),
        ]  # fmt: skip
        names = [answer.error for answer in room.judge(claim, wrong)]
        assert names[:4] == ["TensorUnknown"] * 2 + ["ElementOutside"] * 2
        assert names[4] == "ElementNotShown"
        assert names[5:7] == ["RowOutside"] * 2
        assert set(names[7:9]) <= {"LeafMismatch", "PathLength", "LeafLength"}
        assert names[9:] == ["RangeOutsideTree", "MessageMismatch"]


# ---- lengths and rows


def test_a_result_of_the_wrong_length(room: Courtroom) -> None:
    for run in runs():
        width = row_bytes(run.program, run.program.outputs)
        wrong = [
            run.result[:-1], run.result + b"\0", run.result[:1], run.result + bytes(width),
            bytes(MAX_RESULT_BYTES),
        ]  # fmt: skip
        for result in wrong:
            claim = claim_of(run.prover, run.request, result)
            proof = run.prover.length(FraudKind.OUTPUT, result)
            assert room.judge(claim, [proof]) == [VIOLATED]
        for result, name in ((run.result, "RangeOutsideTree"), (EMPTY, "ResultIsEmpty")):
            claim = claim_of(run.prover, run.request, result)
            proof = run.prover.length(FraudKind.OUTPUT, result)
            assert room.judge(claim, [proof]) == [Answer(None, name)]


def test_an_input_of_the_wrong_length_is_a_matter_of_rows(room: Courtroom) -> None:
    for run in runs():
        request = run.request[:-1]
        claim = claim_of(run.prover, request, run.result)
        proof = run.prover.message(FraudKind.INPUT, run.request, row=0, tensor=0, position=0)
        answers = room.judge(claim, [replace(proof, message=request), proof])
        assert [answer.error for answer in answers] == ["MessageLength", "MessageMismatch"]
        assert room.judge(claim, [run.prover.length(FraudKind.ROWS, request)]) == [VIOLATED]


def test_a_result_without_rows(room: Courtroom) -> None:
    """Of a trace of no rows every result but the empty one is too long."""
    run = replace(joined(), prover=committed(joined().program, Trace(())))
    claim = claim_of(run.prover, run.request, run.result)
    assert room.judge(claim, [run.prover.length(FraudKind.OUTPUT, run.result)]) == [VIOLATED]
    claim = claim_of(run.prover, run.request, EMPTY)
    (answer,) = room.judge(claim, [run.prover.length(FraudKind.OUTPUT, EMPTY)])
    assert answer.error == "RowOutside"


def test_hashes_are_those_of_the_messages(room: Courtroom) -> None:
    run = joined()
    claim = claim_of(run.prover, run.request, run.result)
    assert claim.input_hash == sha256(run.request).digest()
    assert claim.result_hash == sha256(run.result).digest()
    for kind in (FraudKind.INPUT, FraudKind.OUTPUT):
        other = replace(claim, input_hash=claim.result_hash, result_hash=claim.input_hash)
        proof = run.prover.message(kind, run.message(kind), row=0, tensor=0, position=0)
        assert room.judge(claim, [proof]) == [WITHIN]
        assert room.judge(other, [proof]) == [Answer(None, "MessageMismatch")]
