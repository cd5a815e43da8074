"""Global options, settings and their errors, exit codes, and what goes to which stream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from oracle import __version__, errors
from oracle.cli.command import verb
from oracle.cli.main import app
from oracle.cli.output import Output
from tests.cli.conftest import Oracle

EXIT_CODES = {
    errors.OracleError: 1,
    errors.InputError: 3,
    errors.ConfigurationError: 4,
    errors.ChainRefused: 5,
    errors.ChainUnreachable: 6,
    errors.NotFound: 7,
    errors.NoAnswer: 8,
    errors.InferenceError: 9,
    errors.StorageError: 10,
}


@pytest.fixture
def oracle(tmp_path: Path) -> Oracle:
    """Settings of a directory where nothing was ever done."""
    (tmp_path / "oracle.toml").write_text(f'data_dir = "{tmp_path}"\n')
    return Oracle(tmp_path)


@pytest.mark.parametrize("kind", EXIT_CODES, ids=lambda kind: kind.__name__)
def test_each_kind_of_error_has_its_exit_code_and_is_said_with_its_hint(
    kind: type[errors.OracleError],
) -> None:
    toy = typer.Typer()

    @verb(toy, "toy")
    async def fail() -> None:
        raise kind("it is [bold]wrong[/bold] :heart:", hint="do better")

    result = CliRunner().invoke(toy)
    assert result.exit_code == EXIT_CODES[kind] == kind.exit_code
    assert result.stdout == ""
    assert result.stderr == "error: it is [bold]wrong[/bold] :heart:\n  try: do better\n"


def test_subclasses_of_an_error_share_its_exit_code() -> None:
    reverted = errors.ContractReverted("TooLow", {"by": b"\x01"})
    assert (reverted.exit_code, reverted.message) == (5, "the contract refused: TooLow(by=0x01)")
    assert errors.WrongChain.exit_code == errors.KeystoreError.exit_code == 4
    assert errors.SignedTwice.exit_code == 10


def test_the_version_is_printed() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout.strip()) == (0, __version__)


def test_help_lists_every_group_of_verbs() -> None:
    shown = CliRunner().invoke(app, ["-h"]).stdout
    for name in ("devnet", "keystore", "model", "operator", "node", "deploy", "request", "show"):
        assert name in shown


def test_an_unknown_setting_is_refused_by_name(oracle: Oracle) -> None:
    oracle.config.write_text("pol_seconds = 1\n")
    said = oracle.fails(4, "node", "status")
    assert "pol_seconds" in said
    assert "see " in said


def test_a_bad_value_is_refused_by_name(oracle: Oracle) -> None:
    oracle.config.write_text("poll_seconds = -1\n")
    assert "poll_seconds" in oracle.fails(4, "node", "status")
    oracle.config.write_text("not toml")
    assert "is not TOML" in oracle.fails(4, "node", "status")


def test_an_unknown_variable_is_refused_by_name(oracle: Oracle) -> None:
    said = oracle.fails(4, "node", "status", env={"ORACLE_POL_SECONDS": "1"})
    assert "ORACLE_POL_SECONDS" in said


def test_a_missing_settings_file_is_refused(oracle: Oracle) -> None:
    oracle.config.unlink()
    assert "there is no settings file" in oracle.fails(4, "node", "status")


def test_options_win_over_the_environment_which_wins_over_the_file(
    oracle: Oracle, tmp_path: Path
) -> None:
    def told(*arguments: str, **env: str) -> str:
        return oracle.fails(
            4, *arguments, "model", "list", env={"ORACLE_RPC_URL": "http://x", **env}
        )

    assert str(tmp_path / "deployment.json") in told()
    by_environment = told(ORACLE_DEPLOYMENT="/by/environment.json")
    assert "/by/environment.json" in by_environment
    by_option = told("--deployment", "/by/option.json", ORACLE_DEPLOYMENT="/by/environment.json")
    assert "/by/option.json" in by_option


def test_without_a_chain_it_says_how_to_get_one(oracle: Oracle) -> None:
    assert "oracle devnet up" in oracle.fails(4, "model", "list")
    assert "oracle devnet up" in oracle.fails(7, "devnet", "status")
    assert "no devnet was started here" in oracle.fails(7, "devnet", "down")


def test_where_no_settings_are_found_that_is_said_first() -> None:
    for arguments in (["reclaim", "0x" + "0f" * 32], ["model", "list"], ["node", "run"]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 4
        said = "error: there is no settings file here (oracle.toml or .oracle/oracle.toml), and so "
        assert result.stderr.startswith(said), result.stderr
        assert "--config" in result.stderr


def test_settings_of_a_real_chain_come_before_the_key_that_they_name(tmp_path: Path) -> None:
    """As docs/dapp-guide.md has it."""
    (tmp_path / "oracle.toml").write_text(
        'rpc_url = "http://127.0.0.1:9"\ndeployment = "deployment.json"\n'
        'requester_keystore = "keys/me.json"\npassword_file = "keys/password"\n'
    )
    made = CliRunner().invoke(app, ["keystore", "new", "keys/me.json"])
    assert made.exit_code == 0, made.stderr
    shown = CliRunner().invoke(app, ["keystore", "address", "keys/me.json"])
    assert shown.stdout.strip() in made.stdout


def test_without_a_node_its_verbs_say_so(oracle: Oracle) -> None:
    assert "no node runs here" in oracle.fails(7, "node", "stop")
    assert "settings name no operator" in oracle.fails(4, "node", "run")
    operator = "0x" + "11" * 20
    configured = oracle.config.read_text() + f'operator = "{operator}"\n'
    oracle.config.write_text(configured)
    assert "oracle up" in oracle.fails(7, "node", "status")


def test_a_node_without_a_settings_file_says_that_and_leaves_nothing(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["node", "run"])  # the present folder is empty
    assert result.exit_code == 4
    assert "there is no settings file" in result.stderr
    assert "settings name no operator" in result.stderr
    assert "--config" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_not_there_is_named_from_the_root(tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "oracle.toml").write_text(
        'rpc_url = "http://127.0.0.1:1"\npassword_file = "keys/password"\n'
        'owner_keystore = "keys/owner.json"\nsigner_keystore = "keys/signer.json"\n'
    )
    said = CliRunner().invoke(app, ["--config", "else/oracle.toml", "operator", "init"]).stderr
    assert str(tmp_path / "keys" / "password") in said.replace("\n", "")
    assert "try: or" not in said


def test_a_keystore_is_made_once_and_never_overwritten(oracle: Oracle, tmp_path: Path) -> None:
    path = tmp_path / "new.json"
    assert "no password" in oracle.fails(4, "keystore", "new", str(path))
    env = {"ORACLE_KEYSTORE_PASSWORD": "correct horse"}
    oracle.secrets.add("correct horse")
    made = oracle.run("keystore", "new", str(path), "--json", env=env)
    facts = json.loads(made.out)
    assert facts["keystore"] == str(path)
    assert facts["address"].startswith("0x")
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    assert "never overwritten" in oracle.fails(4, "keystore", "new", str(path), env=env)
    assert path.read_text() == before


def test_a_password_file_that_others_can_read_is_refused(oracle: Oracle, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("correct horse\n")
    password.chmod(0o644)
    env = {"ORACLE_PASSWORD_FILE": str(password)}
    said = oracle.fails(4, "keystore", "new", str(tmp_path / "k.json"), env=env)
    assert f"chmod 600 {password}" in said


def test_json_is_printed_to_the_letter(capsys: pytest.CaptureFixture[str]) -> None:
    facts = {
        "name": ":heart: [bold]x[/bold]",
        "id": b"\x01",
        "rows": [(1, b"\x02")],
        "long": "y" * 300,
        "numbers": [1.5, float("nan"), float("inf"), float("-inf")],
    }
    Output(as_json=True).result(facts)
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {
        "name": ":heart: [bold]x[/bold]",
        "id": "0x01",
        "rows": [[1, "0x02"]],
        "long": "y" * 300,
        "numbers": [1.5, "NaN", "Infinity", "-Infinity"],
    }
    Output(as_json=True).say("on its way")
    assert capsys.readouterr() == ("", "on its way\n")
    Output(as_json=False).table("Some rows", ["a_b"], [[":heart:"]], more=b"\x01")
    shown = capsys.readouterr().out
    assert ":heart:" in shown
    assert "more: 0x01" in shown
