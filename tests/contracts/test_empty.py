"""The empty result before the contract: convicted where the trace ends with numbers.

The mirror is `oracle.court.message`.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Final

import numpy as np
import pytest

from oracle.chain.proof_coder import encode_proof
from oracle.court.check_evaluate import evaluate
from oracle.court.message import MAX_RESULT_BYTES, holds_nan
from oracle.court.number import FORMATS
from oracle.court.proof import FraudKind
from oracle.court.proving import Prover
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
    run_of,
    sampled,
    struck,
    with_value,
)
from tests.court_check.programs import Builder, trace

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(0)]

WITHIN: Final = Answer(Outcome.WITHIN)
VIOLATED: Final = Answer(Outcome.VIOLATED)


@pytest.fixture(scope="module")
def room(court_chain: Chain) -> Courtroom:
    return Courtroom(court_chain)


@pytest.mark.parametrize("leaf_bytes", [8, 256])
def test_an_empty_result(room: Courtroom, leaf_bytes: int) -> None:
    """Convicted where the trace ends with numbers; not where one output of one row is NaN."""
    run = joined(leaf_bytes=leaf_bytes)
    claim = claim_of(run.prover, run.request, EMPTY)
    proof = run.prover.empty()
    assert room.judge(claim, [proof]) == [VIOLATED]
    (answer,) = room.judge(claim_of(run.prover, run.request, run.result), [proof])
    assert answer.error == "ResultIsNotEmpty"
    for count in range(len(proof.outputs)):
        (answer,) = room.judge(claim, [replace(proof, outputs=proof.outputs[:count])])
        assert answer.error == "OutputMissing"
    swapped = [replace(proof, outputs=proof.outputs[::-1])]
    swapped.append(replace(proof, outputs=proof.outputs[3:] + proof.outputs[:3]))
    assert {answer.outcome for answer in room.judge(claim, swapped)} == {None}

    for tensor in (run.program.outputs[0], run.program.outputs[2]):
        for row in range(3):
            for place in (0, run.program.tensors[tensor].size - 1):
                prover = not_a_number(run, row, tensor, place)
                assert holds_nan(run.program, prover.trace)
                claim = claim_of(prover, run.request, EMPTY)
                assert room.judge(claim, [prover.empty()]) == [WITHIN]


def test_an_empty_result_of_infinities_or_bools(room: Courtroom) -> None:
    """Infinity is an output; so is a byte that would be NaN's in a float."""
    run = joined()
    for value in (np.inf, -np.inf, np.finfo(np.float64).max):
        prover = with_value(run, 2, run.program.outputs[0], 1, value)
        claim = claim_of(prover, run.request, EMPTY)
        assert room.judge(claim, [prover.empty()]) == [VIOLATED]


def test_an_empty_result_without_rows(room: Courtroom) -> None:
    prover = committed(joined().program, Trace(()))
    claim = claim_of(prover, b"\1", EMPTY)
    assert room.judge(claim, [prover.empty()]) == [WITHIN]
    assert room.judge(claim, [prover.length(FraudKind.ROWS, b"\1")]) == [WITHIN]


@pytest.mark.parametrize("name", SAMPLES)
def test_an_empty_result_of_a_sample_model(room: Courtroom, name: str) -> None:
    run = sampled(name)
    claim = claim_of(run.prover, run.request, EMPTY)
    assert room.judge(claim, [run.prover.empty()]) == [VIOLATED]


@pytest.mark.parametrize("excess", [0, 1])
def test_a_result_that_fits_no_transaction_may_be_empty(room: Courtroom, excess: int) -> None:
    made = Builder()
    values = np.zeros(MAX_RESULT_BYTES + excess, np.uint8)
    number = made.input(values)
    made.step(Opcode.COPY, values.shape, (), [trace(number, (1,))], np.uint8)
    program = replace(made.program(), leaf_bytes=4096)
    run = run_of(program, evaluate(program, None, made.rows()))
    claim = claim_of(run.prover, run.request, EMPTY)
    proof = run.prover.empty()
    if excess == 0:
        assert room.judge(claim, [proof]) == [VIOLATED]
    else:
        assert room.judge(claim, [replace(proof, outputs=())]) == [WITHIN]


def test_flipped_bytes_of_an_honest_empty_result(room: Courtroom) -> None:
    run = joined()
    prover = not_a_number(run, 1, run.program.outputs[0], 1)
    data = encode_proof(prover.empty())
    source = Random(5)
    forged = []
    for _ in range(case_count() // 4):
        place = source.choice((source.randrange(len(data)), source.randrange(31, len(data), 32)))
        byte = data[place] ^ source.choice((1, 2, 32, 128, 255))
        forged.append(data[:place] + bytes([byte]) + data[place + 1 :])
    outcomes = {
        answer.outcome for answer in room.judge_bytes(claim_of(prover, run.request, EMPTY), forged)
    }
    assert outcomes == {None, Outcome.WITHIN}


def not_a_number(run: Run, row: int, number: int, place: int) -> Prover:
    return with_value(run, row, number, place, np.nan)


@pytest.mark.parametrize("tensor", [0, 2])
def test_each_bit_of_a_float_counts(room: Courtroom, tensor: int) -> None:
    """Infinity with a bit of its fraction set is NaN; with one of its exponent cleared a number."""
    run, source = joined(), Random(3)
    number = run.program.outputs[tensor]
    info = run.program.tensors[number]
    form = FORMATS[info.element]
    for bit in range(form.width - 1):
        bits = form.infinity ^ (1 << bit) ^ source.choice((0, form.sign_bit))
        value = np.array([bits], f"<u{info.element.item_size}").view(info.element.dtype)
        prover = with_value(run, 1, number, source.randrange(info.size), value)
        assert holds_nan(run.program, prover.trace) == (bit < form.fraction)
        answers = room.judge(claim_of(prover, run.request, EMPTY), [prover.empty()])
        assert answers == [WITHIN if bit < form.fraction else VIOLATED], bit


def test_nan_is_found_wherever_it_lies(room: Courtroom) -> None:
    source = Random(2)
    run = joined()
    counts = {True: 0, False: 0}
    for _ in range(case_count() // 8):
        rows = [list(tensors) for tensors in run.prover.trace.rows]
        values = rows[source.randrange(3)]
        number = source.choice(run.program.outputs)
        data = bytearray(values[number].tobytes())
        place = source.randrange(0, len(data), 4)
        data[place : place + 8] = struck(source)[: len(data) - place]
        values[number] = np.frombuffer(bytes(data), values[number].dtype)
        made = Trace(tuple(map(tuple, rows)))
        prover = committed(run.program, made, run.prover.encoded)
        found = holds_nan(run.program, made)
        counts[found] += 1
        answers = room.judge(claim_of(prover, run.request, EMPTY), [prover.empty()])
        assert answers == [WITHIN if found else VIOLATED]
    assert min(counts.values()) > case_count() // 100, counts
