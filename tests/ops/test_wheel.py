"""The wheel, as the Containerfile builds it: installed by itself, it has all that a node needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest

from oracle import __version__
from oracle.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("pyproject.toml", "README.md", "LICENSE", "abi", "models", "oracle")
"""What the Containerfile copies before it builds."""


def called(*command: object, folder: Path, more: Mapping[str, str] | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if "ORACLE_" not in name}
    done = subprocess.run(
        [str(one) for one in command],
        cwd=folder,
        env={**environment, **(more or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    compiled = shutil.ignore_patterns("__pycache__")  # it changes while other tests run
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=compiled)
        else:
            shutil.copy(ROOT / name, source / name)
    # Without isolation: the build's tools are among the tests' packages, and no network is needed.
    options = ("--no-deps", "--no-build-isolation", "--wheel-dir", source / "wheels")
    called(sys.executable, "-m", "pip", "wheel", *options, ".", folder=source)
    (built,) = (source / "wheels").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel, and with the tests' packages for what it needs."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(home, with_pip=False)
    target = home / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    pip = (sys.executable, "-m", "pip", "--python", home / "bin" / "python")
    called(*pip, "install", "--no-deps", "--no-compile", wheel, folder=home)
    assert (target / "oracle").is_dir()
    # After its own packages, and without this checkout, which only a .pth of theirs leads to.
    assert (home / "bin" / "oracle").read_text().startswith(f"#!{home}")
    (target / "needs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin" / "oracle"


def test_it_is_the_wheel_that_runs(installed: Path, tmp_path: Path) -> None:
    assert called(installed, "--version", folder=tmp_path).strip() == __version__
    python = installed.parent / "python"
    where = called(python, "-c", "import oracle; print(oracle.__file__)", folder=tmp_path)
    assert Path(where).is_relative_to(installed.parent.parent)


def test_settings_and_init_work_from_it(installed: Path, tmp_path: Path) -> None:
    shown = json.loads(called(installed, "settings", "--json", folder=tmp_path))
    assert {one["setting"] for one in shown["settings"]} == Settings.model_fields.keys()
    called(installed, "init", "--with-keys", folder=tmp_path)
    written = tomllib.loads((tmp_path / "oracle.toml").read_text())
    assert (tmp_path / written["signer_keystore"]).is_file()


def test_contracts_and_models_are_in_it(installed: Path, tmp_path: Path) -> None:
    code = (
        "import json; from oracle.chain.abi import errors_by_selector; "
        "from oracle.devnet.samples import samples; "
        "print(json.dumps([len(errors_by_selector()), [str(one.file) for one in samples()]]))"
    )
    errors, files = json.loads(called(installed.parent / "python", "-c", code, folder=tmp_path))
    assert errors > 50
    assert len(files) == len(list((ROOT / "models").glob("*.manifest.json")))
    assert all(Path(one).is_relative_to(installed.parent.parent) for one in files)
