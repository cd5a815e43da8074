"""`oracle init`, and what settings say of a key that is none: the file a person begins with."""

from __future__ import annotations

import functools
import json
import os
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oracle import settings as module
from oracle.bootstrap.init import documented
from oracle.chain.keystore import CHEAP_ITERATIONS, LocalSigner, create_keystore, read_password
from oracle.cli.main import app
from oracle.errors import ConfigurationError
from oracle.settings import GROUPS, REQUIRED, Settings, groups
from oracle.settings_file import load
from tests.cli.conftest import Oracle, Printed


@pytest.fixture(autouse=True)
def _cheap_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = functools.partial(create_keystore, iterations=CHEAP_ITERATIONS)
    monkeypatch.setattr("oracle.bootstrap.init.create_keystore", cheap)


@pytest.fixture
def oracle(tmp_path: Path) -> Oracle:
    """A folder in which nothing was ever done; the current one."""
    return Oracle(tmp_path)


def init(*arguments: str) -> Printed:
    result = CliRunner().invoke(app, ["init", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Printed(result.exit_code, result.stdout, result.stderr)


def test_every_setting_is_written_once_with_its_default_and_its_meaning(oracle: Oracle) -> None:
    assert init().exit_code == 0
    text = oracle.config.read_text()
    written = re.findall(r"^(?:# )?([a-z_]+) = ", text, re.MULTILINE)
    assert sorted(written) == sorted(Settings.model_fields)
    assert tuple(written[: len(REQUIRED)]) == REQUIRED
    assert tomllib.loads(text) == {}
    flowing = " ".join(text.replace("\n#", "").split())
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert " ".join(field.description.split()) in flowing, name
    headings = re.findall(r"^# ---- (.+?) -+$", text, re.MULTILINE)
    assert headings == ["What a node needs", *GROUPS.values()]
    assert oracle.config.stat().st_mode & 0o777 == 0o600


def test_what_is_written_is_read_back_as_the_defaults(oracle: Oracle) -> None:
    init()
    assert load(oracle.config).model_dump() == Settings.model_construct().model_dump()
    # With every comment taken off as well, but for what has no default.
    bare = re.sub(r"^# (?=[a-z_]+ = )", "", oracle.config.read_text(), flags=re.MULTILINE)
    oracle.config.write_text(re.sub(r'^[a-z_]+ = "…"$', "", bare, flags=re.MULTILINE))
    assert len(tomllib.loads(oracle.config.read_text())) > 40
    assert load(oracle.config).model_dump() == Settings.model_construct().model_dump()


def test_what_is_set_stands_without_a_mark_and_is_read_back(oracle: Oracle) -> None:
    made = init("--set", "threads=4", "--set", "rpc_url=https://a https://b", "--json")
    assert json.loads(made.out)["set"] == ["rpc_url", "threads"]
    assert tomllib.loads(oracle.config.read_text()) == {
        "rpc_url": "https://a https://b",
        "threads": 4,
    }
    assert load(oracle.config).threads == 4


def test_a_file_that_is_there_is_replaced_only_by_force(oracle: Oracle) -> None:
    oracle.config.write_text("threads = 7\n")
    refused = init()
    assert refused.exit_code == 4
    assert "--force" in refused.err
    assert oracle.config.read_text() == "threads = 7\n"
    assert init("--force").exit_code == 0
    assert tomllib.loads(oracle.config.read_text()) == {}
    assert os.listdir(oracle.data_dir) == ["oracle.toml"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("tread=1", "do you mean threads?"),
        ("threads=many", "'many' is not a number"),
        ("threads=0", "greater than or equal to 1"),
        ("threads", "has no value"),
        ("provider=gpu", "provider (oracle.toml, line"),
    ],
)
def test_what_cannot_be_set_leaves_nothing_behind(oracle: Oracle, given: str, said: str) -> None:
    refused = init("--with-keys", "--set", given)
    assert refused.exit_code in (3, 4)
    assert said in refused.err
    assert os.listdir(oracle.data_dir) == []


def test_keys_are_made_on_demand_and_kept(oracle: Oracle) -> None:
    made = json.loads(init("--with-keys", "--json").out)
    password = read_password(Path("keys/password"))
    assert made["operator"] == LocalSigner.from_keystore(Path("keys/owner.json"), password).address
    assert made["signer"] == LocalSigner.from_keystore(Path("keys/signer.json"), password).address
    for name in ("password", "owner.json", "signer.json"):
        assert (Path("keys") / name).stat().st_mode & 0o777 == 0o600
    read = load(oracle.config)
    assert (read.operator, read.signer_keystore) == (made["operator"], Path("keys/signer.json"))
    again = json.loads(init("--with-keys", "--force", "--json").out)
    assert again["operator"] == made["operator"]
    assert read_password(Path("keys/password")) == password
    assert oracle.ok("keystore", "address", "keys/owner.json").strip() == made["operator"]


def test_a_file_for_the_devnets_operator_names_the_keys_that_it_brings(oracle: Oracle) -> None:
    assert init("--devnet").exit_code == 0
    read = load(oracle.config)
    assert read.signer_keystore == Path(".oracle/keys/signer.json")
    assert read.serve_port > 0
    assert read.rpc_url is None
    assert "oracle up" in init("--devnet", "--force").out
    assert init("--devnet", "--with-keys", "--force").exit_code == 3


def test_groups_hold_every_setting_once_and_are_those_of_the_source() -> None:
    assert [name for _, names in groups() for name in names] == list(Settings.model_fields)
    comments = re.findall(r"^    # (.+)$", Path(module.__file__).read_text(), re.MULTILINE)
    told = {heading.lower() for heading in GROUPS.values()}
    assert told <= {one.lower() for one in comments}
    assert documented({}).count("# ---- ") == len(GROUPS) + 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n\npol_seconds = 1\n", "line 3) is no setting: do you mean poll_seconds?"),
        ('threads = "x"\n', "threads ({file}, line 1): Input should be a valid integer"),
        ("[node]\nthreads = 1\n", "node ({file}, line 1) is no setting"),
        ("zzz = 1\n", "zzz ({file}, line 1) is no setting"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(
    oracle: Oracle, text: str, said: str
) -> None:
    oracle.config.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        load(oracle.config)
    assert said.format(file=oracle.config) in refused.value.message


def test_what_is_wrong_in_a_variable_is_named(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle.config.write_text("threads = 1\n")
    monkeypatch.setenv("ORACLE_THREADS", "x")
    with pytest.raises(ConfigurationError, match=r"threads \(ORACLE_THREADS\): Input"):
        load(oracle.config)
    monkeypatch.setenv("ORACLE_THREADS", "1")
    monkeypatch.setenv("ORACLE_TREADS", "1")
    with pytest.raises(ConfigurationError, match="ORACLE_TREADS: do you mean ORACLE_THREADS"):
        load(oracle.config)
