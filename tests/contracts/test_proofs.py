"""Proofs that are wrong in one place: the verifier refuses them, and convicts nobody.

The element that is proven is honest, so a verdict of VIOLATED is wrong whatever the proof says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Final

import pytest

from oracle.chain.proof_coder import encode_proof
from oracle.core.types import Tier
from oracle.court.check_evaluate import evaluate
from oracle.court.opening import Opening, open_trace
from oracle.court.proof import ElementProof, FraudKind, OperandOpening, Proof
from oracle.court.proving import Prover
from oracle.court.verdict import Outcome
from oracle.program.opcode import Opcode
from tests.contracts.courtroom import PLAIN_REVERT, Claim, Courtroom, claim_of, committed
from tests.contracts.harness import Answer, Chain, case_count
from tests.contracts.hostile import PATHS, RECORDS, REFUSED
from tests.court_check.programs import Array
from tests.court_check.test_check import network

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(0)]

ROW: Final = 2


@dataclass(frozen=True)
class Scene:
    """An honest run with its messages."""

    prover: Prover
    claim: Claim
    input_bytes: bytes
    result: bytes

    def element(self, opcode: Opcode = Opcode.DOT, position: int = 3) -> ElementProof:
        """Of the last instruction of an opcode: of DOT a dense one, whose operands have many
        leaves."""
        steps = self.prover.program.instructions
        number = max(n for n, step in enumerate(steps) if step.opcode is opcode)
        return self.prover.element(ROW, number, position)

    def proofs(self) -> Iterator[Proof]:
        """Of every kind, all honest."""
        yield self.element()
        yield self.prover.element(ROW, 0, 77)
        yield self.prover.message(FraudKind.INPUT, self.input_bytes, row=ROW, tensor=0, position=9)
        yield self.prover.message(FraudKind.OUTPUT, self.result, row=ROW, tensor=0, position=0)
        yield self.prover.length(FraudKind.ROWS, self.input_bytes)


@pytest.fixture(scope="module")
def room(court_chain: Chain) -> Courtroom:
    return Courtroom(court_chain)


@pytest.fixture(scope="module")
def scene() -> Scene:
    made = network(Tier.NATIVE)
    program = replace(made.program(), leaf_bytes=64, max_rows=8)
    trace = evaluate(program, None, made.rows())
    prover = committed(program, trace)
    messages = [
        b"".join(raw(row[number]) for number in numbers for row in trace.rows)
        for numbers in (program.inputs, program.outputs)
    ]
    return Scene(prover, claim_of(prover, *messages), *messages)


def raw(values: Array) -> bytes:
    return bytes(values.tobytes())


def test_honest_proofs_are_within(room: Courtroom, scene: Scene) -> None:
    answers = room.judge(scene.claim, scene.proofs())
    assert [answer.outcome for answer in answers] == [Outcome.WITHIN] * 5


# ---- one field wrong


@pytest.mark.parametrize("what", REFUSED)
def test_a_wrong_field_is_refused(room: Courtroom, scene: Scene, what: str) -> None:
    change, names = REFUSED[what]
    proofs = list(change(scene.element()))
    answers = room.judge(scene.claim, proofs)
    assert {answer.outcome for answer in answers} == {None}
    assert {answer.error for answer in answers} <= names


def test_an_element_that_is_not_shown(room: Courtroom, scene: Scene) -> None:
    proof = scene.prover.element(ROW, 0, 3)
    moved = [replace(proof, position=position) for position in (16, 143)]
    assert {answer.error for answer in room.judge(scene.claim, moved)} == {"ElementNotShown"}


def test_pieces_of_an_operand_must_be_apart(room: Courtroom, scene: Scene) -> None:
    """They may touch each other, and may show more than is read; but not twice, nor backwards."""
    proof = scene.element()
    first, second, both = (
        OperandOpening(0, opened(scene.prover, proof.operands[0].leaves.tensor, *span))
        for span in ((0, 1), (1, 2), (0, 2))
    )
    rest = proof.operands[1:]
    shown = [(first, second), (second, first), (both, second), (first, both)]
    answers = room.judge(
        scene.claim, [replace(proof, operands=(*pieces, *rest)) for pieces in shown]
    )
    assert answers[0].outcome is Outcome.WITHIN
    assert {answer.error for answer in answers[1:]} == {"OpeningsOutOfOrder"}


def opened(prover: Prover, tensor: int, first: int, count: int) -> Opening:
    return open_trace(
        prover.program,
        prover.trace,
        prover.commitment,
        row=ROW,
        tensor=tensor,
        first=first,
        count=count,
    )


def test_records_of_another_kind(room: Courtroom, scene: Scene) -> None:
    interface = scene.prover.length(FraudKind.ROWS, scene.input_bytes).record
    element, message = scene.element(), scene.prover.length(FraudKind.ROWS, scene.input_bytes)
    empty = scene.prover.empty()
    empty_claim = claim_of(scene.prover, scene.input_bytes)
    answers = [
        *room.judge(scene.claim, [replace(element, record=interface)]),
        *room.judge(scene.claim, [replace(message, record=element.record)]),
        *room.judge(empty_claim, [replace(empty, record=element.record)]),
    ]
    names = ("NotAnInstruction", "NotTheInterface", "NotTheInterface")
    assert answers == [Answer(None, name) for name in names]


# ---- bytes that are no proof


def test_bytes_that_are_no_encoding(room: Courtroom, scene: Scene) -> None:
    data = encode_proof(scene.element())
    cuts = [data[:length] for length in (0, 1, 31, 32, 33, 64, 96, 500, len(data) // 2)]
    kinds = [number.to_bytes(32, "big") + data[32:] for number in (5, 255, 256, 2**256 - 1)]
    offsets = [
        data[:32] + offset.to_bytes(32, "big") + data[64:]
        for offset in (0, 33, len(data), 2**64, 2**255, 2**256 - 32)
    ]
    # The offsets of the record, the output and the operands within the struct.
    inner = [
        data[:place] + offset.to_bytes(32, "big") + data[place + 32 :]
        for place in (64 + 10 * 32, 64 + 13 * 32, 64 + 14 * 32)
        for offset in (0, len(data), 2**64, 2**255, 2**256 - 32)
    ]
    answers = room.judge_bytes(scene.claim, [*cuts, *kinds, *offsets, *inner])
    assert {answer.outcome for answer in answers} == {None}
    known = {PLAIN_REVERT, "ProgramRootMismatch", *RECORDS, *PATHS}
    known |= {"LeafLength", "LeafMissing", "OperandUnknown", "HeadOutside"}
    assert {answer.error for answer in answers} <= known


def test_a_head_lies_within_its_proof(room: Courtroom, scene: Scene) -> None:
    """Also one that an offset leads to from behind, or over the end of the address space."""
    for proof in (*scene.proofs(), scene.prover.empty()):
        data = encode_proof(proof)
        length = len(data) - 32
        offsets = [length, length + 1, 2**256 - 1, 2**256 - 32, 2**256 - 68, 2**256 - len(data)]
        moved = [data[:32] + offset.to_bytes(32, "big") + data[64:] for offset in offsets]
        answers = room.judge_bytes(scene.claim, moved)
        assert {answer.error for answer in answers} == {"HeadOutside"}


def test_a_proof_of_one_kind_read_as_another(room: Courtroom, scene: Scene) -> None:
    for proof in (*scene.proofs(), scene.prover.empty()):
        data = encode_proof(proof)
        asked = [kind.to_bytes(32, "big") + data[32:] for kind in FraudKind]
        answers = room.judge_bytes(scene.claim, asked)
        assert Outcome.VIOLATED not in {answer.outcome for answer in answers}, answers


def test_flipped_bytes_convict_nobody(room: Courtroom, scene: Scene) -> None:
    """Whatever else they do: much of an encoding is padding, and other positions are honest."""
    source = Random(13)
    counts: Counter[str] = Counter()
    for proof in scene.proofs():
        data = encode_proof(proof)
        changed = [scrambled(source, data) for _ in range(case_count() // 4)]
        for answer in room.judge_bytes(scene.claim, changed):
            counts[answer.outcome.name if answer.outcome else answer.error] += 1
    assert counts["VIOLATED"] == 0, counts
    assert counts["WITHIN"] > 0, counts
    assert counts[PLAIN_REVERT] > 0, counts
    assert len(counts) > 8, counts


def scrambled(source: Random, data: bytes) -> bytes:
    """One to three bytes changed; often those of numbers, which are few among digests and data."""
    forged = bytearray(data)
    for _ in range(source.choice((1, 1, 2, 3))):
        places = range(len(data))
        if source.random() < 0.5:
            places = range(31, len(data), 32)
        forged[source.choice(places)] ^= source.choice((1, 1, 2, 32, 128, source.randrange(1, 256)))
    return bytes(forged)
