"""A line for each change of a job, also of those that are saved together with a transaction."""

from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from oracle.core.job import TRANSITIONS, JobState, Trigger
from oracle.ports.jobs import JobMove
from oracle.service import journal
from oracle.service.transact import SENT, UNDONE
from tests.service.fakes import Jobs

OF_TRANSACTIONS = {*SENT.values(), *(trigger for _, trigger in UNDONE.values()), Trigger.DECLINE}


@pytest.mark.parametrize("trigger", sorted(OF_TRANSACTIONS))
def test_it_is_known_where_a_transactions_moves_lead(trigger: Trigger) -> None:
    ends = {end for (_, one), end in TRANSITIONS.items() if one is trigger}
    assert ends == {journal.LEADS_TO[trigger]}


def test_moves_are_logged_with_the_state_they_lead_to() -> None:
    with capture_logs() as lines:
        journal.moved(
            [
                JobMove(b"\x01" * 32, Trigger.ANSWER_SENT),
                JobMove(b"\x02" * 32, Trigger.ANSWER_FAILED, {"reason": "reverted"}),
            ]
        )
    told = [(one["event"], one["request"], one["state"], one.get("reason")) for one in lines]
    assert told == [
        ("job", "0x0101010101", "answering", None),
        ("job", "0x0202020202", "computed", "reverted"),
    ]


@pytest.mark.parametrize(
    ("state", "loud"),
    [(JobState.FAILED, "GIVEN UP"), (JobState.DEFAULTED, "DEFAULTED"), (JobState.SLASHED, "CONV")],
)
def test_what_costs_money_is_loud_however_it_came_about(state: JobState, loud: str) -> None:
    lost = Jobs().add(state, reason="the deadline passed before it was posted")
    with capture_logs() as lines:
        journal.record([lost, replace(lost, state=JobState.SETTLED)])
    (told,) = [one for one in lines if one["log_level"] == "critical"]
    assert told["event"].startswith(loud)
    assert told["request"] == journal.short(lost.request_id)


def test_what_leads_to_several_states_is_not_guessed() -> None:
    assert Trigger.POSTPONE not in journal.LEADS_TO
    assert Trigger.RETRY not in journal.LEADS_TO
