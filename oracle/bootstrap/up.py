"""Keeps a node running: starts it again when it dies, with growing pauses, until that is no use.

Responsible for when to start again and when to end, for passing signals on, and for ending a node
that has hung by its own word. For machines and people without systemd. Knows no settings.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from oracle.bootstrap.notified import Listener, listening
from oracle.errors import BEYOND_RESTARTING

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
_IMPATIENT: Final = 3
"""So many requests to end are not passed on any more: the node is killed."""

_LEFT_AFTER_DRAIN_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what may take.

    Attributes:
        first_pause: before the first new start, in seconds; each further one is twice as long.
        longest_pause: at most.
        steady_seconds: a node that ran for so long begins with the first pause again.
        watchdog_seconds: a node that does not say for so long that it lives is killed.
        stop_seconds: after a request to end, until it is killed.
    """

    first_pause: float = 1.0
    longest_pause: float = 60.0
    steady_seconds: float = 60.0
    watchdog_seconds: float = 60.0
    stop_seconds: float = 60.0 + _LEFT_AFTER_DRAIN_SECONDS

    @classmethod
    def of(cls, drain_seconds: float) -> Patience:
        """For a node that may drain for so long."""
        return cls(stop_seconds=drain_seconds + _LEFT_AFTER_DRAIN_SECONDS)

    def pauses(self) -> Iterable[float]:
        pause = self.first_pause
        while True:
            yield min(pause, self.longest_pause)
            pause = min(2 * pause, self.longest_pause)


@dataclass(frozen=True, slots=True)
class Kept:
    """How it ended: the last exit code, as shells count, and how often it was started."""

    exit_code: int
    starts: int


class Keeper:
    """One node, over all of its lives."""

    def __init__(
        self,
        command: Sequence[str],
        patience: Patience,
        say: Callable[[str], None],
        *,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._command = command
        self._patience = patience
        self._say = say
        self._environment = environment
        self._asked = 0
        self._asked_to_end = asyncio.Event()
        self._child: asyncio.subprocess.Process | None = None

    async def keep(self) -> Kept:
        """Runs the node until it ends in order, is asked to, or cannot be mended by a new start."""
        loop = asyncio.get_running_loop()
        for number in _STOPPING:
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        try:
            async with listening(self._patience.watchdog_seconds) as listener:
                return await self._keep(listener)
        finally:
            for number in (*_STOPPING, signal.SIGHUP):
                loop.remove_signal_handler(number)

    async def _keep(self, listener: Listener) -> Kept:
        starts, pauses = 0, iter(self._patience.pauses())
        while True:
            starts += 1
            began = time.monotonic()
            code = await self._live(listener)
            how = f"the node ended with {code}"
            if code == 0 or self._asked:
                self._say(how)
                return Kept(code, starts)
            if code in BEYOND_RESTARTING:
                self._say(f"{how}, which starting it again does not mend: see what it says above")
                return Kept(code, starts)
            if time.monotonic() - began >= self._patience.steady_seconds:
                pauses = iter(self._patience.pauses())
            pause = next(pauses)
            self._say(f"{how}; it is started again in {pause:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked_to_end.wait(), pause)
                return Kept(code, starts)

    async def _live(self, listener: Listener) -> int:
        """One life; its exit code."""
        child = await asyncio.create_subprocess_exec(
            *self._command,
            # In a session of its own: a Ctrl-C is passed on, and is not heard twice.
            start_new_session=True,
            env={**self._environment, **listener.environment},
        )
        self._child = child
        self._say(f"the node is started (process {child.pid})")
        hearing = asyncio.create_task(self._hear(listener, child))
        ending = asyncio.create_task(self._end(child))
        try:
            if self._asked:  # between two lives
                self._pass_on(signal.SIGTERM)
            code = await child.wait()
        finally:
            self._child = None
            for task in (hearing, ending):
                task.cancel()
            await asyncio.gather(hearing, ending, return_exceptions=True)
            if child.returncode is None:
                child.kill()
                await child.wait()
        return code if code >= 0 else 128 - code

    async def _hear(self, listener: Listener, child: asyncio.subprocess.Process) -> None:
        """Tells people what they want to know, and kills a node that has ceased to report."""
        alive_at: float | None = None  # nothing is promised before it is ready
        while True:
            left = None
            if alive_at is not None:
                left = alive_at + self._patience.watchdog_seconds - time.monotonic()
            try:
                news = await asyncio.wait_for(listener.hear(), left)
            except TimeoutError:
                self._say("the node does not say that it lives: it is killed")
                _signal(child, signal.SIGKILL)
                return
            if "READY" in news:
                self._say(f"the node is ready: {news.get('STATUS', '')}")
            if "STOPPING" in news and "READY" not in news and news.get("STATUS") != "ended":
                self._say(f"the node is ending: {news.get('STATUS', '')}")
            # Before READY, what is heard may still be from the node's last life.
            if "READY" in news or (alive_at is not None and "WATCHDOG" in news):
                alive_at = time.monotonic()

    async def _end(self, child: asyncio.subprocess.Process) -> None:
        """Kills a node that was asked to end and takes too long."""
        await self._asked_to_end.wait()
        await asyncio.sleep(self._patience.stop_seconds)
        self._say(f"the node has not ended in {self._patience.stop_seconds:g} s: it is killed")
        _signal(child, signal.SIGKILL)

    def _stop(self, number: signal.Signals) -> None:
        self._asked += 1
        self._asked_to_end.set()
        self._say(f"{number.name}: the node finishes what is begun (again: it ends at once)")
        self._pass_on(signal.SIGKILL if self._asked >= _IMPATIENT else number)

    def _pass_on(self, number: signal.Signals) -> None:
        if self._child is not None:
            _signal(self._child, number)


def _signal(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        child.send_signal(number)
