"""Runs the watcher: follows answers, takes each case a step at a time, and sees to what was sent.

A case waits for nobody else's: each is stepped in a task of its own, and one operator's take half
of the room at most, however slowly it serves. What fails is tried again, ever more slowly. All
state is in the tables, so the process can be killed anywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace

import structlog

from oracle.core.backoff import backoff_seconds
from oracle.core.case import Case, CaseState
from oracle.core.health import Vitals
from oracle.core.types import Address
from oracle.errors import OracleError
from oracle.ports.clock import Clock
from oracle.service.transact import Transact
from oracle.storage.case_store import SqlCaseStore
from oracle.watcher.follow import Follow
from oracle.watcher.overtaken import is_overtaken

_log = structlog.get_logger("oracle.watcher")

_SLOWEST_RETRY_SECONDS = 30.0
_SLOWEST_CONVICTION_SECONDS = 5.0
"""What is wrong is tried again sooner: a window is closing."""

_OVERTAKEN_ROUNDS = 8
"""What is in the pool only is seen by an estimate, and by a look when it is mined."""

CaseStep = Callable[[Case], Awaitable[Case]]


class Watcher:
    def __init__(
        self,
        follow: Follow,
        steps: Mapping[CaseState, CaseStep],
        cases: SqlCaseStore,
        transact: Transact,
        clock: Clock,
        *,
        look: Callable[[], Awaitable[None]],
        retire: Callable[[Case], Awaitable[None]],
        poll_seconds: float,
        abreast: int,
        hang_seconds: float = 300.0,
    ) -> None:
        """`steps` has one for each state that is no end. `look` is called every round; `retire`
        gives up what was sent for a case that has ended. A round that takes `hang_seconds` hangs.
        """
        self._follow = follow
        self._steps = steps
        self._cases = cases
        self._transact = transact
        self._clock = clock
        self._look = look
        self._retire = retire
        self._poll_seconds = poll_seconds
        self._room = asyncio.Semaphore(abreast)
        self._of_one = max(1, abreast // 2)
        self._rooms: dict[Address, asyncio.Semaphore] = {}
        self._busy: dict[bytes, asyncio.Task[None]] = {}
        self._stop = asyncio.Event()
        self._hang_seconds = hang_seconds
        self._started_at = clock.now()
        self._round_since: float | None = None
        self.trouble: str | None = None
        """Why the last round failed; None where it did not."""

    def vitals(self) -> Vitals:
        """What its health is judged by."""
        since = self._round_since
        late = 0.0 if since is None else time.monotonic() - since
        return Vitals(
            started_at=self._started_at,
            following=self._follow.following(self.trouble),
            hung={"round": late} if late > self._hang_seconds else {},
        )

    def stop(self) -> None:
        """Ends at once. Nothing is lost."""
        self._stop.set()

    async def run(self, *, done: Callable[[], Awaitable[bool]] | None = None) -> None:
        """Runs until stopped, or until `done` says so while nothing is under way."""
        failures = 0
        try:
            while not self._stop.is_set():
                pause = self._poll_seconds
                self._round_since = time.monotonic()
                try:
                    await self._follow.cycle()
                    await self._transact.cycle(self._follow.head_block)
                    await self._begin()
                    await self._look()
                    failures, self.trouble = 0, None
                    if done is not None and not self._busy and await done():
                        return
                except OracleError as error:
                    failures += 1
                    self.trouble = error.message
                    pause = backoff_seconds(failures, _SLOWEST_RETRY_SECONDS, unit_seconds=pause)
                    _log.warning("round failed", error=error.message)
                self._round_since = None
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), pause)
        finally:
            tasks = list(self._busy.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _postponed(self, case: Case) -> Case:
        tried = case.attempts + 1
        looking = case.state is CaseState.OPEN
        slowest = _SLOWEST_RETRY_SECONDS if looking else _SLOWEST_CONVICTION_SECONDS
        wait = backoff_seconds(tried, slowest, unit_seconds=self._poll_seconds)
        return replace(case, attempts=tried, not_before=self._clock.now() + wait)

    async def idle(self) -> bool:
        """Whether every answer up to the head is decided."""
        return not await self._cases.unfinished()

    async def _begin(self) -> None:
        """Gives every case that is due a task, unless it has one. Raises what a task met."""
        for request_id, task in list(self._busy.items()):
            if task.done():
                del self._busy[request_id]
                task.result()
        for case in await self._cases.unfinished(due_at=self._clock.now()):
            if case.request_id not in self._busy:
                self._busy[case.request_id] = asyncio.create_task(self._step(case))

    @contextlib.asynccontextmanager
    async def _looking(self, case: Case) -> AsyncIterator[None]:
        own = self._rooms.setdefault(case.operator, asyncio.Semaphore(self._of_one))
        async with own, self._room:
            yield

    async def _step(self, case: Case) -> None:
        # Only looking is slow: what is convicted must not wait behind it.
        looking = case.state is CaseState.OPEN
        async with self._looking(case) if looking else contextlib.nullcontext():
            try:
                after = replace(await self._steps[case.state](case), attempts=0)
                if after.state.ended and not looking:  # for what is looked at, nothing is sent
                    await self._retire(case)
            except OracleError as error:
                after = self._postponed(case)
                if not is_overtaken(error) or after.attempts > _OVERTAKEN_ROUNDS:
                    _log.warning(
                        "tried again later",
                        request=_short(case),
                        state=case.state.value,
                        error=error.message,
                    )
            except Exception:
                # Strangers' bytes are read here: whoever finds one that we stumble over must not
                # end the watch over everybody else.
                after = self._postponed(case)
                _log.critical("a fault of this program", request=_short(case), exc_info=True)
            if after.state is CaseState.MISSED:
                identity = "0x" + case.request_id.hex()
                _log.error("A WRONG ANSWER BECAME FINAL", request=identity, why=after.reason)
            if after.state is not case.state:
                _log.info(
                    "case", request=_short(case), state=after.state.value, reason=after.reason
                )
            if after != case:
                await self._cases.save(after)


def _short(case: Case) -> str:
    return "0x" + case.request_id[:5].hex()
