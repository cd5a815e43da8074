"""Runs the watcher: follows answers, takes each case a step at a time, and sees to what was sent.

A case waits for nobody else's: each is stepped in a task of its own. What fails is tried again,
ever more slowly. All state is in the tables, so the process can be killed anywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import structlog

from oracle.core.case import Case, CaseState
from oracle.errors import OracleError
from oracle.ports import Clock
from oracle.service.transact import Transact
from oracle.storage.case_store import SqlCaseStore
from oracle.watcher.follow import Follow

_log = structlog.get_logger("oracle.watcher")

_SLOWEST_RETRY_SECONDS = 30.0

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
        poll_seconds: float,
        abreast: int,
    ) -> None:
        """`steps` has one for each state that is no end."""
        self._follow = follow
        self._steps = steps
        self._cases = cases
        self._transact = transact
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._room = asyncio.Semaphore(abreast)
        self._busy: dict[bytes, asyncio.Task[None]] = {}
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Ends at once. Nothing is lost."""
        self._stop.set()

    async def run(self, *, done: Callable[[], Awaitable[bool]] | None = None) -> None:
        """Runs until stopped, or until `done` says so while nothing is under way."""
        failures = 0
        try:
            while not self._stop.is_set():
                pause = self._poll_seconds
                try:
                    await self._follow.cycle()
                    await self._transact.cycle(self._follow.head_block)
                    await self._begin()
                    failures = 0
                    if done is not None and not self._busy and await done():
                        return
                except OracleError as error:
                    failures += 1
                    pause = min(_SLOWEST_RETRY_SECONDS, pause * 2 ** min(failures, 10))
                    _log.warning("round failed", error=error.message)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), pause)
        finally:
            tasks = list(self._busy.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _postponed(self, case: Case) -> Case:
        tried = case.attempts + 1
        wait = min(_SLOWEST_RETRY_SECONDS, self._poll_seconds * 2.0 ** min(tried, 10))
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

    async def _step(self, case: Case) -> None:
        # Only looking is slow: what is convicted must not wait behind it.
        room = self._room if case.state is CaseState.OPEN else contextlib.nullcontext()
        async with room:
            try:
                after = replace(await self._steps[case.state](case), attempts=0)
            except OracleError as error:
                after = self._postponed(case)
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
            if after.state is not case.state:
                _log.info(
                    "case", request=_short(case), state=after.state.value, reason=after.reason
                )
            if after != case:
                await self._cases.save(after)


def _short(case: Case) -> str:
    return "0x" + case.request_id[:5].hex()
