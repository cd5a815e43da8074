"""What an answer is to people and to scripts, before and after it is final."""

from __future__ import annotations

import numpy as np
import pytest

from oracle.cli.request import answer_facts
from oracle.client import InferenceAnswer
from oracle.core.types import Address, Tier

OPERATOR = Address("0x" + "01" * 20)


def answer(*, result: bytes = b"1", tier: Tier = Tier.ROUNDED, final: bool) -> InferenceAnswer:
    outputs = {"label": np.array([7])} if result else {}
    return InferenceAnswer(bytes(32), OPERATOR, outputs, result, tier, final, 0)


@pytest.mark.parametrize("tier", [Tier.EXACT, Tier.ROUNDED, Tier.NATIVE])
def test_what_stands_behind_an_answer_changes_when_it_is_final(tier: Tier) -> None:
    name = tier.name.lower()
    early, late = answer(tier=tier, final=False), answer(tier=tier, final=True)
    assert early.backing == (
        f"{name} tier: one wrong element, shown while it is not final, voids it"
    )
    assert late.backing == f"{name} tier: it stands, as nobody showed a wrong element in its window"


def test_of_an_unproven_model_finality_changes_nothing() -> None:
    late = answer(tier=Tier.UNPROVEN, final=True).backing
    assert late == answer(tier=Tier.UNPROVEN, final=False).backing
    assert "the operator's signature and stake alone" in late


def test_people_are_told_where_there_is_no_output_and_scripts_always() -> None:
    some, none = answer(final=True), answer(result=b"", final=True)
    assert answer_facts(some, as_json=True)["answerable"] is True
    assert answer_facts(none, as_json=True)["answerable"] is False
    assert "answerable" not in answer_facts(some, as_json=False)
    said = answer_facts(none, as_json=False)["answerable"]
    assert "error_bar" in answer_facts(some, as_json=False)
    assert "error_bar" not in answer_facts(none, as_json=False)
    assert said == "no: the model gives no output for this input, or none that fits a transaction"
