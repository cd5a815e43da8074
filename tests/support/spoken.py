"""The command line in processes that have imported everything: verbs that run on, quickly started.

Knows nothing of verbs. Their output goes to a file, as a supervisor's.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
from pathlib import Path

from oracle.cli.main import app

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.support.world", "tests.support.spoken"])

_END_SECONDS = 60.0


class Spoken:
    """`oracle` with these words, running."""

    def __init__(self, words: list[str], log_file: Path) -> None:
        self.log_file = log_file
        log_file.touch()
        self._process = _forks.Process(target=_speak, args=(words, log_file), daemon=True)
        self._process.start()

    @property
    def running(self) -> bool:
        return self._process.is_alive()

    async def stop(self) -> int | None:
        """Asks it to end; its exit code."""
        assert self._process.pid is not None
        with contextlib.suppress(ProcessLookupError):  # it may end by itself at this moment
            if self.running:
                os.kill(self._process.pid, signal.SIGTERM)
        await asyncio.to_thread(self._process.join, _END_SECONDS)
        return self._process.exitcode

    def kill(self) -> None:
        if self.running:
            self._process.kill()
        self._process.join()


def _speak(words: list[str], log_file: Path) -> None:
    with log_file.open("ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    app(words)
