"""The units of ops/systemd: what they name exists in the program, and systemd understands them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import typer

from oracle.cli.verbs import load
from oracle.errors import BEYOND_RESTARTING
from oracle.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "ops" / "systemd").glob("*.service"))
PROGRAM = "/opt/oracle/bin/oracle"
DEFAULTS = Settings.model_construct()


def directives(unit: Path) -> dict[str, list[str]]:
    """All values of each name, sections aside."""
    found = defaultdict(list)
    for line in unit.read_text().splitlines():
        if "=" in line and not line.startswith(("#", "[")):
            name, _, value = line.partition("=")
            found[name].append(value)
    return found


@pytest.fixture(params=UNITS, ids=lambda path: path.stem)
def unit(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_there_is_one_for_the_node_and_one_for_a_watcher() -> None:
    assert [one.stem for one in UNITS] == ["oracle-node", "oracle-watch"]


def test_it_restarts_all_but_what_the_program_calls_hopeless(unit: Path) -> None:
    found = directives(unit)
    assert found["Restart"] == ["on-failure"]
    (codes,) = found["RestartPreventExitStatus"]
    assert {int(one) for one in codes.split()} == BEYOND_RESTARTING


def test_its_verbs_and_settings_exist(unit: Path) -> None:
    found = directives(unit)
    (command,) = found["ExecStart"]
    program, config, _, *verbs = command.split()
    assert (program, config) == (PROGRAM, "--config")
    verb = load(verbs[0])
    for name in verbs[1:]:
        verb = verb.commands[name]
    assert isinstance(verb, typer.core.TyperCommand)
    names = [one.partition("=")[0] for one in found["Environment"]]
    settings = {one.removeprefix("ORACLE_").lower() for one in names if one != "TMPDIR"}
    assert settings <= Settings.model_fields.keys()
    assert "password_file" in settings
    folders = {f"/var/lib/{one}" for one in found["StateDirectory"]}
    assert f"ORACLE_DATA_DIR={folders.pop()}" in found["Environment"]


def test_it_has_longer_to_stop_than_the_node_to_drain() -> None:
    node = directives(ROOT / "ops" / "systemd" / "oracle-node.service")
    assert node["Type"] == ["notify"]
    assert int(node["TimeoutStopSec"][0]) > DEFAULTS.drain_seconds
    assert 0 < int(node["WatchdogSec"][0]) < DEFAULTS.hang_seconds
    assert node["KillMode"] == ["mixed"]


def test_the_operations_page_shows_the_same_service() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    node = directives(ROOT / "ops" / "systemd" / "oracle-node.service")
    (codes,) = node["RestartPreventExitStatus"]
    assert f"RestartPreventExitStatus={codes}" in page
    assert "ops/systemd/oracle-node.service" in page


@pytest.fixture
def installed(tmp_path: Path) -> list[Path]:
    """The units with a program that is here."""
    copies = []
    for one in UNITS:
        copy = tmp_path / one.name
        copy.write_text(one.read_text().replace(PROGRAM, sys.executable))
        copies.append(copy)
    return copies


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_understands_them_and_finds_them_closed(installed: list[Path]) -> None:
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, installed)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in verified.stderr.splitlines() if "oracle-" in line]
    assert (verified.returncode, ours) == (0, [])
    for one in installed:
        judged = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(one)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert judged.returncode == 0, judged.stdout[-500:]


def test_the_container_runs_the_node_without_rights_and_copies_only_what_it_names() -> None:
    text = (ROOT / "ops" / "Containerfile").read_text()
    assert re.search(r"^ARG PYTHON=\d+\.\d+\.\d+-slim-\w+$", text, re.MULTILINE)
    assert re.findall(r"^FROM .*:\$\{PYTHON\}", text, re.MULTILINE)
    last = text.rpartition("FROM ")[2]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    for one in " ".join(copied).split():
        assert (ROOT / one).exists(), one
    variables = set(re.findall(r"ORACLE_[A-Z_]+", text))
    assert {
        one.removeprefix("ORACLE_").lower() for one in variables
    } <= Settings.model_fields.keys()
