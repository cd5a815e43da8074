"""A walk through a deep program ends in the rounds that there are, at a price that can be paid."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oracle.court.accusation import Accusation
from oracle.court.ahead import levels, program_depth, suspects, waypoints
from oracle.court.commitment import commit
from oracle.court.explained import explained
from oracle.court.opening import Opening, open_trace
from oracle.court.proof import ElementProof
from oracle.court.proof_size import fits
from oracle.court.revealed import Leaves, RevealedProver, claim_of, laid_over
from oracle.court.screen import values
from oracle.court.screen_matrix import Memory
from oracle.court.screen_nest import bind
from oracle.court.walk import Wanted, next_step
from oracle.program.encoding import encode
from oracle.program.instruction import Trace
from oracle.program.opcode import Opcode
from oracle.watcher.plan import Means, covers, joined, lookahead, planned, rounds_left
from tests.court.test_accusation import message, result
from tests.court_suite.sample_runs import Sample, sample

OPG = 10**18
UNIT = OPG // 10
MOST_BYTES = 65_536


def lying(run: Sample, number: int, position: int = 0) -> Trace:
    """One element moved, in the first row, and everything after it computed on from there."""
    row = list(run.trace.rows[0])
    for place, step in enumerate(run.program.instructions):
        if place > number:
            row[step.output] = values(bind(run.program, step, 1, row), Memory()).reshape(-1)
        elif place == number:
            row[step.output] = row[step.output].copy()
            row[step.output][position] += 1
    return Trace((tuple(row), *run.trace.rows[1:]))


def walked(
    run: Sample, theirs: Trace, *, rounds: int, budget: int = 200 * OPG
) -> tuple[object, int, int]:
    """Where the walk comes to when everything is shown in its last second: what was found, the
    rounds it took, and the deposits."""
    program, encoded = run.program, encode(run.program)
    own = commit(program, encoded.root, run.trace)
    hidden = commit(program, encoded.root, theirs)
    posted = result(run, theirs)
    shown: list[Opening] = []
    spent = made = taken = 0
    while True:
        claim = None
        if shown:
            claim = claim_of(program, encoded.root, hidden.trace_root, hidden.rows, shown[0])
        prover = laid_over(
            program, encoded, run.trace, own, shown, claim, MOST_BYTES // program.leaf_bytes
        )
        step = next_step(prover, message(run), posted, run.trace)
        if not isinstance(step, Wanted) or taken == rounds:
            return step, taken, spent
        unit = UNIT * (1 + made // 16)
        means = Means(rounds - taken, budget - spent, unit, made, MOST_BYTES)
        wanted = planned(program, step, prover.whole, [], means, ahead=True)
        assert wanted, "there is something to pay for"
        for one in wanted:
            leaves = one.leaves
            assert leaves.count * program.leaf_bytes <= MOST_BYTES
            shown.append(
                open_trace(
                    program,
                    theirs,
                    hidden,
                    row=leaves.row,
                    tensor=leaves.tensor,
                    first=leaves.first,
                    count=leaves.count,
                )
            )
        spent += sum(one.deposit for one in wanted)
        made += len(wanted)
        taken += 1


def matters(run: Sample, theirs: Trace) -> bool:
    """Whether a lie moves the result by more than another machine's rounding could."""
    said, mine = (np.frombuffer(result(run, one), np.uint8) for one in (theirs, run.trace))
    if np.array_equal(said, mine):
        return False
    gaps = [
        np.abs(one[tensor].astype(np.float64) - other[tensor].astype(np.float64)).max()
        for one, other in zip(theirs.rows, run.trace.rows, strict=True)
        for tensor in run.program.outputs
    ]
    return max(gaps) > 1e-4


