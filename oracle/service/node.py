"""Runs the verbs: one loop a step, woken by a doorbell, and the periodic duties by APScheduler.

The schedule is code and the job table is state, so a node can be stopped anywhere and started
again. An error on purpose (`OracleError`) makes its step wait and try again; any other is a bug and
ends the process loudly. Knows what runs when, and nothing of what it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from oracle.core.backoff import backoff_seconds
from oracle.core.dispute import RevealDemand
from oracle.core.health import Reason, Standing, Vitals
from oracle.core.job import JobState
from oracle.core.types import Address, format_opg
from oracle.errors import IllegalTransition, OracleError, StorageError, WrongChain
from oracle.ports.clock import Clock
from oracle.ports.health import EndpointReport, Heartbeat, HeartbeatSink
from oracle.ports.jobs import JobStore
from oracle.service.fleet import Fleet
from oracle.service.follow_demands import demand_facts
from oracle.service.lead import Leadership
from oracle.service.watch import Watch

_log = structlog.get_logger("oracle.node")

Owed = Callable[[], Awaitable[Sequence[RevealDemand]]]

ENDED_BY = "end"
"""Where the last heartbeat has what ended the node, if it did not end in order."""

_LONGEST_PAUSE_SECONDS = 30.0
_STANDING_BY_SECONDS = 0.25
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
        needs: what this worker must lead for a round; None for what every worker does.
        patience_seconds: a round that takes longer hangs.
        progress: when a long round was last seen to get on, on the monotonic clock.
    """

    name: str
    cycle: Callable[[], Awaitable[bool]]
    wakes: Sequence[str] = ()
    idle_seconds: float | None = None
    intake: bool = False
    needs: Leadership | None = None
    patience_seconds: float = 300.0
    progress: Callable[[], float] | None = None
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
        fleet: Fleet | None = None,
        owed: Owed | None = None,
        more_trouble: Callable[[], Mapping[str, str | None]] = dict,
        wanting: Callable[[], Sequence[Reason]] = tuple,
        endpoints: Callable[[], Sequence[EndpointReport]] = tuple,
        settings_waiting: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """
        Args:
            fleet: this worker among those that share its queue; None where there never are others.
            owed: demands to reveal that can still be met; a node drains after them.
            more_trouble: what is wrong though no step fails, or None, by where it is.
            wanting: what costs money though the node does its job.
            endpoints: how each of the chain's endpoints is doing.
            settings_waiting: names of settings that take a restart.
        """
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
        self.private: str | None = None
        """URL of the server for its operator, once that listens."""
        self._fleet = fleet
        self._owed = owed
        self._more_trouble = more_trouble
        self._wanting = wanting
        self._endpoints = endpoints
        self._settings_waiting = settings_waiting
        self._started_at = clock.now()
        self._trouble: dict[str, str] = {}
        self._draining = False
        self._stop = asyncio.Event()
        self._busy_since: dict[str, float] = {}

    @property
    def draining(self) -> bool:
        return self._draining

    def hung(self) -> Mapping[str, float]:
        """Steps whose round has not ended in its time, with the seconds since it got on."""
        now, found = time.monotonic(), {}
        for name, since in self._busy_since.items():
            step = self._steps[name]
            if step.progress is not None:
                since = max(since, step.progress())
            if now - since > step.patience_seconds:
                found[name] = round(now - since, 1)
        return found

    def vitals(self) -> Vitals:
        """What its health is judged by."""
        return Vitals(
            started_at=self._started_at,
            following=self._watch.following(self._trouble.get("watch")),
            standing=Standing() if self._fleet is None else self._fleet.lead.vitals,
            hung=self.hung(),
            intake=self._more_trouble().get("intake"),
            draining=self._draining,
            wanting=tuple(self._wanting()),
        )

    def summary(self) -> str:
        """How the node is doing, in one line."""
        head, cursor = self._watch.head, self._watch.cursor
        doing = "draining" if self._draining else "serving"
        where = "the chain not read yet"
        if head is not None:
            where = f"block {cursor.number if cursor else 'none'} of {head.number}"
        trouble = "; ".join(f"{where}: {what}" for where, what in self._troubles().items())
        return " ".join(f"{doing}, {where}, {trouble or 'no trouble'}".split())

    def heartbeat(self, *, ended: bool = False) -> Heartbeat:
        """How the node is doing at this moment."""
        head, cursor = self._watch.head, self._watch.cursor
        return Heartbeat(
            process_id=os.getpid(),
            operator=self._operator,
            started_at=self._started_at,
            beat_at=self._clock.now(),
            head_block=head.number if head else None,
            cursor_block=cursor.number if cursor else None,
            draining=self._draining,
            trouble=self._troubles(),
            serving=self._serving,
            private=self.private,
            endpoints=self._endpoints(),
            settings_waiting=self._settings_waiting(),
            standing=None if self._fleet is None else self._fleet.lead.standing,
            ended=ended,
        )

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
        scheduler.start()
        if self._fleet is not None:
            await self._fleet.lead.refresh()
        self._beat()
        loops = [asyncio.create_task(self._loop(step)) for step in self._steps.values()]
        loops.append(asyncio.create_task(self._keep_beating()))
        if self._fleet is not None:
            loops.append(asyncio.create_task(self._fleet.lead.run()))
        ending = asyncio.create_task(self._until_done())
        try:
            done, _ = await asyncio.wait([*loops, ending], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except Exception as error:
            self._trouble[ENDED_BY] = (
                error.message if isinstance(error, OracleError) else repr(error)
            )
            raise
        finally:
            scheduler.shutdown(wait=False)
            await _end({*loops, ending})
            if self._fleet is not None:
                await self._fleet.lead.release()
            self._beat(ended=True)

    async def _loop(self, step: Step) -> None:
        failures = 0
        while True:
            step.doorbell.clear()
            worked = False
            if step.needs is not None and not step.needs.held:
                failures = 0
                self._trouble.pop(step.name, None)
                await asyncio.sleep(_STANDING_BY_SECONDS)
                continue
            if not (step.intake and self._draining):
                self._busy_since[step.name] = time.monotonic()
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
                finally:
                    self._busy_since.pop(step.name, None)
            if worked:
                for name in step.wakes:
                    self._steps[name].doorbell.set()
                continue
            pause = step.idle_seconds
            if failures:
                pause = backoff_seconds(failures, _LONGEST_PAUSE_SECONDS, unit_seconds=0.5)
                await asyncio.sleep(pause)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(step.doorbell.wait(), pause)

    async def _until_done(self) -> None:
        """Returns when the node is stopped, or drained and finished."""
        deadline: float | None = None
        while not self._stop.is_set():
            if self._draining:
                owed = await self._demands_left()
                if deadline is None:
                    if self._fleet is not None:
                        await self._fleet.retire()
                    deadline = self._clock.now() + self._drain_seconds
                    _log.info("draining", seconds=self._drain_seconds)
                    for demand in owed or ():
                        _log.warning("a demand is to be met first", **demand_facts(demand))
                if owed == [] and await self._finished():
                    await self._tell_what_is_open()
                    _log.info("drained")
                    return
                if self._clock.now() >= deadline:
                    _log.warning("drain timed out; the rest waits in the job table")
                    for demand in owed or ():
                        _log.critical(
                            "a demand is left: start the node again before its deadline, or the "
                            "bond is lost",
                            **demand_facts(demand),
                        )
                    await self._tell_what_is_open()
                    return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 0.2)

    async def _finished(self) -> bool:
        """Whether nothing is begun that is not ended; not, where it cannot be found out now."""
        try:
            if self._fleet is not None:
                return not await self._fleet.begun(_UNFINISHED)
            return not await self._jobs.jobs(_UNFINISHED, limit=1)
        except OracleError as error:
            _log.warning("jobs cannot be read", error=error.message)
            return False

    async def _tell_what_is_open(self) -> None:
        """An answer can be disputed while nobody is here to show its trace."""
        try:
            found = await self._jobs.disputable(self._clock.now())
        except OracleError as error:
            _log.warning("jobs cannot be read", error=error.message)
            return
        if found is not None:
            _log.warning(
                "answers are not final: a demand until then needs this node",
                answers=found.answers,
                until=datetime.fromtimestamp(found.until, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
                opg_at_stake=format_opg(found.bonds),
            )

    async def _demands_left(self) -> Sequence[RevealDemand] | None:
        """None where it cannot be found out now."""
        try:
            return [] if self._owed is None else list(await self._owed())
        except OracleError as error:
            _log.warning("demands cannot be read", error=error.message)
            return None

    def _troubles(self) -> dict[str, str]:
        found = {"watch": self._watch.trouble, **self._more_trouble()}
        hung = {name: f"has not come back for {late} s" for name, late in self.hung().items()}
        if self._fleet is not None:
            found["lease"] = self._fleet.lead.trouble
        return {where: what for where, what in found.items() if what} | hung | self._trouble

    async def _keep_beating(self) -> None:
        """Without the scheduler: it goes by the wall clock, and falls silent where that is set back
        until it is again what it was. Whoever listens would take the node for dead."""
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self._heartbeat_seconds)
            self._beat()

    def _beat(self, *, ended: bool = False) -> None:
        try:
            self._heartbeat.write(self.heartbeat(ended=ended))
        except StorageError as error:
            _log.error("no heartbeat", error=error.message)


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
