"""The rows of a request before the contract, and of what is no request.

The mirror is `oracle.court.message`.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

import numpy as np
import pytest

from oracle.court.message import row_bytes, rows_of
from oracle.court.number import FORMATS
from oracle.court.proof import FraudKind
from oracle.court.verdict import Outcome
from oracle.program.instruction import Trace
from tests.contracts.courtroom import Courtroom, claim_of, committed
from tests.contracts.harness import Answer, Chain, case_count
from tests.contracts.message_runs import EMPTY, Run, joined, message_of, runs, struck
from tests.court_check.programs import Array

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(0)]

WITHIN: Final = Answer(Outcome.WITHIN)
VIOLATED: Final = Answer(Outcome.VIOLATED)


@pytest.fixture(scope="module")
def room(court_chain: Chain) -> Courtroom:
    return Courtroom(court_chain)


def test_rows_are_those_of_the_input(room: Courtroom) -> None:
    """Every number of rows against inputs that are right, malformed, or of other lengths."""
    seen = set()
    for run in (joined(), joined(rows=2, max_rows=2), joined(rows=1, max_rows=1), *runs()[2:4]):
        whole = run.prover.trace.rows
        for count in range(len(whole) + 1):
            prover = committed(run.program, Trace(whole[:count]), run.prover.encoded)
            for request in requests(run):
                rows = rows_of(run.program, request)
                claim = claim_of(prover, request, EMPTY)
                answers = room.judge(claim, [prover.length(FraudKind.ROWS, request)])
                assert answers == [WITHIN if rows == count else VIOLATED], (rows, count)
                seen.add((rows, count))
    # Too few, too many, none where there are some, some where there are none, and right ones.
    assert {(3, 2), (2, 3), (0, 0), (0, 2), (2, 0), (3, 3), (1, 1)} <= seen


def requests(run: Run) -> list[bytes]:
    """Inputs of every number of rows up to two too many, and broken ones."""
    rows = run.prover.trace.rows
    numbers = run.program.inputs
    right = [
        message_of(numbers, Trace((rows * 3)[:count]))
        for count in range(run.program.max_rows + 3)[:7]
    ]
    found = [*right, right[1][:-1], right[1] + b"\0", right[2][:-4], b"\0"]
    for number in numbers:
        for value in special(rows[0][number].dtype):
            broken = rows[-1][number].copy()
            broken[-1:] = value
            last = (*rows[-1][:number], broken, *rows[-1][number + 1 :])
            found.append(message_of(numbers, Trace((*rows[:-1], last))))
    return found


def special(kind: np.dtype[Any]) -> list[Array]:
    """Values that a request must not have, and the last that it may."""
    if kind == np.bool_:
        return [np.array([byte], np.uint8).view(np.bool_) for byte in (1, 2, 255)]
    if kind.kind != "f":
        return [np.array([-1], kind)]
    largest = np.finfo(kind).max
    return [np.array([value], kind) for value in (np.nan, np.inf, -np.inf, largest, -0.0)]


@pytest.mark.parametrize("tensor", [0, 3])
def test_each_bit_of_an_exponent_counts(room: Courtroom, tensor: int) -> None:
    """Infinity with a bit of its fraction set is forbidden, one without an exponent bit is not."""
    run, source = joined(), Random(4)
    info = run.program.tensors[run.program.inputs[tensor]]
    form, size = FORMATS[info.element], info.element.item_size
    offset = 3 * sum(run.program.tensors[n].byte_count for n in run.program.inputs[:tensor])
    for bit in range(form.width - 1):
        bits = form.infinity ^ (1 << bit) ^ source.choice((0, form.sign_bit))
        place = offset + size * source.randrange(3 * info.size)
        request = run.request[:place] + bits.to_bytes(size, "little") + run.request[place + size :]
        assert rows_of(run.program, request) == (0 if bit < form.fraction else 3)
        proof = run.prover.length(FraudKind.ROWS, request)
        answers = room.judge(claim_of(run.prover, request, EMPTY), [proof])
        assert answers == [VIOLATED if bit < form.fraction else WITHIN], bit


def test_what_is_forbidden_is_found_wherever_it_lies(room: Courtroom) -> None:
    """The contract looks at 32 bytes at a time: random bits, weighted to exponents of ones."""
    source = Random(1)
    run = joined()
    width = row_bytes(run.program, run.program.inputs)
    counts = {0: 0, 1: 0, 2: 0, 3: 0}
    for _ in range(case_count() // 8):
        request = bytearray(run.request[: width * source.randint(1, 3)])
        for _ in range(source.choice((0, 1, 1, 2))):
            place = source.randrange(len(request))
            piece = struck(source)[: source.choice((1, 2, 3, 4, 8))]
            request[place : place + len(piece)] = piece[: len(request) - place]
        message = bytes(request)
        rows = rows_of(run.program, message)
        counts[rows] += 1
        proof = run.prover.length(FraudKind.ROWS, message)
        answers = room.judge(claim_of(run.prover, message, EMPTY), [proof])
        assert answers == [WITHIN if rows == 3 else VIOLATED], message.hex()
    assert counts[0] > case_count() // 40, counts
