"""The verbs are listed without being imported; what the list says is what each says of itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from oracle.cli.verbs import VERBS, load

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
