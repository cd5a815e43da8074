"""The transition table: closed, live and free of dead ends."""

import pytest

from oracle.core.job import TRANSITIONS, JobState, Trigger, advance, can_advance
from oracle.errors import IllegalTransition

HAPPY_PATH = [
    (Trigger.ADMIT, JobState.ADMITTED),
    (Trigger.ACCEPT_SENT, JobState.ACCEPTING),
    (Trigger.ACCEPTED_BY_US, JobState.ACCEPTED),
    (Trigger.COMPUTED, JobState.COMPUTED),
    (Trigger.ANSWER_SENT, JobState.ANSWERING),
    (Trigger.ANSWERED, JobState.ANSWERED),
    (Trigger.SETTLE_SENT, JobState.SETTLING),
    (Trigger.SETTLED, JobState.SETTLED),
]


def test_an_open_request_goes_all_the_way() -> None:
    state = JobState.SEEN
    for trigger, expected in HAPPY_PATH:
        state = advance(state, trigger)
        assert state is expected


def test_every_trigger_is_used_and_every_state_is_reached() -> None:
    assert {trigger for _, trigger in TRANSITIONS} == set(Trigger)
    assert set(TRANSITIONS.values()) == set(JobState)


def test_only_the_chain_or_the_operator_moves_a_terminal_job() -> None:
    allowed = {
        Trigger.RETRY,
        Trigger.ACCEPT_UNMINED,
        Trigger.END_UNMINED,
        Trigger.ORPHANED,
        Trigger.ANSWER_UNMINED,
        Trigger.SETTLE_UNMINED,
        Trigger.ACCEPTED_BY_US,
        Trigger.ANSWERED,
        Trigger.DEFAULTED,
    }
    for state in JobState:
        if state.terminal:
            moves = {trigger for start, trigger in TRANSITIONS if start is state}
            assert moves <= allowed, state


def test_every_live_state_can_end() -> None:
    for start in JobState:
        if start.terminal:
            continue
        reached, frontier = {start}, [start]
        while frontier:
            here = frontier.pop()
            for (state, _), target in TRANSITIONS.items():
                if state is here and target not in reached:
                    reached.add(target)
                    frontier.append(target)
        assert any(state.terminal for state in reached), start


def test_no_edge_answers_without_a_result() -> None:
    for (state, trigger), target in TRANSITIONS.items():
        if target is JobState.ANSWERING and trigger is Trigger.ANSWER_SENT:
            assert state is JobState.COMPUTED


def test_illegal_transition_names_both_ends() -> None:
    with pytest.raises(IllegalTransition, match=r"seen cannot take answer_sent"):
        advance(JobState.SEEN, Trigger.ANSWER_SENT)
    assert not can_advance(JobState.SETTLED, Trigger.ADMIT)
