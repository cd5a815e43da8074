"""Limits that are written down here and in the contracts are the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oracle.core.receipt import MAX_ANSWER_BATCH
from oracle.court.message import MAX_RESULT_BYTES
from oracle.settings import Settings

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts" / "src"


def constant(file: str, name: str) -> int:
    (value,) = re.findall(rf"constant {name} = ([0-9_]+);", (CONTRACTS / file).read_text())
    return int(value)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("InferenceOracle.sol", "MAX_RESULT_BYTES"),
        ("court/FraudVerifier.sol", "MAX_RESULT_BYTES"),
        ("periphery/AnswerViews.sol", "MAX_BYTES"),
    ],
)
def test_every_contract_takes_results_of_the_same_length(file: str, name: str) -> None:
    assert constant(file, name) == MAX_RESULT_BYTES


def test_no_node_may_be_set_to_post_more_answers_at_once_than_the_oracle_takes() -> None:
    assert constant("InferenceOracle.sol", "MAX_ANSWER_BATCH") == MAX_ANSWER_BATCH
    assert Settings(answer_batch=MAX_ANSWER_BATCH).answer_batch == MAX_ANSWER_BATCH
    with pytest.raises(ValueError, match="answer_batch"):
        Settings(answer_batch=MAX_ANSWER_BATCH + 1)
