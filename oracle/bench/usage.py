"""What processes use while something else happens: CPU seconds and resident memory, sampled.

A process's children count as its own. Knows processes by their ids and nothing of what they do.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

_SAMPLE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one process."""

    at: float
    cpu_seconds: float
    rss_bytes: int


class Usage:
    """Samples by process name. `at` is on the monotonic clock."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in processes.items()}
        self.samples: dict[str, list[Sample]] = {name: [] for name in processes}

    def look(self) -> None:
        """Takes one sample of each process that is still there."""
        for name, process in self._processes.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                used, rss = _of(process)
                for child in process.children():
                    more = _of(child)
                    used, rss = used + more[0], rss + more[1]
                self.samples[name].append(Sample(time.monotonic(), used, rss))

    def cpu_seconds(self, name: str, first: float, last: float) -> float:
        """CPU seconds that a process used between two moments, to the sampling interval."""
        taken = self.samples[name]
        before = [one.cpu_seconds for one in taken if one.at <= first] or [taken[0].cpu_seconds]
        until = [one.cpu_seconds for one in taken if one.at <= last]
        return until[-1] - before[-1]

    def peak_rss_mib(self, name: str) -> float:
        """Largest resident memory seen, in MiB."""
        return max(one.rss_bytes for one in self.samples[name]) / 2**20


def _of(process: psutil.Process) -> tuple[float, int]:
    """CPU seconds so far, and bytes of memory."""
    with process.oneshot():
        times = process.cpu_times()
        return times.user + times.system, process.memory_info().rss


@asynccontextmanager
async def watching(processes: Mapping[str, int]) -> AsyncIterator[Usage]:
    """Samples processes, by name and id, until the context ends."""
    usage = Usage(processes)
    usage.look()

    async def sample() -> None:
        while True:
            await asyncio.sleep(_SAMPLE_SECONDS)
            usage.look()

    task = asyncio.create_task(sample())
    try:
        yield usage
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        usage.look()
