"""What a watcher accuses of, the contract convicts: from whole traces, and from pieces of them."""

from __future__ import annotations

import numpy as np
import pytest

from oracle.court.accusation import Accusation, accuse, accuse_without_rows, wrong_rows
from oracle.court.commitment import commit, no_rows_root
from oracle.court.proof import TraceClaim
from oracle.court.verdict import Outcome
from oracle.program.encoding import encode
from oracle.program.instruction import Trace
from tests.contracts.courtroom import Courtroom, claim_of, committed
from tests.contracts.harness import Answer, Chain
from tests.court.test_accusation import message, moved, result
from tests.court.test_walk import cheap, walk
from tests.court_suite.sample_runs import Sample, sample, traced

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(0)]

VIOLATED = Answer(Outcome.VIOLATED)


@pytest.fixture(scope="module")
def courtroom(court_chain: Chain) -> Courtroom:
    return Courtroom(court_chain)


def convicted(
    courtroom: Courtroom, run: Sample, found: Accusation | None, trace: Trace, posted: bytes
) -> None:
    assert found is not None
    claim = claim_of(committed(run.program, trace), message(run), posted)
    assert courtroom.judge(claim, [found.proof]) == [VIOLATED], found.what


def test_whole_traces(courtroom: Courtroom) -> None:
    run = sample("digits-logistic")
    encoded = encode(run.program)
    one = Trace(run.trace.rows[:1])
    other_input = traced(run.loaded, {k: v[:, ::-1].copy() for k, v in run.inputs.items()})
    theirs = cheap(run)
    for trace, posted in (
        (one, result(run, one)),
        (other_input, result(run, other_input)),
        (run.trace, result(run)[:-1] + b"\x55"),
        (run.trace, result(run)[:-1]),
        (run.trace, b""),
        (theirs, result(run, theirs)),
        (moved(run.trace, 1, len(run.program.inputs), 0), result(run)),
    ):
        commitment = commit(run.program, encoded.root, trace)
        found = accuse(run.program, encoded, message(run), posted, trace, commitment)
        convicted(courtroom, run, found, trace, posted)


@pytest.mark.parametrize("name", ["digits-logistic", "digits-mlp"])
def test_pieces(courtroom: Courtroom, name: str) -> None:
    run = sample(name)
    theirs = cheap(run)
    other_input = traced(run.loaded, {k: v[:, ::-1].copy() for k, v in run.inputs.items()})
    for trace, posted in (
        (theirs, result(run, theirs)),
        (other_input, result(run, other_input)),
        (run.trace, result(run)[:-1]),
        (run.trace, b""),
    ):
        found, _ = walk(run, posted, trace)
        assert isinstance(found, Accusation)
        convicted(courtroom, run, found, trace, posted)


def test_rows_of_what_is_malformed(courtroom: Courtroom) -> None:
    run = sample("digits-logistic")
    encoded = encode(run.program)
    none = Trace(())
    lazy = accuse_without_rows(run.program, encoded, message(run), b"", no_rows_root(encoded.root))
    convicted(courtroom, run, lazy, none, b"")
    told = TraceClaim(2, committed(run.program, run.trace).claim.tree_root)
    hollow = np.frombuffer(message(run), np.float32).copy()
    hollow[0] = np.inf
    found = wrong_rows(run.program, encoded, hollow.tobytes(), told)
    assert found is not None
    claim = claim_of(committed(run.program, run.trace), hollow.tobytes(), b"")
    assert courtroom.judge(claim, [found.proof]) == [VIOLATED]
