"""The empty result before the contract: convicted where there is anything that could be posted.

The mirror is `oracle.court.message.may_be_empty`. What the outputs are plays no part: NaN is posted
like any other number, so nothing has to be opened.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Final

import numpy as np
import pytest

from oracle.chain.proof_coder import encode_proof
from oracle.court.accusation import accuse
from oracle.court.check_evaluate import evaluate
from oracle.court.message import MAX_RESULT_BYTES, may_be_empty, row_bytes
from oracle.court.proof import EmptyProof, FraudKind
from oracle.court.verdict import Outcome
from oracle.program.instruction import Trace
from oracle.program.opcode import Opcode
from tests.contracts.courtroom import Courtroom, claim_of, committed
from tests.contracts.harness import Answer, Chain, case_count
from tests.contracts.message_runs import (
    EMPTY,
    SAMPLES,
    Run,
    joined,
    message_of,
    run_of,
    sampled,
)
from tests.court_check.programs import Array, Builder, trace

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(0)]

WITHIN: Final = Answer(Outcome.WITHIN)
VIOLATED: Final = Answer(Outcome.VIOLATED)
UNDEFINED: Final = Answer(Outcome.UNDEFINED)
PROOF_BYTES: Final = 4_096
"""Whatever the number of rows: a header, one record and its path."""


@pytest.fixture(scope="module")
def room(court_chain: Chain) -> Courtroom:
    return Courtroom(court_chain)


def one_step(opcode: Opcode, values: Array, max_rows: int = 1) -> Run:
    """Rows of values through one operation without parameters."""
    made = Builder()
    number = made.input(*values)
    made.step(opcode, values.shape[1:], (), [trace(number, (1,))], values.dtype)
    program = replace(made.program(), leaf_bytes=256, max_rows=max_rows)
    with np.errstate(invalid="ignore"):
        return run_of(program, evaluate(program, None, made.rows()))


@pytest.mark.parametrize("leaf_bytes", [8, 256])
def test_an_empty_result(room: Courtroom, leaf_bytes: int) -> None:
    run = joined(leaf_bytes=leaf_bytes)
    proof = run.prover.empty()
    assert room.judge(claim_of(run.prover, run.request, EMPTY), [proof]) == [VIOLATED]
    (answer,) = room.judge(claim_of(run.prover, run.request, run.result), [proof])
    assert answer.error == "ResultIsNotEmpty"


@pytest.mark.parametrize("name", SAMPLES)
def test_an_empty_result_of_a_sample_model(room: Courtroom, name: str) -> None:
    run = sampled(name)
    claim = claim_of(run.prover, run.request, EMPTY)
    assert room.judge(claim, [run.prover.empty()]) == [VIOLATED]


def test_a_result_of_nan_is_judged_like_any_other(room: Courtroom) -> None:
    """The rule is silent about what made it; what is posted must be its bits, and something."""
    run = one_step(Opcode.SQRT, np.array([[4.0, -1.0], [-9.0, 0.25]], np.float32), max_rows=2)
    program, prover = run.program, run.prover
    assert np.isnan(np.frombuffer(run.result, np.float32)).tolist() == [False, True, True, False]
    claim = claim_of(prover, run.request, run.result)
    outputs = [
        prover.message(FraudKind.OUTPUT, run.result, row=one.row, tensor=0, position=one.position)
        for one in run.places(FraudKind.OUTPUT)
    ]
    assert room.judge(claim, outputs) == [WITHIN] * 4
    elements = [prover.element(row, 0, place) for row in (0, 1) for place in (0, 1)]
    assert room.judge(claim, elements) == [WITHIN, UNDEFINED, UNDEFINED, WITHIN]
    found = accuse(
        program, prover.encoded, run.request, run.result, prover.trace, prover.commitment
    )
    assert found is None

    other = bytearray(run.result)
    other[4] ^= 1  # a NaN of other bits
    assert np.isnan(np.frombuffer(other, np.float32)[1])
    proof = prover.message(FraudKind.OUTPUT, bytes(other), row=0, tensor=0, position=1)
    assert room.judge(claim_of(prover, run.request, bytes(other)), [proof]) == [VIOLATED]

    empty = accuse(program, prover.encoded, run.request, EMPTY, prover.trace, prover.commitment)
    assert empty is not None
    assert isinstance(empty.proof, EmptyProof)
    assert room.judge(claim_of(prover, run.request, EMPTY), [empty.proof]) == [VIOLATED]


@pytest.mark.parametrize("fill", [np.nan, 1.0])
def test_the_most_rows_are_convicted_without_openings(room: Courtroom, fill: float) -> None:
    """As large a result as may be posted: the proof is as small as that of one row."""
    rows = MAX_RESULT_BYTES // 96
    run = one_step(Opcode.COPY, np.full((rows, 24), fill, np.float32), max_rows=rows)
    assert len(run.result) == MAX_RESULT_BYTES
    claim = claim_of(run.prover, run.request, EMPTY)
    proof = run.prover.empty()
    assert len(encode_proof(proof)) < PROOF_BYTES
    assert room.judge(claim, [proof]) == [VIOLATED]


@pytest.mark.parametrize("excess", [0, 1])
def test_a_result_that_fits_no_transaction_may_be_empty(room: Courtroom, excess: int) -> None:
    run = too_large(excess)
    claim = claim_of(run.prover, run.request, EMPTY)
    assert row_bytes(run.program, run.program.outputs) == MAX_RESULT_BYTES + excess
    assert may_be_empty(run.program, 1) == bool(excess)
    assert room.judge(claim, [run.prover.empty()]) == [WITHIN if excess else VIOLATED]


def test_an_empty_result_without_rows(room: Courtroom) -> None:
    prover = committed(joined().program, Trace(()))
    claim = claim_of(prover, b"\1", EMPTY)
    assert may_be_empty(prover.program, 0)
    assert room.judge(claim, [prover.empty()]) == [WITHIN]
    assert room.judge(claim, [prover.length(FraudKind.ROWS, b"\1")]) == [WITHIN]


@pytest.mark.parametrize("rows", [0, 1])
def test_flipped_bytes_of_an_honest_empty_result(room: Courtroom, rows: int) -> None:
    run = too_large(1)
    prover = run.prover if rows else committed(run.program, Trace(()))
    data = encode_proof(prover.empty())
    claim = claim_of(prover, message_of(run.program.inputs, prover.trace), EMPTY)
    source = Random(5)
    forged = []
    for _ in range(case_count() // 4):
        place = source.choice((source.randrange(len(data)), source.randrange(31, len(data), 32)))
        byte = data[place] ^ source.choice((1, 2, 32, 128, 255))
        forged.append(data[:place] + bytes([byte]) + data[place + 1 :])
    outcomes = {answer.outcome for answer in room.judge_bytes(claim, forged)}
    assert outcomes == {None, Outcome.WITHIN}


def too_large(excess: int) -> Run:
    return one_step(Opcode.COPY, np.zeros((1, MAX_RESULT_BYTES + excess), np.uint8))
