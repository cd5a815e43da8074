"""docs/operators-guide.md, typed as it stands: from an empty folder to earnings, and to the end."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.documents import blocks, play
from tests.documents.checkout import free_port
from tests.support.failures import thorough

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "operators-guide.md"

QUICK = {
    "ORACLE_POLL_SECONDS": "0.25",
    "ORACLE_SETTLE_SECONDS": "1",
    "ORACLE_HANDOVER_SECONDS": "1",
    "ORACLE_SIGNER_CHECK_SECONDS": "1",
}
"""The page has the defaults; waiting for them would test nothing more."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the page uses of a checkout, without its data."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "models").symlink_to(ROOT / "models")
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def test_all_but_what_changes_the_machine_is_typed() -> None:
    found = blocks(PAGE)
    typed = [one for one in found if one.kind != "shown"]
    headings = {one.heading for one in typed}
    assert headings >= {"Install", "Run", "First earnings", "Back up", "Another signer", "Stop"}
    assert len(typed) > 2 * (len(found) - len(typed))


@thorough
@pytest.mark.anvil
@pytest.mark.timeout(1800)
def test_the_guide_leads_to_earnings_and_to_the_end(checkout: Path) -> None:
    anvil = {"ORACLE_ANVIL": os.environ["ORACLE_ANVIL"]} if "ORACLE_ANVIL" in os.environ else {}
    played = play(
        PAGE,
        checkout,
        replace={"8545": free_port(), "9301": free_port()},
        environment={**QUICK, **anvil},
        seconds=300,
    )
    assert "up: the node is ready" in played.terminals["again"]
    assert "digits-mlp" in played.output
    # Not at a line's begin: the chain's answer to curl ends without one.
    withdrawn = re.findall(r"(?<!not )withdrawn opg +(\S+)", played.output)
    assert withdrawn == ["0.5", "1000"], "what was earned, and the stake"
    assert re.search(r"wallet opg +1500\.5$", played.output, re.MULTILINE), "and half an OPG more"
