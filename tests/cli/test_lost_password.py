"""A password that is lost or wrong, and files sought in another folder than they are in."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.chain.keystore import PASSWORD_VARIABLE
from tests.cli.conftest import Oracle


@pytest.fixture
def oracle(tmp_path: Path) -> Oracle:
    """A folder with two keys and their password; the current one."""
    (tmp_path / "oracle.toml").write_text(
        'password_file = "keys/password"\nowner_keystore = "keys/owner.json"\n'
    )
    made = Oracle(tmp_path)
    made.ok("keystore", "new", "keys/owner.json")
    made.ok("keystore", "new", "keys/other.json")
    return made


def _nothing_new(oracle: Oracle) -> None:
    assert not (oracle.data_dir / "keys/password").exists()
    assert not (oracle.data_dir / "keys/third.json").exists()


def test_a_lost_password_is_put_back_and_no_new_one_made(oracle: Oracle) -> None:
    Path("keys/password").unlink()
    for words in (["address", "keys/owner.json"], ["new", "keys/third.json"]):
        said = oracle.fails(4, "keystore", *words)
        assert "put the one back that keys/owner.json was made with" in said
        assert "keystore new" not in said
        _nothing_new(oracle)
    assert "put the one back that" in oracle.fails(4, "init", "--with-keys", "--force")
    _nothing_new(oracle)


def test_a_first_key_is_offered_where_there_is_none(oracle: Oracle) -> None:
    for name in ("password", "owner.json", "other.json"):
        (Path("keys") / name).unlink()
    said = oracle.fails(4, "keystore", "address", "keys/owner.json")
    assert "`oracle keystore new` makes it with a first key" in said


def test_a_wrong_password_says_where_it_came_from(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("keys/password").write_text("battery staple\n")
    said = oracle.fails(4, "keystore", "address", "keys/other.json")
    assert "the password is wrong" in said
    assert "the password is from keys/password: put the one there" in said
    Path("keys/password").unlink()
    monkeypatch.setenv(PASSWORD_VARIABLE, "battery staple")
    said = oracle.fails(4, "keystore", "address", "keys/other.json")
    assert f"the password is from {PASSWORD_VARIABLE}" in said


def test_a_relative_path_is_told_where_it_counts_from(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = oracle.data_dir / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    said = oracle.fails(4, "operator", "withdraw")
    assert "relative paths of settings are from the folder that oracle is called in" in said
    assert f"cd {oracle.data_dir}" in said


def test_a_missing_deployment_file_is_told_of_relative_paths_only_where_they_are(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with oracle.config.open("a") as file:
        file.write('rpc_url = "http://127.0.0.1:9"\ndata_dir = "chain"\n')
    said = oracle.fails(4, "model", "list")
    assert "there is no deployment file" in said
    assert "relative paths of settings are from the folder" in said
    assert "ask whoever gave you the deployment file" in said
    (oracle.data_dir / "chain").mkdir()
    (oracle.data_dir / "chain/deployment.json").touch()
    monkeypatch.chdir(oracle.data_dir / "chain")
    assert f"cd {oracle.data_dir}" in oracle.fails(4, "model", "list")
    absolute = ["--deployment", str(oracle.data_dir / "absent.json"), "model", "list"]
    assert "relative paths" not in oracle.fails(4, *absolute)
