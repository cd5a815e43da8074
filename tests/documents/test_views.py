"""docs/views.md, typed as it stands: an answer is viewed, posted, paid for, and had from Python."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.documents import play
from tests.support.failures import thorough

ROOT = Path(__file__).resolve().parents[2]


@thorough
@pytest.mark.anvil
@pytest.mark.timeout(1800)
def test_the_page_on_views_works(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "models").symlink_to(ROOT / "models")
    (checkout / ".venv").symlink_to(sys.prefix)
    anvil = {"ORACLE_ANVIL": os.environ["ORACLE_ANVIL"]} if "ORACLE_ANVIL" in os.environ else {}
    played = play(ROOT / "docs" / "views.md", checkout, environment=anvil, seconds=300)
    assert "contradicted" in played.output
    assert "--max-price 0.01" in played.output, "what a view without a price agreed to says"
    assert (checkout / "receipt.json").is_file()
