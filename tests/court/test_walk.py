"""The walk back through a trace that is shown piece by piece, from the output to the lie."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from oracle.core.types import Tier
from oracle.court.accusation import Accusation
from oracle.court.commitment import commit
from oracle.court.opening import (
    Opening,
    narrowed,
    open_trace,
    trace_place,
    verify_trace_opening,
)
from oracle.court.proof import ElementProof, EmptyProof, FraudKind, InterfaceProof
from oracle.court.proof_size import proof_bytes
from oracle.court.revealed import Leaves, claim_of, laid_over
from oracle.court.screen import values
from oracle.court.screen_matrix import Memory
from oracle.court.screen_nest import bind
from oracle.court.walk import DeadEnd, Wanted, next_step
from oracle.errors import TraceError
from oracle.inference.program_session import LoadedProgram
from oracle.program.compile import compile_model
from oracle.program.encoding import encode
from oracle.program.instruction import Trace
from scripts.dishonest_operator import cheapened
from tests.court.test_accusation import message, moved, result
from tests.court_suite.sample_runs import Sample, opened, sample, traced
from tests.inference.graphs import inverse_root

MOST_LEAVES = 256


def walk(
    run: Sample, posted: bytes, theirs: Trace, *, said: bytes | None = None
) -> tuple[Accusation | DeadEnd, list[Leaves]]:
    """Demands what the walk wants until it comes to an end."""
    program, encoded = run.program, encode(run.program)
    own = commit(program, encoded.root, run.trace)
    hidden = commit(program, encoded.root, theirs)
    shown: list[Opening] = []
    asked: list[Leaves] = []
    while True:
        claim = None
        if shown:
            claim = claim_of(program, encoded.root, hidden.trace_root, len(theirs.rows), shown[0])
        prover = laid_over(program, encoded, run.trace, own, shown, claim, MOST_LEAVES)
        step = next_step(prover, said or message(run), posted, run.trace)
        if not isinstance(step, Wanted):
            return step, asked
        assert not set(step.leaves) & set(asked), "what was shown is not asked for again"
        asked += step.leaves
        shown += [
            open_trace(
                program,
                theirs,
                hidden,
                row=one.row,
                tensor=one.tensor,
                first=one.first,
                count=one.count,
            )
            for one in step.leaves
        ]


def cheap(run: Sample) -> Trace:
    """The same inputs through a program of cheaper weights."""
    other: LoadedProgram = opened(run.compiled, cheapened(run.compiled.file))
    return traced(other, run.inputs)


@pytest.mark.parametrize("name", ["digits-logistic", "digits-mlp", "digits-lenet"])
def test_cheaper_weights_are_found_in_a_few_steps(name: str) -> None:
    run = sample(name)
    theirs = cheap(run)
    step, asked = walk(run, result(run, theirs), theirs)
    assert isinstance(step, Accusation), step
    assert isinstance(step.proof, ElementProof)
    assert len(asked) <= 3 * len(run.program.instructions)
    if name == "digits-lenet":
        shown = sum(one.count for one in asked) * run.program.leaf_bytes
        assert shown < run.program.row_trace_bytes // 2


@pytest.mark.parametrize("tensor", range(3))
def test_a_moved_element_is_found_from_the_output(tensor: int) -> None:
    """Moved in the middle and computed on from there, as a lie that is hard to see."""
    run = sample("digits-mlp")
    number = run.program.instructions[tensor].output
    row = list(run.trace.rows[0])
    row[number] = row[number].copy()
    row[number][1] += 1
    for step in run.program.instructions[tensor + 1 :]:
        row[step.output] = values(bind(run.program, step, 1, row), Memory()).reshape(-1)
    theirs = Trace((tuple(row), run.trace.rows[1]))
    found, _ = walk(run, result(run, theirs), theirs)
    assert isinstance(found, Accusation), found
    assert isinstance(found.proof, ElementProof)
    assert (found.proof.record.number, found.proof.position) == (tensor + 1, 1)


def _posted(run: Sample) -> bytes:
    return result(run)[:-1] + b"\x55"


@pytest.mark.parametrize(
    ("posted", "kind"),
    [(_posted, FraudKind.OUTPUT), (lambda run: result(run)[:-1], FraudKind.OUTPUT)],
)
def test_a_result_beside_an_honest_trace(
    posted: Callable[[Sample], bytes], kind: FraudKind
) -> None:
    run = sample("digits-logistic")
    step, asked = walk(run, posted(run), run.trace)
    assert isinstance(step, Accusation)
    assert isinstance(step.proof, InterfaceProof)
    assert step.proof.kind is kind
    assert len(asked) == 1


def test_another_input_and_an_empty_result() -> None:
    run = sample("digits-logistic")
    inputs = {name: np.ascontiguousarray(values[:, ::-1]) for name, values in run.inputs.items()}
    theirs = traced(run.loaded, inputs)
    step, _ = walk(run, result(run, theirs), theirs)
    assert isinstance(step, Accusation)
    assert isinstance(step.proof, InterfaceProof)
    assert step.proof.kind is FraudKind.INPUT
    hollow, asked = walk(run, b"", run.trace)
    assert isinstance(hollow, Accusation)
    assert isinstance(hollow.proof, EmptyProof)
    assert len(asked) == 1, "for the tree root"


def test_nan_that_both_runs_have_does_not_lead_astray() -> None:
    compiled = compile_model(inverse_root().SerializeToString(), tier=Tier.ROUNDED)
    loaded = opened(compiled, compiled.file)
    inputs = {"x": np.array([[4, 1, -1], [-1, 1, 0.25]], np.float32)}
    run = Sample(compiled, loaded, inputs, traced(loaded, inputs))
    (number,) = run.program.outputs
    theirs = moved(run.trace, 1, number, 1)
    step, asked = walk(run, result(run, theirs), theirs)
    assert isinstance(step, Accusation), step
    assert isinstance(step.proof, ElementProof)
    assert (step.proof.row, step.proof.position) == (1, 1)
    assert {one.row for one in asked} == {1}


def test_the_right_answer_leads_nowhere() -> None:
    run = sample("digits-logistic")
    step, asked = walk(run, result(run), run.trace)
    assert isinstance(step, DeadEnd)
    assert {one.tensor for one in asked} == set(run.program.outputs), "seen, and found to be right"
    theirs = cheap(run)
    other, _ = walk(run, result(run), theirs)
    assert isinstance(other, Accusation)
    assert isinstance(other.proof, InterfaceProof)
    assert other.proof.kind is FraudKind.OUTPUT


def test_a_lie_whose_proof_is_too_large_is_passed_for_one_whose_proof_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = sample("digits-mlp")
    theirs = cheap(run)
    posted = result(run, theirs)
    first, _ = walk(run, posted, theirs)
    assert isinstance(first, Accusation)
    size = proof_bytes(first.proof)
    monkeypatch.setattr("oracle.court.proof_size.LARGEST_PROOF_BYTES", size - 1)
    other, asked = walk(run, posted, theirs)
    assert isinstance(other, Accusation)
    assert proof_bytes(other.proof) < size or "public nodes have room for" in other.what
    assert len(asked) > 1
    monkeypatch.setattr("oracle.court.proof_size.LARGEST_PROOF_BYTES", 10)
    nothing, _ = walk(run, posted, theirs)
    assert isinstance(nothing, Accusation)
    assert "public nodes have room for" in nothing.what


def test_a_proof_shows_what_it_takes_of_what_was_shown_whole() -> None:
    run = sample("digits-lenet")
    program, encoded = run.program, encode(run.program)
    hidden = commit(program, encoded.root, run.trace)
    tensor = next(n for n, one in enumerate(program.tensors) if one.byte_count == 4_096)
    whole = open_trace(program, run.trace, hidden, row=1, tensor=tensor)
    place = trace_place(program, 2, 1, tensor)
    for first, count in ((0, 1), (5, 1), (3, 7), (15, 1), (0, 16)):
        part = narrowed(place, whole, first, count)
        asked = {"row": 1, "tensor": tensor, "first": first, "count": count}
        assert part == open_trace(program, run.trace, hidden, **asked)
        inner = narrowed(place, part, first + count - 1, 1)
        verify_trace_opening(program, encoded.root, hidden.trace_root, 2, inner)
    with pytest.raises(TraceError):
        narrowed(place, narrowed(place, whole, 3, 2), 2, 1)
