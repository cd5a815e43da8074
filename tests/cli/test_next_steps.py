"""What verbs say to do next, typed as they say it: settings, keys, the devnet's own commands."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from oracle.chain.keystore import PASSWORD_VARIABLE, LocalSigner, read_password
from oracle.cli.context import typed
from tests.cli.conftest import PATIENCE_SECONDS, Oracle


@pytest.fixture
def oracle(tmp_path: Path) -> Oracle:
    """A folder with empty settings; the current one."""
    (tmp_path / "oracle.toml").touch()
    return Oracle(tmp_path)


# ---- the devnet's settings file


def test_a_command_names_its_settings_file_where_it_is_not_found_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, other = tmp_path / ".oracle/oracle.toml", tmp_path / "my chain/oracle.toml"
    for file in (usual, other):
        file.parent.mkdir()
        file.touch()
    assert typed(Path(".oracle/oracle.toml"), "node", "run") == "oracle node run"
    assert typed(other, "node", "run") == f"oracle --config '{other}' node run"
    (tmp_path / "oracle.toml").touch()
    assert typed(usual, "node", "run") == f"oracle --config {usual} node run"
    monkeypatch.setenv("ORACLE_CONFIG", str(other))
    assert typed(other, "node", "run") == "oracle node run"


def test_devnet_up_says_commands_that_work_from_here(devnet: Oracle) -> None:
    """The devnet runs already; `up` completes it, and its next step is taken up to the chain."""
    again = devnet.run("--data-dir", str(devnet.data_dir), "devnet", "up")
    assert again.exit_code == 0, again.err
    said = f"next, in another terminal: oracle --config {devnet.config} node run"
    assert said in again.out
    assert f"oracle --config {devnet.config} request digits-mlp" in again.out


# ---- keys


def test_the_first_key_brings_the_password_file_that_settings_name(oracle: Oracle) -> None:
    oracle.config.write_text('password_file = "keys/password"\n')
    made = oracle.json("keystore", "new", "keys/watcher.json")
    assert made["password_file_made"] == "keys/password"
    assert Path("keys/password").stat().st_mode & 0o777 == 0o600
    password = read_password(Path("keys/password"))
    assert len(password) >= 32
    watcher = LocalSigner.from_keystore(Path("keys/watcher.json"), password)
    assert oracle.ok("keystore", "address", "keys/watcher.json").strip() == watcher.address
    second = oracle.json("keystore", "new", "keys/second.json")
    assert "password_file_made" not in second
    assert second["password_file"] == "keys/password"
    assert read_password(Path("keys/password")) == password


def test_a_password_of_the_environment_stands_in_for_the_file(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle.config.write_text('password_file = "keys/password"\n')
    monkeypatch.setenv(PASSWORD_VARIABLE, "swordfish")
    assert "password_file_made" not in oracle.json("keystore", "new", "keys/one.json")
    assert not Path("keys/password").exists()
    assert LocalSigner.from_keystore(Path("keys/one.json"), "swordfish")
    monkeypatch.delenv(PASSWORD_VARIABLE)
    said = oracle.fails(4, "keystore", "address", "keys/one.json")
    assert f"or set {PASSWORD_VARIABLE}" in said


def test_a_key_that_cannot_be_written_leaves_no_password_behind(oracle: Oracle) -> None:
    oracle.config.write_text('password_file = "keys/password"\n')
    Path("there.json").write_text("a key")
    assert "exists" in oracle.fails(4, "keystore", "new", "there.json")
    assert "cannot write" in oracle.fails(4, "keystore", "new", "there.json/more/key.json")
    assert not Path("keys/password").exists()
    assert Path("there.json").read_text() == "a key"


def test_without_a_terminal_nobody_is_asked_for_a_password(oracle: Oracle) -> None:
    assert "set password_file" in oracle.fails(4, "keystore", "new", "keys/watcher.json")
    assert not Path("keys").exists()


def test_at_a_terminal_the_password_is_asked_for_twice_and_not_shown(oracle: Oracle) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "oracle", "keystore", "new", "keys/watcher.json"]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown = _until(ours, b"Password: ")
    os.write(ours, b"swordfish\n")
    shown += _until(ours, b"Repeat for confirmation: ")
    os.write(ours, b"swordfish\n")
    shown += _until(ours, b"keys/watcher.json")
    assert process.wait(timeout=PATIENCE_SECONDS) == 0
    os.close(ours)
    assert b"swordfish" not in shown
    assert LocalSigner.from_keystore(Path("keys/watcher.json"), "swordfish")


def _until(terminal: int, words: bytes) -> bytes:
    """What a terminal shows, up to these words."""
    shown = b""
    while words not in shown:
        assert select.select([terminal], [], [], PATIENCE_SECONDS)[0], shown
        shown += os.read(terminal, 4096)
    return shown
