"""One anvil process: found, started on a port of the system's choosing, and ended.

Responsible for the process only. Knows nothing of contracts or accounts.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from oracle.errors import ConfigurationError

DEVNET_CHAIN_ID: Final = 31337
BLOCK_GAS_LIMIT: Final = 30_000_000
ANVIL_VARIABLE: Final = "ORACLE_ANVIL"

_READY_SECONDS = 60.0
_STOP_SECONDS = 5.0
_TAKEN = "Address already in use"
_LISTENING = re.compile(r"Listening on 127\.0\.0\.1:(\d+)")
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_INSTALL_HINT = f"run `npm ci` in the repository, or name an anvil in {ANVIL_VARIABLE}"


@dataclass(frozen=True, slots=True)
class AnvilOptions:
    """How a chain is started.

    Attributes:
        port: 0 for one that the system chooses.
        block_seconds: None mines a block per transaction; 0 mines only on demand.
        state_file: kept over restarts, written every second and at the end.
        slots_in_an_epoch: 1 lets `finalized` follow two blocks behind the head.
        outlive_parent: whether the chain goes on when this process ends.
    """

    chain_id: int = DEVNET_CHAIN_ID
    port: int = 0
    block_seconds: float | None = None
    state_file: Path | None = None
    gas_limit: int = BLOCK_GAS_LIMIT
    accounts: int = 20
    slots_in_an_epoch: int | None = None
    outlive_parent: bool = False
    more: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        options: list[tuple[str, object]] = [
            ("--host", "127.0.0.1"),
            ("--port", self.port),
            ("--chain-id", self.chain_id),
            ("--gas-limit", self.gas_limit),
            ("--accounts", self.accounts),
        ]
        if self.block_seconds:
            options.append(("--block-time", f"{self.block_seconds:g}"))
        if self.slots_in_an_epoch is not None:
            options.append(("--slots-in-an-epoch", self.slots_in_an_epoch))
        if self.state_file is not None:
            options += [("--state", self.state_file), ("--state-interval", 1)]
        on_demand = ["--no-mining"] if self.block_seconds == 0 else []
        return [str(part) for option in options for part in option] + on_demand + [*self.more]


class Anvil:
    """A running anvil.

    Attributes:
        url: its HTTP endpoint, on 127.0.0.1.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, options: AnvilOptions) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.options = options
        self._process = process
        if not options.outlive_parent:
            atexit.register(self.kill)

    @classmethod
    def start(cls, options: AnvilOptions, log_file: Path) -> Anvil:
        """Starts anvil and waits until it listens; it is ready when this returns.

        Raises:
            ConfigurationError: there is no anvil, or it does not start; the message has its reason.
        """
        binary = find_anvil()
        log_file.parent.mkdir(parents=True, exist_ok=True)
        if options.state_file is not None:
            options.state_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
                [str(binary), *options.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C for the parent is not one for the chain
                preexec_fn=None if options.outlive_parent else _die_with_parent(),
                env=_environment(os.environ),
            )
        try:
            return cls(process, _await_port(process, log_file, options.port), options)
        except BaseException:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def started_at(self) -> float:
        """When the operating system says the process was made; with the pid, it identifies it."""
        return float(psutil.Process(self.pid).create_time())

    def stop(self) -> None:
        """Ends it in order, so that its state file is written; kills it where that takes long."""
        if self.running:
            _signal_group(self.pid, signal.SIGCONT)
            _signal_group(self.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Ends it at once; may be called twice."""
        if self.running:
            _signal_group(self.pid, signal.SIGKILL)
            self._process.wait()
        atexit.unregister(self.kill)

    def suspend(self) -> None:
        """Makes it hang: it keeps connections and answers nothing. It hangs when this returns."""
        _signal_group(self.pid, signal.SIGSTOP)
        while psutil.Process(self.pid).status() not in (
            psutil.STATUS_STOPPED,
            psutil.STATUS_ZOMBIE,
        ):
            time.sleep(0.001)

    def resume(self) -> None:
        _signal_group(self.pid, signal.SIGCONT)


def find_anvil() -> Path:
    """The anvil to run: the one in ORACLE_ANVIL, on the PATH, or of the checkout's npm packages.

    Raises:
        ConfigurationError: there is none.
    """
    named = os.environ.get(ANVIL_VARIABLE)
    if named:
        path = shutil.which(named)
        if path is None:
            raise ConfigurationError(
                f"{ANVIL_VARIABLE} names {named}, which is no program", hint=_INSTALL_HINT
            )
        return _native(Path(path))
    on_path = shutil.which("anvil")
    if on_path is not None:
        return _native(Path(on_path))
    for root in (Path(__file__).resolve().parents[2], Path.cwd()):
        script = root / "node_modules" / ".bin" / "anvil"
        if script.exists():
            return _native(script)
    raise ConfigurationError("anvil is not installed", hint=_INSTALL_HINT)


def _native(path: Path) -> Path:
    """The program behind npm's launcher: a killed launcher would leave its anvil running."""
    real = path.resolve()
    if real.suffix != ".mjs":
        return real
    found = sorted(real.parents[1].glob("anvil-*/bin/anvil"))
    return found[0] if found else real


def _await_port(process: subprocess.Popen[bytes], log_file: Path, port: int) -> int:
    """The port it listens on; `port` is the one that it was told to take."""
    give_up_at = time.monotonic() + _READY_SECONDS
    while time.monotonic() < give_up_at:
        text = log_file.read_text(errors="replace")
        if match := _LISTENING.search(text):
            return int(match[1])
        if process.poll() is not None:
            lines = [line for line in text.splitlines() if line.strip()]
            reason = lines[-1] if lines else f"exit status {process.returncode}"
            if port and _TAKEN in reason:
                raise ConfigurationError(
                    f"port {port} is taken", hint="give another --port, or none for a free one"
                )
            raise ConfigurationError(f"anvil did not start: {reason}", hint=f"see {log_file}")
        time.sleep(0.01)
    raise ConfigurationError(
        f"anvil does not listen after {_READY_SECONDS:g} s", hint=f"see {log_file}"
    )


def _die_with_parent() -> Callable[[], None] | None:
    """Has Linux kill the child when this process dies, however it dies."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def before_exec() -> None:
        libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the request was made
            os._exit(1)

    return before_exec


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Without variables that anvil would take as options."""
    return {name: value for name, value in environment.items() if not name.startswith("ANVIL_")}


def _signal_group(pid: int, number: signal.Signals) -> None:
    """Signals a process and its children; each anvil leads a group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
