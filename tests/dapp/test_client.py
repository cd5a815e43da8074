"""The Python client as a dApp developer has it: what it loads, and what a checker makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.dapp.registry import REPOSITORY
from tests.documents import blocks
from tests.support.failures import thorough

HEAVY = ("onnxruntime", "onnx", "sqlalchemy", "apscheduler", "rich", "typer", "sklearn")
"""What asking a model does not need."""


def test_asking_loads_no_engine_and_no_database(tmp_path: Path) -> None:
    code = f"import sys, oracle.client\nprint([one for one in {HEAVY} if one in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Python of an environment with the wheel in it, and what it depends on from this one."""
    built = tmp_path / "built"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", built / "venv"], check=True)
    (site,) = (built / "venv" / "lib").glob("python3*/site-packages")
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    # Of a folder that is named in a file of paths, the files of paths are not read: so the
    # checkout, which is installed here for development, is not found.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return built / "venv" / "bin" / "python"


@thorough
@pytest.mark.timeout(600)
def test_a_strict_checker_accepts_what_the_documents_show(python: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    guide = blocks(REPOSITORY / "docs" / "dapp-guide.md")
    (project / "ask.py").write_text(next(one.text for one in guide if one.title == "ask.py"))
    example = (REPOSITORY / "examples" / "ask_and_plot.py").read_text()
    (project / "ask_and_plot.py").write_text(example)
    (project / "wrong.py").write_text(
        "from oracle.client import InferenceAnswer\n\n\n"
        "def operator(answer: InferenceAnswer) -> int:\n    return answer.operator\n"
    )
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "."],
        cwd=project,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in found.stdout.splitlines() if ": error: " in line]
    assert len(complaints) == 1, found.stdout
    assert complaints[0].startswith("wrong.py:5: error: Incompatible return value type")
