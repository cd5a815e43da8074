"""The node's keys as settings name them: here, with a remote signer, the next, none, too many."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from oracle.bootstrap.keys import open_signers, opened_signers
from oracle.chain.keystore import CHEAP_ITERATIONS, create_keystore
from oracle.chain.remote_signer import RemoteSigner
from oracle.devnet.accounts import Person, secret_of, signer_of
from oracle.errors import ConfigurationError, InputError, KeystoreError, SignerRefused
from oracle.settings import Settings
from tests.cli.conftest import Oracle
from tests.support.signer_server import SignerServer

FIRST = signer_of(Person.SIGNER).address
SECOND = signer_of(Person.SECOND_SIGNER).address
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "password").touch(0o600)
    (tmp_path / "password").write_text("correct horse\n")
    for person in (Person.SIGNER, Person.SECOND_SIGNER):
        create_keystore(
            tmp_path / f"{person.name}.json",
            "correct horse",
            secret=secret_of(person),
            iterations=CHEAP_ITERATIONS,
        )
    return tmp_path


def settings(folder: Path, **values: Any) -> Settings:
    return Settings.model_construct(password_file=folder / "password", **values)


async def test_a_key_here_and_the_next_one(folder: Path) -> None:
    first, second = folder / "SIGNER.json", folder / "SECOND_SIGNER.json"
    (alone,) = await open_signers(settings(folder, signer_keystore=first))
    assert alone.address == FIRST
    both = settings(folder, signer_keystore=first, next_signer_keystore=second)
    assert [one.address for one in await open_signers(both)] == [FIRST, SECOND]


async def test_a_remote_key_and_the_next_one_with_credentials(folder: Path) -> None:
    server = SignerServer(
        folder / "password", folder / "SIGNER.json", folder / "SECOND_SIGNER.json"
    )
    await server.start("--authorization", "Bearer a-token")
    auth = folder / "auth"
    auth.touch(0o600)
    auth.write_text("Bearer a-token\n")
    asked: dict[str, Any] = {
        "signer_url": server.url,
        "signer_address": FIRST.lower(),
        "next_signer_address": SECOND,
    }
    try:
        async with opened_signers(settings(folder, signer_auth_file=auth, **asked)) as found:
            assert [one.address for one in found] == [FIRST, SECOND]
            assert all(isinstance(one, RemoteSigner) for one in found)
        with pytest.raises(SignerRefused, match="HTTP 401"):
            await open_signers(settings(folder, **asked))
        asked["next_signer_address"] = signer_of(Person.WATCHER).address
        with pytest.raises(SignerRefused, match="not among them"):
            await open_signers(settings(folder, signer_auth_file=auth, **asked))
    finally:
        server.kill()


async def test_a_remote_signer_that_is_away_is_no_reason_not_to_start(folder: Path) -> None:
    with capture_logs() as logs:
        chosen = settings(folder, signer_url=NOWHERE, signer_address=FIRST)
        async with opened_signers(chosen) as (one,):
            assert one.address == FIRST
    assert any("no signature from" in str(line["event"]) for line in logs)


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        ({}, ConfigurationError, "name no signer key"),
        ({"signer_url": NOWHERE}, ConfigurationError, "name no signer key"),
        ({"signer_address": FIRST}, ConfigurationError, "no such signer"),
        ({"signer_address": "0x12", "signer_url": NOWHERE}, InputError, "not an address"),
        ({"signer_address": FIRST, "signer_url": "nowhere"}, ConfigurationError, "signer_url"),
        ({"signer_keystore": Path("none.json")}, KeystoreError, "there is no keystore"),
    ],
)
async def test_settings_that_lead_to_no_key(
    folder: Path, values: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        await open_signers(settings(folder, **values))


async def test_a_key_is_named_once(folder: Path) -> None:
    twice = settings(
        folder, signer_keystore=folder / "SIGNER.json", signer_url=NOWHERE, signer_address=FIRST
    )
    with pytest.raises(ConfigurationError, match="signer_keystore and signer_address"):
        await open_signers(twice)


def test_addresses_are_shown_without_their_secrets(tmp_path: Path) -> None:
    (tmp_path / "oracle.toml").touch()
    env = {"ORACLE_SIGNER_URL": "https://me:swordfish@signer.example:9000/path"}
    printed = Oracle(tmp_path).run("settings", "--json", env=env)
    assert printed.exit_code == 0
    assert "swordfish" not in printed.out
    (shown,) = [
        one["value"]
        for one in json.loads(printed.out)["settings"]
        if one["setting"] == "signer_url"
    ]
    assert shown == "https://signer.example:9000/…"


def test_a_running_node_is_told_to_read_its_keys_again(node: Oracle) -> None:
    before = node.status()["process"]
    assert node.json("node", "reload") == {"process": before, "told": True}
    os.kill(before, signal.SIGHUP)
    assert node.status()["process"] == before


def test_a_new_signer_is_a_file_or_an_address(devnet: Oracle, tmp_path: Path) -> None:
    assert "no new key is named" in devnet.fails(3, "operator", "rotate-signer")
    said = devnet.fails(3, "operator", "rotate-signer", str(tmp_path / "k"), "--address", SECOND)
    assert "two new keys are named" in said
    assert not (tmp_path / "k").exists()
    alone = devnet.with_settings(tmp_path, data_dir=tmp_path / "nothing")
    assert "no node runs here" in alone.fails(7, "node", "reload")
