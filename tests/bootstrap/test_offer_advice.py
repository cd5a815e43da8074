"""What is said of a standing offer that will not do what its operator wants."""

from __future__ import annotations

from dataclasses import replace

from oracle.bootstrap.offer_advice import (
    FullRequest,
    default_min_time,
    least_bond,
    never_matched,
    of_places,
    of_reveal_window,
    of_run_time,
    of_stake,
    of_traces,
)
from oracle.core.model import Model
from oracle.core.operator import Offer
from oracle.core.types import Tier
from oracle.settings import Settings
from tests.service.fakes import model

OPG = 10**18
MODEL = replace(model(), terms=replace(model().terms, min_bond=10 * OPG, challenge_window=60))
GOOD = Offer(OPG, 40 * OPG, 4, 30, 60, 0)


def test_an_offer_that_requests_can_match_is_not_spoken_of() -> None:
    assert list(never_matched(MODEL, GOOD)) == []
    assert of_stake(GOOD, 160 * OPG) is None


def test_the_least_bond_is_the_models_or_so_many_fees() -> None:
    assert least_bond(MODEL, GOOD) == 20 * OPG
    assert least_bond(MODEL, replace(GOOD, price=0)) == 10 * OPG
    (free,) = never_matched(MODEL, replace(GOOD, price=0, max_bond=10 * OPG - 1))
    assert "--max-bond 10 or more" in free.next_step
    (dear,) = never_matched(MODEL, replace(GOOD, price=3 * OPG))
    assert "--max-bond 60 or more" in dear.next_step


def test_a_window_that_is_too_short_for_the_model_is_named() -> None:
    (short,) = never_matched(MODEL, replace(GOOD, max_window=59))
    assert ("is 60 s" in short.what, "--max-window 60" in short.next_step) == (True, True)


def test_stake_for_fewer_places_is_a_note_and_for_none_of_the_largest_a_warning() -> None:
    note = of_stake(GOOD, 159 * OPG)
    assert note is not None
    assert (note.note, note.as_facts()["kind"]) == (True, "note")
    assert "enough for 3 of its 4 places" in note.what
    warning = of_stake(GOOD, 39 * OPG)
    assert warning is not None
    assert warning.as_facts()["kind"] == "warning"


def test_a_window_in_which_no_node_could_show_its_trace_is_warned_of() -> None:
    def revealing(seconds: int, tier: Tier = Tier.ROUNDED) -> Model:
        return replace(MODEL, terms=replace(MODEL.terms, tier=tier, reveal_window=seconds))

    assert of_reveal_window(revealing(300)) is None
    assert of_reveal_window(revealing(0, Tier.UNPROVEN)) is None
    warning = of_reveal_window(revealing(1))
    assert warning is not None
    assert "within 1 s" in warning.what
    assert not warning.note


def test_the_shortest_time_by_default_leaves_time_for_a_stuck_transaction() -> None:
    usual = Settings()
    bump, margin = usual.bump_seconds, usual.answer_margin_seconds
    assert default_min_time(bump, margin, 0, local=False) == 120
    assert default_min_time(bump + 0.5, margin + 30, 0, local=False) == 151
    assert default_min_time(bump, margin, 3, local=False) == 156, "seen three blocks later"
    assert default_min_time(bump, margin, 0, local=True) == 30


def test_a_run_that_the_nodes_limit_ends_is_warned_of_with_a_limit_that_suffices() -> None:
    full = FullRequest(rows=1_024, seconds=80.0, trace_bytes=0)
    assert of_run_time(MODEL, full, 80.0) is None
    warning = of_run_time(MODEL, full, 60.0)
    assert warning is not None
    assert (warning.note, "of 1,024 rows, takes about 80 s here" in warning.what) == (False, True)
    assert "set inference_timeout_seconds to 120 or more" in warning.next_step
    assert "--max-rows 512" in warning.next_step, "which leave room, too"
    single = of_run_time(MODEL, FullRequest(1, 80.0, 0), 60.0)
    assert single is not None
    assert "of one row" in single.what
    assert "--max-rows" not in single.next_step


def test_more_places_than_can_be_answered_in_time_are_warned_of_with_numbers() -> None:
    offer = replace(GOOD, capacity=16, min_time=120)
    full = FullRequest(rows=10, seconds=3.75, trace_bytes=0)
    assert of_places(MODEL, offer, full, 60) is None
    warning = of_places(MODEL, offer, replace(full, seconds=4.0), 60)
    assert warning is not None
    assert "take 64 s, and may have 120 s" in warning.what
    assert "--capacity 15 or --min-time 124" in warning.next_step
    for better in (replace(offer, capacity=15), replace(offer, min_time=124)):
        assert of_places(MODEL, better, replace(full, seconds=4.0), 60) is None
    none = of_places(MODEL, offer, replace(full, seconds=70.0), 60)
    assert none is not None
    assert "--min-time 1180, or --capacity 1 --min-time 130" in none.next_step
    one = of_places(MODEL, replace(offer, capacity=1), replace(full, seconds=70.0), 60)
    assert one is not None
    assert one.next_step == "set it again with --min-time 130"


def test_a_margin_longer_than_the_shortest_time_does_not_speak_of_small_models() -> None:
    local = replace(GOOD, capacity=16, min_time=30)
    assert of_places(MODEL, local, FullRequest(1_024, 0.1, 0), 60) is None
    assert of_places(MODEL, local, FullRequest(1_024, 1.0, 0), 60) is not None


def test_places_have_less_time_where_requests_are_seen_later() -> None:
    offer, full = replace(GOOD, capacity=16, min_time=120), FullRequest(10, 3.75, 0)
    assert of_places(MODEL, offer, full, 60, 0) is None
    warning = of_places(MODEL, offer, full, 60, 2)
    assert warning is not None
    assert "--capacity 9 or --min-time 144" in warning.next_step
    for better in (replace(offer, capacity=9), replace(offer, min_time=144)):
        assert of_places(MODEL, better, full, 60, 2) is None
    never = of_places(MODEL, offer, full, 60, 6)
    assert never is not None
    assert "--min-time 192, or --capacity 1 --min-time 136" in never.next_step


def test_traces_of_all_that_the_stake_can_back_are_noted_where_they_have_no_room() -> None:
    full = FullRequest(rows=10, seconds=0.1, trace_bytes=3 << 20)
    assert of_traces(MODEL, GOOD, 199 * OPG, full, 27 << 20) is None, "nine of 20 OPG each"
    note = of_traces(MODEL, GOOD, 200 * OPG, full, 27 << 20)
    assert note is not None
    assert note.note
    assert "backs 10 requests" in note.what
    assert "3.0 MiB each" in note.what
    assert "room for 9 of them" in note.what
    assert f"trace_budget_bytes to {30 << 20} " in note.next_step
    assert of_traces(MODEL, GOOD, 200 * OPG, replace(full, trace_bytes=0), 0) is None
    bondless = replace(MODEL, terms=replace(MODEL.terms, min_bond=0))
    free = replace(GOOD, price=0)
    assert of_traces(bondless, free, OPG, full, 0) is None, (
        "no stake limits them, no room is enough"
    )
