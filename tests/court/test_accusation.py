"""What is wrong with an answer, found in the order of cost; an honest answer is never accused."""

from __future__ import annotations

import numpy as np
import pytest

from oracle.court.accusation import Accusation, accuse, accuse_without_rows
from oracle.court.commitment import commit, no_rows_root
from oracle.court.message import MAX_RESULT_BYTES, may_be_empty
from oracle.court.proof import ElementProof, EmptyProof, FraudKind, InterfaceProof, Proof
from oracle.court.proof_size import proof_bytes
from oracle.program.encoding import encode
from oracle.program.instruction import Trace
from oracle.program.opcode import Opcode
from tests.court_suite.sample_runs import Sample, input_bytes, sample

Forged = tuple[tuple[int, int, int], ...]


@pytest.fixture(scope="module")
def run() -> Sample:
    return sample("digits-logistic")


def message(run: Sample) -> bytes:
    return input_bytes(run.program, run.trace)


def result(run: Sample, trace: Trace | None = None) -> bytes:
    rows = (trace or run.trace).rows
    return b"".join(row[number].tobytes() for number in run.program.outputs for row in rows)


def found(run: Sample, said: bytes, posted: bytes, trace: Trace) -> Proof | None:
    encoded = encode(run.program)
    commitment = commit(run.program, encoded.root, trace)
    accusation = accuse(run.program, encoded, said, posted, trace, commitment)
    return None if accusation is None else accusation.proof


def moved(trace: Trace, row: int, tensor: int, position: int) -> Trace:
    """One element, off by one bit of its fraction's highest."""
    rows = [list(one) for one in trace.rows]
    values = rows[row][tensor].copy()
    values.view(np.uint8).reshape(values.size, -1)[position, -2] ^= 0x40
    rows[row][tensor] = values
    return Trace(tuple(tuple(one) for one in rows))


def test_an_honest_answer_is_not_accused(run: Sample) -> None:
    assert found(run, message(run), result(run), run.trace) is None


def test_another_number_of_rows_comes_first(run: Sample) -> None:
    one = Trace(run.trace.rows[:1])
    proof = found(run, message(run), result(run, one), one)
    assert isinstance(proof, InterfaceProof)
    assert (proof.kind, proof.trace.rows) == (FraudKind.ROWS, 1)


def test_another_input_is_named_by_its_first_element(run: Sample) -> None:
    proof = found(run, message(run), b"", moved(run.trace, 1, run.program.inputs[0], 3))
    assert isinstance(proof, InterfaceProof)
    assert (proof.kind, proof.row, proof.position) == (FraudKind.INPUT, 1, 3)


def test_another_result_and_one_of_another_length(run: Sample) -> None:
    proof = found(run, message(run), result(run)[:-1] + b"\x55", run.trace)
    assert isinstance(proof, InterfaceProof)
    assert (proof.kind, proof.row) == (FraudKind.OUTPUT, 1)
    short = found(run, message(run), result(run)[:-1], run.trace)
    assert isinstance(short, InterfaceProof)
    assert (short.kind, short.leaves) == (FraudKind.OUTPUT, None)


def test_an_empty_result_over_numbers_and_over_nan(run: Sample) -> None:
    assert isinstance(found(run, message(run), b"", run.trace), EmptyProof)
    assert may_be_empty(run.program, 0)
    assert not may_be_empty(run.program, len(run.trace.rows))
    assert may_be_empty(run.program, MAX_RESULT_BYTES)
    (floats, *_) = [
        number for number in run.program.outputs if run.program.tensors[number].element.is_float
    ]
    rows = [list(one) for one in run.trace.rows]
    rows[0][floats] = np.full_like(rows[0][floats], np.nan)
    hollow = Trace(tuple(tuple(one) for one in rows))
    assert isinstance(found(run, message(run), b"", hollow), EmptyProof)
    # NaN may be posted; what convicts is that nothing explains it.
    assert isinstance(found(run, message(run), result(run, hollow), hollow), ElementProof)


def test_a_moved_element_is_found_where_it_is(run: Sample) -> None:
    first = len(run.program.inputs)
    forged = moved(run.trace, 1, first, 0)
    proof = found(run, message(run), result(run, forged), forged)
    assert isinstance(proof, ElementProof)
    assert (proof.row, proof.record.number, proof.position) == (1, 1, 0)


def test_a_malformed_input_has_no_rows(run: Sample) -> None:
    encoded = encode(run.program)
    root = no_rows_root(encoded.root)

    def unrun(said: bytes, posted: bytes, of: bytes = root) -> Proof | None:
        accusation = accuse_without_rows(run.program, encoded, said, posted, of)
        return None if accusation is None else accusation.proof

    hollow = np.frombuffer(message(run), np.float32).copy()
    hollow[0] = np.nan
    assert unrun(b"", b"") is None
    assert unrun(hollow.tobytes(), b"") is None
    assert unrun(hollow.tobytes(), b"", bytes(32)) is None, "not what it commits to"
    posted = unrun(b"", b"1234")
    assert isinstance(posted, InterfaceProof)
    assert posted.kind is FraudKind.OUTPUT
    lazy = unrun(message(run), b"")
    assert isinstance(lazy, InterfaceProof)
    assert (lazy.kind, lazy.trace.rows) == (FraudKind.ROWS, 0)
    judged = found(run, hollow.tobytes(), b"", run.trace)
    assert isinstance(judged, InterfaceProof)
    assert judged.kind is FraudKind.ROWS


def test_a_smaller_proof_is_taken_where_there_is_one_and_it_is_said_where_there_is_none(
    run: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sum over 64 pixels comes before the label in the program, and takes the larger proof."""
    program, encoded = run.program, encode(run.program)
    number = next(
        place for place, one in enumerate(program.instructions) if one.opcode is Opcode.DOT
    )
    large = program.instructions[number].output
    label = next(one for one in program.outputs if not program.tensors[one].element.is_float)
    both = moved(moved(run.trace, 0, large, 1), 0, label, 0)

    def accused(trace: Trace) -> Accusation:
        commitment = commit(program, encoded.root, trace)
        posted = result(run, trace)
        made = accuse(program, encoded, message(run), posted, trace, commitment)
        assert made is not None
        assert isinstance(made.proof, ElementProof)
        return made

    first = accused(both)
    assert isinstance(first.proof, ElementProof)
    assert first.proof.record.number == number + 1
    monkeypatch.setattr("oracle.court.proof_size.LARGEST_PROOF_BYTES", proof_bytes(first.proof) - 1)
    smaller = accused(both)
    assert isinstance(smaller.proof, ElementProof)
    assert smaller.proof.record.number > number + 1
    assert proof_bytes(smaller.proof) < proof_bytes(first.proof)
    assert f"instruction {smaller.proof.record.number - 1} " in smaller.what
    monkeypatch.setattr("oracle.court.proof_size.LARGEST_PROOF_BYTES", 10)
    nothing = accused(both)
    assert nothing.proof == first.proof
    assert "public nodes have room for" in nothing.what
