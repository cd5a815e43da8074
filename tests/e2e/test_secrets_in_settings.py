"""What is wrong at the start, or with the settings, is said without the secrets that they hold."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oracle.cli.main import app
from oracle.devnet.accounts import secret_of
from tests.support.canaries import Canaries
from tests.support.guarded import PAYER, Guarded, guarded_world, spoken, spoken_on
from tests.support.watching import free_port
from tests.support.world import World, until


@pytest.fixture
async def guarded(world: World) -> AsyncIterator[Guarded]:
    async with guarded_world(world) as opened:
        yield opened


Change = Callable[[Guarded], dict[str, Any]]


def _wrong_password(guarded: Guarded) -> dict[str, Any]:
    keys = guarded.settings["password_file"].parent
    wrong = guarded.canaries.new("wrongpassword")
    return {"password_file": guarded.canaries.plant(keys / "wrong", wrong + "\n")}


def _open_password(guarded: Guarded) -> dict[str, Any]:
    keys = guarded.settings["password_file"].parent
    opened = guarded.canaries.plant(keys / "open", guarded.canaries.secrets["password"] + "\n")
    opened.chmod(0o644)
    return {"password_file": opened}


def _no_credentials(guarded: Guarded) -> dict[str, Any]:
    keys = guarded.settings["password_file"].parent
    other = guarded.canaries.plant(keys / "auth", guarded.canaries.new("odd") + "\n")
    return {"signer_auth_file": other}


def _bad_token(guarded: Guarded) -> dict[str, Any]:
    keys = guarded.settings["password_file"].parent
    other = guarded.canaries.plant(keys / "auth", f"Bearer {guarded.canaries.new('stale')}\n")
    return {"signer_auth_file": other}


def _credentials_twice(guarded: Guarded) -> dict[str, Any]:
    signer = guarded.signer.url.replace("http://", f"http://u:{guarded.canaries.new('basic')}@")
    return {"signer_url": signer}


def _credentials_in_the_signers_address(guarded: Guarded) -> dict[str, Any]:
    secret = guarded.canaries.new("basic")
    address = f"http://user:{secret}@localhost:1/{guarded.canaries.new('signerpath')}"
    return {"signer_url": address, "signer_auth_file": None}


def _not_a_signer(guarded: Guarded) -> dict[str, Any]:
    return {"signer_url": f"ftp://u:{guarded.canaries.new('ftp')}@host/{guarded.canaries.new('p')}"}


def _no_such_database(guarded: Guarded) -> dict[str, Any]:
    return {"database": f"mysql://u:{guarded.canaries.new('mysql')}@127.0.0.1/db"}


def _database_away(guarded: Guarded) -> dict[str, Any]:
    secret = guarded.canaries.new("postgres")
    return {"database": f"postgresql+psycopg://oracle:{secret}@127.0.0.1:{free_port()}/db"}


def _endpoint_away(guarded: Guarded) -> dict[str, Any]:
    secret = guarded.canaries.new("away")
    return {"rpc_url": f"http://u:{secret}@127.0.0.1:{free_port()}/{secret}?k={secret}"}


def _not_an_endpoint(guarded: Guarded) -> dict[str, Any]:
    secret = guarded.canaries.new("scheme")
    return {"rpc_url": f"wss://u:{secret}@127.0.0.1/{secret}?k={secret}"}


def _not_a_socket(guarded: Guarded) -> dict[str, Any]:
    secret = guarded.canaries.new("socket")
    return {"ws_url": f"http://u:{secret}@127.0.0.1/{secret}?k={secret}"}


def _no_url(guarded: Guarded) -> dict[str, Any]:
    secret = guarded.canaries.new("nourl")
    return {"rpc_url": f"http://u:{secret}@127.0.0.1:port/{secret}?k={secret}"}


STARTS: dict[str, Change] = {
    "a wrong password": _wrong_password,
    "a password that others can read": _open_password,
    "a file without credentials": _no_credentials,
    "credentials that the signer does not take": _bad_token,
    "credentials in the address, too": _credentials_twice,
    "credentials in the address of a signer that is away": _credentials_in_the_signers_address,
    "an address that is no signer's": _not_a_signer,
    "a database of another kind": _no_such_database,
    "a database that is away": _database_away,
    "an endpoint that is away": _endpoint_away,
    "an address that is no endpoint": _not_an_endpoint,
    "an address that is no socket": _not_a_socket,
    "an address that is none": _no_url,
}


@pytest.mark.parametrize("case", STARTS)
async def test_what_is_wrong_at_the_start_is_said_without_secrets(
    guarded: Guarded, case: str
) -> None:
    changes = STARTS[case](guarded)
    file = guarded.write(**changes)
    data_dir = guarded.world.settings.data_dir
    running = spoken_on(guarded, file, "node", "run")

    async def said() -> bool:
        lines = re.findall(r"error|warning|critical", running.log_file.read_text())
        return not running.running or bool(lines)

    await until(said)
    await running.stop()
    assert re.search(r"error|warning", running.log_file.read_text())
    guarded.look(f"the log of {case}", running.log_file.read_bytes())
    await spoken(guarded, "settings", "--json")
    await spoken(guarded, "node", "doctor")
    guarded.look_below(data_dir)


BROKEN = {
    "not TOML": 'rpc_url = "{secret}\n',
    "a value that is a secret without quotes": "rpc_url = http://u:{secret}@host/{secret}\n",
    "a key twice": 'rpc_url = "http://{secret}"\nrpc_url = "http://{secret}"\n',
    "an unknown key": 'rpc_urls = "http://u:{secret}@host"\n',
    "a number that is none": 'poll_seconds = "http://u:{secret}@host"\n',
    "one of several that it is not": 'provider = "{secret}"\n',
    "a list of what is no text": 'rpc_url = [1, "http://u:{secret}@host"]\n',
    "a table": '[rpc_url]\nfirst = "http://u:{secret}@host"\n',
    "a key in the place of an address": 'operator = "0x{key}"\n',
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_with_the_settings_is_said_without_their_secrets(
    case: str, tmp_path: Path
) -> None:
    canaries = Canaries(keys={"key": secret_of(PAYER)})
    file = tmp_path / "broken.toml"
    text = BROKEN[case].format(secret=canaries.new("inside"), key=secret_of(PAYER).hex())
    file.write_text(text)
    result = CliRunner().invoke(app, ["--config", str(file), "node", "status", "--json"])
    assert result.exit_code in (3, 4)
    assert result.stderr.startswith("error: ")
    assert not canaries.seen_in(result.output + result.stderr)


@pytest.mark.parametrize("name", ["RPC_URLS", "POLL_SECONDS", "PROVIDER", "PRIVATE", "DATABASES"])
def test_what_is_wrong_with_a_variable_is_said_without_its_value(name: str, tmp_path: Path) -> None:
    canaries = Canaries()
    (tmp_path / "empty.toml").write_text("")
    variables = {f"ORACLE_{name}": canaries.new("variable")}
    words = ["--config", str(tmp_path / "empty.toml"), "settings"]
    result = CliRunner().invoke(app, words, env=variables)
    assert result.exit_code == 4
    assert name.lower() in result.stderr.lower()
    assert not canaries.seen_in(result.output + result.stderr)
