"""The verbs are listed without being imported; what the list says is what each says of itself."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from oracle.cli.main import app
from oracle.cli.verbs import PANELS, VERBS, load

HEAVY = ("web3", "onnxruntime", "sqlalchemy", "numpy")


@pytest.mark.parametrize("name", VERBS)
def test_the_list_says_what_the_verb_says(name: str) -> None:
    verb = load(name)
    assert verb.name == name
    assert verb.help == VERBS[name][1]


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_help_and_version_import_no_heavy_library(option: str) -> None:
    program = (
        "import sys\n"
        "from oracle.cli.main import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        f"found = [name for name in {HEAVY} if name in sys.modules]\n"
        "assert not found, found\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, option], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_help_shows_every_verb_once_below_who_it_is_for() -> None:
    assert sorted(name for names in PANELS.values() for name in names) == sorted(VERBS)
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "160"}).stdout
    for heading, names in PANELS.items():
        below = shown.partition(heading)[2].partition("\n╰")[0]
        assert re.findall(r"^│ ([a-z]+) ", below, re.MULTILINE) == list(names)


def test_global_options_say_what_holds_without_them() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).stdout
    for default in (".oracle/oracle.toml", "(.oracle)", "DATA_DIR/deployment.json"):
        assert f"{default}" in shown.replace("\n", " ")


@pytest.mark.parametrize("words", [[], ["init"], ["node", "run"], ["devnet", "up"], ["watch"]])
def test_a_flag_does_not_look_as_if_it_took_a_value(words: list[str]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "160"})
    assert shown.exit_code == 0
    assert "--help" in shown.stdout
    assert "<bool>" not in shown.stdout