@pytest.mark.parametrize(
    ("name", "rounds", "most_opg"),
    [
        ("digits-residual", 6, 10),
        ("digits-residual", 2, 200),
        ("digits-encoder", 13, 30),
        ("digits-encoder", 6, 100),
    ],
)
def test_a_deep_program_is_walked_in_a_few_rounds_wherever_the_lie_is(
    name: str, rounds: int, most_opg: int
) -> None:
    run = sample(name)
    depth = program_depth(run.program)
    assert depth > 7 * rounds
    numbers = range(0, len(run.program.instructions), len(run.program.instructions) // 8)
    tried = 0
    for number in numbers:
        theirs = lying(run, number, run.program.instructions[number].size // 2)
        if not matters(run, theirs):
            continue
        tried += 1
        found, taken, spent = walked(run, theirs, rounds=rounds)
        assert isinstance(found, Accusation), (number, found, taken)
        assert isinstance(found.proof, ElementProof)
        assert found.proof.record.number == number + 1
        assert fits(found.proof), "of what was shown whole, a proof takes what it needs"
        assert spent <= most_opg * OPG
    assert tried >= 4


def test_with_time_enough_a_step_costs_a_small_demand() -> None:
    run = sample("digits-mlp")
    theirs = lying(run, 2, 3)
    found, taken, spent = walked(run, theirs, rounds=100)
    assert isinstance(found, Accusation), found
    assert taken <= 9
    assert spent <= OPG


def test_what_follows_from_what_was_shown_is_explained_and_the_lie_is_not() -> None:
    run = sample("digits-mlp")
    program, encoded = run.program, encode(run.program)
    number = next(
        place for place, one in enumerate(program.instructions) if one.opcode is Opcode.DOT
    )
    theirs = lying(run, number)
    own, hidden = (commit(program, encoded.root, one) for one in (run.trace, theirs))

    def unexplained(*tensors: int) -> set[int]:
        """Of the tensors shown whole, those that do not follow from the others."""
        shown = [open_trace(program, theirs, hidden, row=0, tensor=tensor) for tensor in tensors]
        claim = claim_of(program, encoded.root, hidden.trace_root, 2, shown[0])
        prover: RevealedProver = laid_over(
            program, encoded, run.trace, own, shown, claim, MOST_BYTES
        )
        follows = explained(prover, run.trace)
        return {
            tensor
            for tensor in tensors
            if not np.allclose(theirs.rows[0][tensor], follows.rows[0][tensor], atol=1e-6)
        }

    lie = program.instructions[number].output
    after = program.instructions[number + 1].output
    assert unexplained(lie) == {lie}
    assert unexplained(*program.inputs, lie, after) == {lie}
    assert unexplained(*program.inputs, after) == {after}


def test_waypoints_cut_a_chain_in_the_middle_and_skip_what_is_too_large() -> None:
    program = sample("digits-mlp").program
    (end, *_) = program.outputs
    among = suspects(program, end, ())
    size = len(among)
    (middle,) = waypoints(program, end, (), count=1, most_bytes=MOST_BYTES)
    left = suspects(program, end, (middle,))
    assert max(len(left), len(suspects(program, middle, ()))) <= size // 2 + 2
    assert len(waypoints(program, end, (), count=3, most_bytes=MOST_BYTES)) == 3
    assert waypoints(program, end, (), count=3, most_bytes=1) == []
    assert levels(program, end, among) <= program_depth(program)
    assert levels(program, end, frozenset((end,))) == 1


def test_as_many_waypoints_as_the_rounds_leave_no_other_way() -> None:
    assert lookahead(2, 2, 1) == 0, "the next step is as good"
    assert lookahead(117, 107, 100) == 1, "which halves them"
    assert lookahead(117, 107, 9) == 1
    assert lookahead(117, 107, 5) == 4
    assert lookahead(117, 107, 1) == 8


def test_rounds_end_where_the_last_window_would_be_cut_short() -> None:
    assert rounds_left(0, 100, 51) == 0
    assert rounds_left(0, 100, 50) == 1
    day = 86_400
    assert rounds_left(0, 3 * day + 3_600, 6 * 3_600) == 11
    assert rounds_left(0, 3 * day + 3_600, 3_600) == 71


def test_runs_are_joined_where_that_is_cheaper_and_small_tensors_are_whole() -> None:
    program = sample("digits-encoder").program
    large = next(
        number for number, one in enumerate(program.tensors) if one.byte_count == MOST_BYTES
    )
    small = next(number for number, one in enumerate(program.tensors) if one.byte_count < 4_096)
    near = [Leaves(0, large, 2, 1), Leaves(0, large, 4, 1)]
    assert joined(program, near, MOST_BYTES) == [Leaves(0, large, 2, 3)]
    far = [Leaves(0, large, 2, 1), Leaves(0, large, 60, 1)]
    assert joined(program, far, MOST_BYTES) == far
    (whole,) = joined(program, [Leaves(0, small, 0, 1)], MOST_BYTES)
    assert whole.count == math.ceil(program.tensors[small].byte_count / program.leaf_bytes)
    assert covers(whole, Leaves(0, small, 0, 1))
    assert not covers(Leaves(0, small, 0, 1), Leaves(1, small, 0, 1))


def test_the_price_is_that_of_the_contract_and_the_budget_holds() -> None:
    means = Means(rounds=5, budget=10 * UNIT, unit=UNIT, made=15, most_bytes=MOST_BYTES)
    assert [means.price(1, before) for before in range(3)] == [UNIT, 4 * UNIT, 8 * UNIT]
    program = sample("digits-mlp").program
    step = Wanted(tuple(Leaves(0, tensor, 0, 1) for tensor in range(4)), 0, program.outputs[0])
    wanted = planned(program, step, (), (), means, ahead=False)
    assert [one.deposit for one in wanted] == [UNIT, 4 * UNIT]
    assert planned(program, step, (), [one.leaves for one in wanted], means, ahead=False) == [
        *planned(program, Wanted(step.leaves[2:], 0, 0), (), (), means, ahead=False)
    ]
