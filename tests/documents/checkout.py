"""What a page finds where its reader stands: a checkout that is set up, and a devnet that runs.

Responsible for the folder and for what runs beside the page; a page's commands are its own. All
that is the repository's is linked, so that what a page writes stays in the test's folder.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from oracle.bootstrap.devnet import free_port as any_free_port
from oracle.bootstrap.worker import Worker
from oracle.devnet.anvil import find_anvil

ROOT: Final = Path(__file__).resolve().parents[2]

_LINKED = ("abi", "contracts", "models", "node_modules", "oracle", "scripts", "tests",
           "package-lock.json", "pyproject.toml", "requirements.txt")  # fmt: skip
_VERB_SECONDS = 300


def checkout(folder: Path) -> Path:
    """A checkout of which `scripts/setup run` finds nothing to do."""
    folder.mkdir()
    for name in _LINKED:
        (folder / name).symlink_to(ROOT / name)
    environment = folder / ".venv"
    environment.mkdir()
    for one in Path(sys.prefix).iterdir():
        if not one.name.startswith(".installed"):
            (environment / one.name).symlink_to(one)
    wanted = (ROOT / "requirements.txt").read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    (environment / ".installed-run").write_text(hashlib.sha256(wanted).hexdigest() + "\n")
    return folder


def with_anvil() -> dict[str, str]:
    """A PATH on which the anvil is that the tests run."""
    own = [str(Path(sys.executable).parent), str(find_anvil().parent)]
    return {"PATH": os.pathsep.join([*own, os.environ["PATH"]])}


def free_port() -> str:
    """A port to type, free for as long as a page takes."""
    return str(any_free_port())


@dataclass(frozen=True, slots=True)
class Devnet:
    """A devnet that was started in a folder, as a person does it, with its operator's node."""

    folder: Path
    worker: Worker

    @property
    def data_dir(self) -> Path:
        return self.folder / ".oracle"

    @property
    def rpc_url(self) -> str:
        """Where its chain is."""
        state = oracle(self.folder, "devnet", "status")
        return str(state["rpc_url"])


@contextmanager
def devnet(folder: Path) -> Iterator[Devnet]:
    """A devnet in a folder, and its node."""
    try:
        oracle(folder, "devnet", "up")
        data = folder / ".oracle"
        starting = Worker.start(data / "oracle.toml", data, environment=bare_environment())
        worker = asyncio.run(starting)
        try:
            yield Devnet(folder, worker)
        finally:
            asyncio.run(worker.stop())
    finally:
        oracle(folder, "devnet", "down")


def oracle(folder: Path, *arguments: str) -> dict[str, Any]:
    """What a verb says for scripts, typed in this folder. Raises AssertionError where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "oracle", *arguments, "--json"],
        cwd=folder,
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=_VERB_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"oracle {' '.join(arguments)}: {done.stderr}"
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def bare_environment() -> dict[str, str]:
    """This process's variables, without settings of ours."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ORACLE_") or name == "ORACLE_ANVIL"
    }
