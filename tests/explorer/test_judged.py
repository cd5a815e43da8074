"""A proof taken apart says what the court said, of every kind of step of the sample models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from oracle.chain.court_contract import CourtBinding, Disputed
from oracle.chain.proof_coder import encode_proof
from oracle.chain.proof_decoder import ShownElement, ShownEmpty, ShownMessage, proof_of_call
from oracle.chain.rpc import Rpc
from oracle.core.model import ModelTerms
from oracle.core.receipt import AnswerCommitment
from oracle.core.request import Request
from oracle.core.types import ZERO_ADDRESS, Tier
from oracle.court.commitment import commit
from oracle.court.proof import FraudKind, Proof
from oracle.court.proving import Prover
from oracle.court.verdict import Outcome
from oracle.errors import InputError
from oracle.explorer.drawing import number_line, term_bars
from oracle.explorer.judged import judged
from oracle.program.encoding import encode
from oracle.program.instruction import Trace
from oracle.program.opcode import Opcode
from tests.court_suite.sample_runs import Sample, sample

NAMES = ("digits-mlp", "digits-lenet", "digits-lenet-int8", "wine-xgboost")
SUMS = {Opcode.DOT, Opcode.SUM, Opcode.MEAN}


def calldata_of(proof: Proof) -> bytes:
    nobody, nothing = ZERO_ADDRESS, bytes(32)
    request = Request(nobody, 0, nobody, nothing, nothing, nobody, 0, 0, 0, 0, 0, 0, False)
    terms = ModelTerms(nothing, nothing, nothing, Tier.ROUNDED, 1, 0, 0, 0)
    commitment = AnswerCommitment(nobody, nothing, nothing)
    binding = CourtBinding(Rpc("http://127.0.0.1:9"), nobody)
    return binding.prove_fraud_data(
        Disputed(request, commitment, nobody, terms), encode_proof(proof)
    )


def tampered(made: Sample, instruction: int) -> Prover:
    """A trace in which the first element of a step is another one."""
    row = list(made.trace.rows[0])
    tensor = made.program.instructions[instruction].output
    values = row[tensor].copy()
    values[0] = ~values[0] if values.dtype == np.bool_ else values[0] + 1
    row[tensor] = values
    trace = Trace((tuple(row), *made.trace.rows[1:]))
    return Prover(made.program, encode(made.program), trace, commit(made.program, made.root, trace))


@pytest.mark.parametrize(
    "name", ["digits-mlp", "digits-lenet", "digits-lenet-int8", "wine-xgboost"]
)
def test_what_is_shown_is_what_was_judged(name: str) -> None:
    made, seen = sample(name), set[Opcode]()
    for number, step in enumerate(made.program.instructions):
        if step.opcode in seen:
            continue
        seen.add(step.opcode)
        prover = tampered(made, number)
        shown = proof_of_call(calldata_of(prover.element(0, number, 0)))
        assert isinstance(shown, ShownElement)
        found, verdict = judged(shown), prover.verdict(0, number, 0)
        assert found.verdict == verdict, step.opcode
        assert verdict.outcome is Outcome.VIOLATED
        assert (found.instruction, found.opcode) == (number, step.opcode.name)
        if step.opcode in SUMS:
            assert found.exact is not None
            if step.opcode is not Opcode.MEAN:
                total = sum(one.value for one in found.terms) + found.others_value
                assert total == pytest.approx(found.exact, rel=1e-9, abs=1e-12)
            bars = term_bars(found.terms, found.others_value, found.term_count - len(found.terms))
            assert all(one.x >= 0 and one.x + one.width <= 100.01 for one in bars)
        else:
            assert found.operands
        line = number_line(found)
        assert line is not None, step.opcode
        assert {line.exact, line.claimed} == {70, 570}
    assert len(seen) > 2


def test_other_proofs_are_told_apart() -> None:
    made = sample("digits-mlp")
    honest = Prover(
        made.program,
        encode(made.program),
        made.trace,
        commit(made.program, made.root, made.trace),
    )
    wrong = honest.message(FraudKind.INPUT, b"\1" * 512, row=1, tensor=0, position=5)
    shown = proof_of_call(calldata_of(wrong))
    assert isinstance(shown, ShownMessage)
    assert (shown.kind, shown.row, shown.position) == (FraudKind.INPUT, 1, 5)
    rows = proof_of_call(calldata_of(honest.length(FraudKind.ROWS, b"")))
    assert isinstance(rows, ShownMessage)
    assert rows.kind is FraudKind.ROWS
    assert isinstance(proof_of_call(calldata_of(honest.empty())), ShownEmpty)


def test_what_is_no_proof_is_refused_in_words() -> None:
    calldata = calldata_of(tampered(sample("digits-mlp"), 2).element(0, 2, 0))
    assert proof_of_call(b"\0\0\0\0" + calldata[4:]) is None
    with pytest.raises(InputError, match="no proof that can be read"):
        proof_of_call(calldata[: len(calldata) // 2])
    shown = proof_of_call(calldata)
    assert isinstance(shown, ShownElement)
    for broken in (
        replace(shown, record=b""),
        replace(shown, record=b"\xff" * len(shown.record)),
        replace(shown, operands=()),
        replace(shown, position=1 << 40),
    ):
        with pytest.raises(InputError):
            judged(broken)
