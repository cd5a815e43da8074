"""docs/operators-page.md: the token that it has made is one that a node takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oracle.settings_file import load
from oracle.web.page import read_token
from tests.documents import play

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_s_token_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(ROOT / "docs" / "operators-page.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in [one for one in os.environ if one.startswith("ORACLE_")]:
        monkeypatch.delenv(name)
    named = load().private_token_file
    assert named is not None
    assert read_token(named) is not None
    for picture in ("laptop-light", "phone-light", "phone-dark", "job"):
        assert (ROOT / "docs" / "pictures" / f"page-{picture}.webp").stat().st_size < 300_000
