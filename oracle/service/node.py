"""Runs the verbs: one loop a step, woken by a doorbell, and the periodic duties by APScheduler.

The schedule is code and the job table is state, so a node can be stopped anywhere and started
again. An error on purpose (`OracleError`) makes its step wait and try again; any other is a bug and
ends the process loudly. Knows what runs when, and nothing of what it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from oracle.core.job import JobState
from oracle.core.types import Address
from oracle.errors import IllegalTransition, OracleError, WrongChain
from oracle.ports import Clock, Heartbeat, HeartbeatSink, JobStore
from oracle.service.watch import Watch

_log = structlog.get_logger("oracle.node")

_LONGEST_PAUSE_SECONDS = 30.0
_UNFINISHED = (
    JobState.ACCEPTING,
    JobState.ACCEPTED,
    JobState.COMPUTED,
    JobState.ANSWERING,
    JobState.SETTLING,
)


@dataclass(slots=True)
class Step:
    """One verb's loop.

    Attributes:
        name: for the log and the heartbeat.
        cycle: does one round; True where there was work, so that the next round follows at once.
        wakes: names of the steps that have work after a round that did some.
        idle_seconds: longest wait between rounds; None waits for the doorbell alone.
        intake: True where it takes on new work, which stops when the node drains.
    """

    name: str
    cycle: Callable[[], Awaitable[bool]]
    wakes: Sequence[str] = ()
    idle_seconds: float | None = None
    intake: bool = False
    doorbell: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Duty:
    """Rings a step's doorbell every so many seconds."""

    step: str
    every_seconds: float


class Node:
    def __init__(
        self,
        steps: Sequence[Step],
        duties: Sequence[Duty],
        watch: Watch,
        jobs: JobStore,
        heartbeat: HeartbeatSink,
        clock: Clock,
        operator: Address,
        *,
        heartbeat_seconds: float = 2.0,
        drain_seconds: float = 60.0,
        serving: str | None = None,
    ) -> None:
        self._steps = {step.name: step for step in steps}
        self._duties = duties
        self._watch = watch
        self._jobs = jobs
        self._heartbeat = heartbeat
        self._clock = clock
        self._operator = operator
        self._heartbeat_seconds = heartbeat_seconds
        self._drain_seconds = drain_seconds
        self._serving = serving
        self._started_at = clock.now()
        self._trouble: dict[str, str] = {}
        self._draining = False
        self._stop = asyncio.Event()

    def drain(self) -> None:
        """Takes on no more work and ends when what is begun is finished, or time is up."""
        self._draining = True
        for step in self._steps.values():
            step.doorbell.set()

    def stop(self) -> None:
        """Ends at once. Nothing is lost: the job table has it all."""
        self._stop.set()

    async def run(self) -> None:
        """Runs until drained or stopped.

        Raises:
            WrongChain: the chain is not the one this node's database knows.
        """
        scheduler = AsyncIOScheduler(job_defaults={"misfire_grace_time": None, "coalesce": True})
        for duty in self._duties:
            scheduler.add_job(
                self._steps[duty.step].doorbell.set, "interval", seconds=duty.every_seconds
            )
        scheduler.add_job(self._beat, "interval", seconds=self._heartbeat_seconds)
        scheduler.start()
        self._beat()
        loops = [asyncio.create_task(self._loop(step)) for step in self._steps.values()]
        ending = asyncio.create_task(self._until_done())
        try:
            done, _ = await asyncio.wait([*loops, ending], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            scheduler.shutdown(wait=False)
            await _end({*loops, ending})
            self._beat()

    async def _loop(self, step: Step) -> None:
        failures = 0
        while True:
            step.doorbell.clear()
            worked = False
            if not (step.intake and self._draining):
                try:
                    worked = await step.cycle()
                    failures = 0
                    self._trouble.pop(step.name, None)
                except WrongChain:
                    raise
                except OracleError as error:
                    failures += 1
                    if isinstance(error, IllegalTransition) and failures == 1:
                        # News from the chain moved a job while the step looked at it: look again.
                        _log.info("overtaken", step=step.name, by=error.message)
                        continue
                    self._trouble[step.name] = error.message
                    _log.warning("step failed", step=step.name, error=error.message)
            if worked:
                for name in step.wakes:
                    self._steps[name].doorbell.set()
                continue
            pause = step.idle_seconds
            if failures:
                pause = min(_LONGEST_PAUSE_SECONDS, 0.5 * 2 ** min(failures, 10))
                await asyncio.sleep(pause)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(step.doorbell.wait(), pause)

    async def _until_done(self) -> None:
        """Returns when the node is stopped, or drained and finished."""
        deadline: float | None = None
        while not self._stop.is_set():
            if self._draining:
                if deadline is None:
                    deadline = self._clock.now() + self._drain_seconds
                    _log.info("draining", seconds=self._drain_seconds)
                left = await self._jobs.jobs(_UNFINISHED, limit=1)
                if not left:
                    _log.info("drained")
                    return
                if self._clock.now() >= deadline:
                    _log.warning("drain timed out; the rest waits in the job table")
                    return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 0.2)

    def _beat(self) -> None:
        head, cursor = self._watch.head, self._watch.cursor
        trouble = {} if self._watch.trouble is None else {"watch": self._watch.trouble}
        self._heartbeat.write(
            Heartbeat(
                process_id=os.getpid(),
                operator=self._operator,
                started_at=self._started_at,
                beat_at=self._clock.now(),
                head_block=head.number if head else None,
                cursor_block=cursor.number if cursor else None,
                draining=self._draining,
                trouble=trouble | self._trouble,
                serving=self._serving,
            )
        )


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    """Cancels tasks until all have ended.

    Once may not be enough: a wait that is over in the same moment can take a cancellation with it
    (`asyncio.wait_for` before Python 3.12), and the task would go on for ever.
    """
    running = tasks
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=1.0)
    await asyncio.gather(*tasks, return_exceptions=True)
