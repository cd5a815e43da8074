"""What is said of a standing offer that will not do what its operator wants."""

from __future__ import annotations

from dataclasses import replace

from oracle.bootstrap.offer_advice import least_bond, never_matched, of_reveal_window, of_stake
from oracle.core.model import Model
from oracle.core.operator import Offer
from oracle.core.types import Tier
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
