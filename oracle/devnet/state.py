"""Which devnet runs: the file that remembers it between commands.

Responsible for never ending a process that is not the devnet's anvil: a pid alone is not believed,
since the system gives it away again. Knows nothing of the chain's contents.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from oracle.devnet.anvil import Anvil
from oracle.errors import ConfigurationError

STATE_FILE: Final = "devnet.json"
_STOP_SECONDS = 5.0
_CLOCK_TOLERANCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class DevnetState:
    """A started devnet. `created_at` is the process's, in Unix seconds by the system."""

    pid: int
    created_at: float
    port: int
    chain_id: int
    log_file: str

    @classmethod
    def of(cls, anvil: Anvil, log_file: Path) -> DevnetState:
        return cls(
            pid=anvil.pid,
            created_at=anvil.started_at,
            port=anvil.port,
            chain_id=anvil.options.chain_id,
            log_file=str(log_file),
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        return self._process() is not None

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{STATE_FILE}"
        temporary.write_text(json.dumps(asdict(self), indent=2) + "\n")
        temporary.replace(folder / STATE_FILE)

    @classmethod
    def load(cls, folder: Path) -> DevnetState | None:
        """The devnet last started in a folder, or None.

        Raises:
            ConfigurationError: the file is damaged.
        """
        path = folder / STATE_FILE
        try:
            document = json.loads(path.read_text())
            return cls(
                pid=int(document["pid"]),
                created_at=float(document["created_at"]),
                port=int(document["port"]),
                chain_id=int(document["chain_id"]),
                log_file=str(document["log_file"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                f"{path} is damaged: {error!r}", hint=f"end anvil yourself and remove {path}"
            ) from None

    def stop(self, folder: Path) -> bool:
        """Ends the devnet if it runs, forgets it, and says whether it ran."""
        process = self._process()
        if process is not None:
            process.resume()
            process.send_signal(2)  # SIGINT: anvil writes its state file
            try:
                process.wait(_STOP_SECONDS)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(_STOP_SECONDS)
        (folder / STATE_FILE).unlink(missing_ok=True)
        return process is not None

    def _process(self) -> psutil.Process | None:
        """The process, if it lives and is still the one that was started."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created_at) < _CLOCK_TOLERANCE_SECONDS
            alive = process.status() != psutil.STATUS_ZOMBIE
            return process if same and alive and "anvil" in process.name() else None
        except psutil.Error:
            return None
