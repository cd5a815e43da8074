"""The command's first second, and options in a place where they are none."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oracle.cli.main import app

ROOT = Path(__file__).resolve().parents[2]

INTERRUPTED_WHILE_IMPORTING = """
import os, signal, sys

entry, wanted, *words = sys.argv[1:]

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
sys.argv[1:] = words
module, _, function = entry.partition(":")
from importlib import import_module
getattr(import_module(module), function)()
"""


@pytest.mark.parametrize("imported", ["typer", "oracle.cli.node", "web3", "sqlalchemy"])
def test_an_interrupt_while_libraries_are_imported_ends_without_a_traceback(
    imported: str, tmp_path: Path
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    words = [project["scripts"]["oracle"], imported, "node", "status"]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_IMPORTING, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (130, "", "")


def test_the_entry_point_and_the_module_are_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"]["oracle"].partition(":")
    assert f"from {module} import {function}" in (ROOT / "oracle/__main__.py").read_text()
    assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize("words", [["--json", "job", "list"], ["job", "--json", "list"]])
def test_json_before_the_verb_is_told_where_it_goes(words: list[str]) -> None:
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 2
    assert "--json goes after the whole verb" in said.stderr
    assert "Possible options" not in said.stderr


@pytest.mark.parametrize(
    "words",
    [["operator", "bond", "-5"], ["account", "deposit", "-0.5"], ["operator", "unbond", "-1"]],
)
def test_an_amount_below_nothing_is_no_option(words: list[str]) -> None:
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 2
    assert "none is below 0" in said.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["operator", "bond", "0"],
        ["operator", "unbond", "0.0"],
        ["account", "deposit", "0"],
        ["credit", "deposit", "0x" + "11" * 20, "0"],
    ],
)
def test_nothing_is_refused_before_key_and_chain(words: list[str]) -> None:
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 3
    assert "0 OPG cannot be moved" in said.stderr


def test_an_error_is_words_on_standard_error_with_json_too() -> None:
    said = CliRunner().invoke(app, ["operator", "bond", "0", "--json"])
    assert said.exit_code == 3
    assert said.stdout == ""
    assert said.stderr.splitlines() == [
        "error: 0 OPG cannot be moved",
        "  try: write an amount like 12 or 0.25",
    ]
