"""Every state is explained, and what costs money is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from oracle.core.explanation import explain, objection_to_retry, reason_of
from oracle.core.job import TRANSITIONS, Job, JobState, Trigger
from oracle.core.transaction import (
    Attempt,
    Call,
    Fees,
    Purpose,
    SendOutcome,
    Transaction,
    TransactionState,
)
from oracle.core.types import Address, format_opg
from oracle.storage.conversion import job_of_event
from tests.storage.building import seen

NOW = 1_000_000.0
BOUND = (JobState.ACCEPTED, JobState.COMPUTED, JobState.ANSWERING)


def job(state: JobState, **changes: object) -> Job:
    made = job_of_event(seen(1), NOW)
    request = replace(made.request, deadline=int(NOW) + 90)
    return replace(made, request=request, state=state, accepted=state in BOUND, **changes)  # type: ignore[arg-type]


def sent(attempts: int) -> Transaction:
    fees = [Fees(10**9 * (number + 1), 1) for number in range(attempts)]
    tried = tuple(Attempt(b"\1" * 32, b"", one, NOW - 5, NOW - 5, None) for one in fees)
    nobody = Address("0x" + "11" * 20)
    return Transaction(
        1, nobody, 7, Purpose.ANSWER, Call(nobody, b"", 1), (), TransactionState.OPEN, tried, None,
        NOW - 30,
    )  # fmt: skip


@pytest.mark.parametrize("state", list(JobState))
def test_every_state_says_where_it_is_and_what_comes(state: JobState) -> None:
    told = explain(job(state), [], NOW)
    assert told.stands
    assert told.next


@pytest.mark.parametrize("state", list(JobState))
def test_what_silence_costs_is_said_exactly_where_we_are_bound(state: JobState) -> None:
    told = explain(job(state), [], NOW).at_stake
    assert (told is not None) == (state in (*BOUND, JobState.FAILED))
    if told is not None:
        assert (
            told
            == f"silence costs {format_opg(2 * job(state).request.fee)} OPG of the stake in 90 s"
        )
        late = explain(job(state), [], NOW + 91)
        assert "slashed once anybody reclaims the fee" in (late.at_stake or "")
        assert "oracle job retry" not in (late.can_do or "")
        if state is not JobState.ANSWERING:
            assert objection_to_retry(job(state), NOW + 91) is not None
            assert "oracle reclaim 0x" in (late.can_do or "")


def test_a_transaction_on_its_way_is_told_of() -> None:
    told = explain(job(JobState.ANSWERING), [sent(2)], NOW)
    assert "nonce 7 waits to be mined since 30 s, 2 attempts, the last at 2 gwei" in told.next
    assert "oracle tx bump" in (told.can_do or "")


REFUSED: dict[str, Any] = {"outcome": SendOutcome.REFUSED, "reason": "underpriced"}
UNFUNDED: dict[str, Any] = {"outcome": SendOutcome.UNFUNDED, "reason": "Insufficient funds for gas"}


def refused(sending: Transaction, how: dict[str, Any]) -> Transaction:
    return replace(sending, attempts=tuple(replace(one, **how) for one in sending.attempts))


def test_what_silence_costs_is_never_more_than_the_bond() -> None:
    bound = job(JobState.ACCEPTED)
    small = replace(bound, request=replace(bound.request, fee=10**18, bond=15 * 10**17))
    assert explain(small, [], NOW).at_stake == "silence costs 1.5 OPG of the stake in 90 s"


@pytest.mark.parametrize("state", [JobState.ACCEPTING, JobState.ANSWERING, JobState.SETTLING])
def test_what_the_endpoints_refuse_was_not_sent(state: JobState) -> None:
    sending = refused(sent(2), UNFUNDED)
    told = explain(job(state), [sending], NOW)
    assert "signed, but the endpoints refuse it: 0x1111" in told.stands
    assert "too little coin; send it 0.000000002 or more" in told.stands
    assert "waits to be mined" not in told.next
    assert (told.can_do or "").startswith("send 0.000000002 of the chain's coin to 0x1111")
    assert "too little coin" in (reason_of(job(state), [sending]) or "")
    told = explain(job(state), [refused(sent(1), REFUSED)], NOW)
    assert told.stands.endswith("signed, but the endpoints refuse it: underpriced")


def test_what_may_be_in_a_pool_is_not_called_refused() -> None:
    answering = job(JobState.ANSWERING)
    first, second = sent(2).attempts
    taken = replace(first, outcome=SendOutcome.ACCEPTED)
    dearer = replace(sent(2), attempts=(taken, replace(second, **UNFUNDED)))
    assert "waits to be mined" in explain(answering, [dearer], NOW).next
    assert reason_of(answering, [dearer]) is None
    mined = replace(refused(sent(1), UNFUNDED), state=TransactionState.MINED)
    assert "refuse" not in explain(answering, [mined], NOW).stands


def test_a_reason_and_its_attempts_are_told_of() -> None:
    failing = job(JobState.ACCEPTED, reason="the model took too long", attempts=3)
    told = explain(replace(failing, not_before=NOW + 20), [], NOW)
    assert told.stands == "we are bound to answer: the model took too long (tried 3 times)"
    assert told.next == "the model is run in 20 s"
    assert "oracle job retry" in (told.can_do or "")


@pytest.mark.parametrize("state", list(JobState))
def test_what_may_be_tried_again_has_an_edge_for_it(state: JobState) -> None:
    allowed = objection_to_retry(job(state), NOW) is None
    has_edge = any((state, one) in TRANSITIONS for one in (Trigger.RETRY, Trigger.POSTPONE))
    assert allowed == has_edge


def test_what_is_too_late_is_not_tried_again() -> None:
    assert objection_to_retry(job(JobState.FAILED), NOW + 91) == "its deadline passed 1 s ago"
