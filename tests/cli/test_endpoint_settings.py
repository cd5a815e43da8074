"""Several endpoints in settings: from a file, a variable and the command line, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.bootstrap.connection import rpc_urls
from oracle.settings_file import load
from tests.cli.conftest import Oracle

TWO = ("http://one.example/k3y", "https://someone:swordfish@two.example")


@pytest.mark.parametrize("written", [f'["{TWO[0]}", "{TWO[1]}"]', f'"{TWO[0]} {TWO[1]}"'])
def test_a_file_names_several(tmp_path: Path, written: str) -> None:
    file = tmp_path / "oracle.toml"
    file.write_text(f"rpc_url = {written}\n")
    assert rpc_urls(load(file)) == TWO


def test_a_variable_and_options_name_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORACLE_RPC_URL", " ".join(TWO))
    assert rpc_urls(load()) == TWO
    assert rpc_urls(load(rpc_url=["http://three.example"])) == ("http://three.example",)


def test_settings_are_shown_without_their_secrets(tmp_path: Path) -> None:
    (tmp_path / "oracle.toml").write_text(f'data_dir = "{tmp_path}"\n')
    shown = Oracle(tmp_path).ok("--rpc-url", TWO[0], "--rpc-url", TWO[1], "settings")
    assert "one.example" in shown
    assert "two.example" in shown
    assert not any(secret in shown + repr(load(rpc_url=TWO)) for secret in ("k3y", "swordfish"))
