"""The dispute bench: gas is what the snapshot says, and a wrong answer of a model is convicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.bench.dispute import snapshot
from tests.bench.test_bench import bench
from tests.support.failures import thorough

SNAPSHOT = Path(__file__).parents[2] / "snapshots" / "dispute.json"
REFRESH = f"oracle bench dispute --rows-only --snapshot snapshots/{SNAPSHOT.name}"


@pytest.mark.anvil
def test_gas_of_single_elements_is_the_snapshots(tmp_path: Path) -> None:
    facts = bench(tmp_path, "dispute", "--rows-only")
    assert "models" not in facts
    assert snapshot(facts) == SNAPSHOT.read_text(), f"meant? {REFRESH}"
    for row in facts["rows"]:
        assert row["ok"], row
        assert row["announce"] < row["judge"] < row["prove"]
        # At the floor only calldata counts, and what is not announced has no salt.
        assert row["floor"] or row["prove"] < row["prove_unannounced"]
        assert 0 < row["prove_calldata"] < row["prove"]


@pytest.mark.anvil
@thorough
def test_a_wrong_answer_is_convicted_and_timed(tmp_path: Path) -> None:
    facts = bench(tmp_path, "dispute", "--models", "wine-forest")
    (one,) = facts["models"]
    assert one["model"] == facts["announced"]["model"] == "wine-forest"
    assert one["found"].startswith("TREE ")
    assert one["proof_bytes"] > 1_000
    assert one["gas"] > 100_000
    assert one["blocks"] >= 1
    parts = one["detection_seconds"] + one["transaction_seconds"]
    assert one["total_seconds"] == pytest.approx(parts)
    waited = facts["announced"]["total_seconds"] - facts["announced"]["detection_seconds"]
    assert waited >= facts["announcement_seconds"]
    assert facts["published_elsewhere"]
