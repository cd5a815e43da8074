"""Our programs in processes of their own, as people run them. Knows nothing of what they do."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from oracle.errors import OracleError
from oracle.storage.heartbeat import HeartbeatFile

NODE = ("oracle", "node", "run")
_READY_SECONDS = 180.0
_STOP_SECONDS = 30.0


@dataclass(slots=True)
class Worker:
    """A running program, mostly a node, and where it logs to."""

    process: subprocess.Popen[bytes]
    log_file: Path

    @classmethod
    async def start(
        cls,
        settings_file: Path,
        data_dir: Path,
        *,
        program: Sequence[str] = NODE,
        environment: Mapping[str, str] | None = None,
    ) -> Worker:
        """Starts a node and waits for its first heartbeat.

        Args:
            program: the module that runs it and the module's arguments after `--config FILE`.
            environment: the process's variables; this one's by default.

        Raises:
            OracleError: it ended instead, with the end of its log.
        """
        heartbeat = HeartbeatFile(data_dir / "node.json")
        worker = cls.spawn(
            settings_file, data_dir / "node.log", program=program, environment=environment
        )
        give_up_at = time.monotonic() + _READY_SECONDS
        while time.monotonic() < give_up_at:
            beat = heartbeat.read()
            if beat is not None and beat.process_id == worker.process.pid:
                return worker
            if worker.process.poll() is not None:
                break
            await asyncio.sleep(0.05)
        await worker.stop()
        raise OracleError(
            f"the node did not start: {worker.last_lines()}", hint=f"its log is {worker.log_file}"
        )

    @classmethod
    def spawn(
        cls,
        settings_file: Path,
        log_file: Path,
        *,
        program: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> Worker:
        """Starts a process and does not wait for anything. Arguments as of `start`."""
        module, *arguments = program
        with log_file.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", module, "--config", str(settings_file), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**(environment or os.environ), "PYTHONUNBUFFERED": "1"},
            )
        return cls(process, log_file)

    async def stop(self) -> int:
        """Asks it to drain and waits; the exit code. Ends it by force where it does not."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                await asyncio.to_thread(self.process.wait, _STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                await asyncio.to_thread(self.process.wait, _STOP_SECONDS)
        return self.process.returncode

    def last_lines(self, count: int = 5) -> str:
        """The end of its log."""
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-count:])
