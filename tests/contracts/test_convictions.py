"""Every committed tensor of the sample models in turn, wrong by the least that is wrong: one
transaction on a whole deployment convicts. Wrong by less, it fails.

An element is moved to the first value beyond the end of its bound, and to the last one within it.
What has no room to move in is moved beyond only: integers, bools and selections by one unit, floats
that are exact or correctly rounded by one in the last place; of a zero the other zero is within. Of
an input, any other value is beyond.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import pytest

from oracle.core.request import RequestState
from oracle.core.types import Tier
from oracle.court.proof import FraudKind, Proof
from oracle.court.proving import Prover
from tests.contracts.convictions import SHARE, Docket, Trial
from tests.contracts.edges import edge_at, edge_of, neighbour
from tests.contracts.forgery import with_element
from tests.contracts.harness import WHOLE_CASES, case_count
from tests.contracts.message_runs import message_of
from tests.contracts.test_models import FORGED_ROW, RUNS, honest
from tests.court_suite.forging import bits_of, spread
from tests.court_suite.sample_runs import sample
from tests.support.scene import BOND, Scene

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(0)]

WHOLE: Final = case_count() >= WHOLE_CASES
SIGNS: Final = (1, -1)
"""Ends of a bound; in a small run tensors take turns."""
ELEMENTS: Final = 8 if WHOLE else 0
"""Of each tensor, besides the one that is chosen for its room to move in."""
LOOKED_AT: Final = 1_024 if WHOLE else 16
"""For such a one."""
WITHOUT_ROOM: Final = ("diabetes-xgboost", "wine-forest")
"""Tree models that only look up and sum, correctly rounded: any other value is beyond."""
WITHIN: Final = ("NotViolated", {"verdict": "Within"})


class Kind(IntEnum):
    """Of a move: only what is beyond the bound is a fraud."""

    BEYOND = 0
    WITHIN = 1
    ZERO = 2


@dataclass(frozen=True, slots=True)
class Move:
    """An answer with another value in one element, and the proof of that element."""

    forged: Prover
    proof: Proof
    kind: Kind


@dataclass
class Tally:
    """What became of the moves. `gas` is of each conviction; `unjudged` the tensors without one."""

    tensors: int = 0
    within: int = 0
    zeros: int = 0
    gas: list[int] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.tensors} tensors, {len(self.gas)} convictions of {min(self.gas):,} to "
            f"{max(self.gas):,} gas; refused: {self.within} moves within the bound, "
            f"{self.zeros} to the other zero"
        )


@pytest.mark.parametrize(("name", "tier"), RUNS)
async def test_each_tensor_in_turn(scene: Scene, name: str, tier: Tier) -> None:
    prover = honest(name, tier)
    docket = await Docket.open(scene, prover, sample(name, tier).compiled.schema, name)
    tally = Tally()
    for tensor in tensors(prover):
        before = len(tally.gas)
        for move in moves(prover, tensor):
            trial = docket.accuse(move.forged, move.proof)
            if move.kind is Kind.BEYOND:
                assert_convicted(trial, docket)
                tally.gas.append(trial.gas)
            else:
                assert_refused(trial)
                tally.within += move.kind is Kind.WITHIN
                tally.zeros += move.kind is Kind.ZERO
        tally.tensors += 1
        if len(tally.gas) == before:
            tally.unjudged.append(why_unjudged(prover, tensor))
    print(f"{name} {tier.name}: {tally}")
    assert not tally.unjudged, "the court convicts nobody of any element of these"
    assert tally.within or name in WITHOUT_ROOM


@pytest.mark.parametrize(("name", "tier"), RUNS)
async def test_an_honest_answer_stands(scene: Scene, name: str, tier: Tier) -> None:
    """Against a proof of an element of each tensor; `test_models` has whole traces."""
    prover = honest(name, tier)
    docket = await Docket.open(scene, prover, sample(name, tier).compiled.schema, name)
    proofs: list[Proof] = [
        prover.element(FORGED_ROW, number, step.size // 2)
        for number, step in enumerate(prover.program.instructions)
    ]
    proofs += [input_proof(prover, prover, tensor, 0) for tensor in prover.program.inputs]
    assert docket.refusals(prover, proofs) == [WITHIN] * len(proofs)
    assert_refused(docket.accuse(prover, proofs[0]))


def assert_convicted(trial: Trial, docket: Docket) -> None:
    assert trial.refused is None, trial
    assert trial.state is RequestState.SLASHED
    assert trial.stake_lost == BOND
    assert trial.proven is not None
    assert (trial.proven.watcher, trial.proven.held) == (docket.watcher, SHARE)
    assert (trial.share.holder, trial.share.amount) == (docket.watcher, SHARE)


def assert_refused(trial: Trial) -> None:
    assert trial.refused == WITHIN, trial
    assert (trial.state, trial.stake_lost) == (RequestState.ANSWERED, 0)


def tensors(prover: Prover) -> list[int]:
    """Every tensor that a trace commits to: inputs, and what each instruction gives."""
    program = prover.program
    made = [*program.inputs, *(step.output for step in program.instructions)]
    assert sorted(made) == list(range(len(program.tensors)))
    return made


def moves(prover: Prover, tensor: int) -> Iterator[Move]:
    """What is tried on a tensor, each once."""
    signs = SIGNS if WHOLE else (SIGNS[tensor % 2],)
    if tensor in prover.program.inputs:
        for sign in signs:
            yield input_move(prover, tensor, sign)
        return
    number = maker(prover, tensor)
    places = spread(prover.program.tensors[tensor].size, ELEMENTS) if ELEMENTS else []
    edges = [edge_of(prover, FORGED_ROW, number, sign, LOOKED_AT) for sign in signs]
    edges += [edge_at(prover, FORGED_ROW, number, at, sign) for at in places for sign in signs]
    tried = {
        (edge.position, claimed, kind)
        for edge in edges
        if edge is not None
        for kind, claimed in zip(Kind, (edge.beyond, edge.within, edge.zero), strict=True)
        if claimed is not None
    }
    for position, claimed, kind in sorted(tried):
        forged = with_element(prover, FORGED_ROW, tensor, position, claimed)
        yield Move(forged, forged.element(FORGED_ROW, number, position), kind)


def maker(prover: Prover, tensor: int) -> int:
    """The instruction that gives a tensor."""
    (number,) = (
        number for number, step in enumerate(prover.program.instructions) if step.output == tensor
    )
    return number


def why_unjudged(prover: Prover, tensor: int) -> str:
    verdict = prover.verdict(FORGED_ROW, maker(prover, tensor), 0)
    return f"{prover.program.tensors[tensor].name}: {verdict.reason}"


def input_move(prover: Prover, tensor: int, sign: int) -> Move:
    info = prover.program.tensors[tensor]
    position = info.size // 2
    honest = int(bits_of(prover.trace.rows[FORGED_ROW][tensor])[position])
    claimed = neighbour(info.element, honest, sign)
    forged = with_element(prover, FORGED_ROW, tensor, position, claimed)
    return Move(forged, input_proof(prover, forged, tensor, position), Kind.BEYOND)


def input_proof(prover: Prover, answered: Prover, tensor: int, position: int) -> Proof:
    """Of an input's element in a trace, against the request that an honest trace belongs to."""
    numbers = prover.program.inputs
    return answered.message(
        FraudKind.INPUT,
        message_of(numbers, prover.trace),
        row=FORGED_ROW,
        tensor=numbers.index(tensor),
        position=position,
    )
