"""Verifications on demand: a few at once, each bounded in time, told step by step.

A result is kept for a while, and whoever asks for one that runs watches that one. How an answer is
verified is the runner's business. Knows nothing of pages.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

import structlog

from oracle.errors import OracleError
from oracle.verify.report import Kind, Name

_log = structlog.get_logger("oracle.explorer")

STEPS: Final = tuple(one.value for one in Name)


class CheckRunner(Protocol):
    """Verifies one answer somewhere where it can be ended."""

    def __call__(self, request_id: bytes) -> AsyncIterator[Mapping[str, Any]]:
        """Steps as `Report.facts` has them, as they are over; then `verdict` and `text`.

        Raises:
            OracleError: it could not be verified at all.
        """
        ...


class CheckRefused(Exception):
    """Not now. `seconds` says when to come again."""

    def __init__(self, reason: str, seconds: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """What verifications may cost.

    Attributes:
        at_once: that run.
        waiting: that wait for their turn.
        seconds: for one, its end included.
        kept: results that are remembered.
        fresh_seconds: for so long a result is not made again.
        per_minute: begun by one address.
    """

    at_once: int = 1
    waiting: int = 8
    seconds: float = 120.0
    kept: int = 256
    fresh_seconds: float = 30.0
    per_minute: int = 6


class CheckState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass
class Check:
    """One verification as it stands; `version` grows with each change."""

    request_id: bytes
    state: CheckState = CheckState.WAITING
    steps: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    verdict: str | None = None
    text: str = ""
    ended_at: float | None = None
    version: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def over(self) -> bool:
        return self.state in (CheckState.DONE, CheckState.FAILED)

    @property
    def good(self) -> bool:
        return self.verdict == "verified"

    def facts(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "state": self.state.value,
            "verdict": self.verdict,
            "text": self.text,
            "steps": [self.steps[name] for name in STEPS if name in self.steps],
        }

    def told(self) -> None:
        """Says that it has changed."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self, known: int, seconds: float) -> None:
        """Waits until it is another than the version that is known, or for so long."""
        changed = self._changed
        if self.version != known:
            return
        try:
            await asyncio.wait_for(changed.wait(), seconds)
        except TimeoutError:
            return


class Checks:
    """All verifications of one explorer."""

    def __init__(self, runner: CheckRunner, limits: CheckLimits | None = None) -> None:
        self._runner = runner
        self._limits = limits or CheckLimits()
        self._known: OrderedDict[bytes, Check] = OrderedDict()
        self._turn = asyncio.Semaphore(self._limits.at_once)
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun: dict[str, deque[float]] = {}

    def find(self, request_id: bytes) -> Check | None:
        """The latest verification of an answer, if one is remembered."""
        return self._known.get(request_id)

    def begin(self, request_id: bytes, who: str) -> Check:
        """Begins a verification for an address, or gives the one that runs or is fresh.

        Raises:
            CheckRefused: too many are under way, or this address has begun too many.
        """
        known = self._known.get(request_id)
        if known is not None and (not known.over or self._is_fresh(known)):
            return known
        if len(self._tasks) >= self._limits.at_once + self._limits.waiting:
            raise CheckRefused("many verifications are under way; try again in a minute", 60)
        self._count(who)
        check = Check(request_id)
        self._known[request_id] = check
        self._known.move_to_end(request_id)
        self._forget()
        task = asyncio.create_task(self._run(check))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return check

    async def close(self) -> None:
        """Ends what runs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_fresh(self, check: Check) -> bool:
        return time.time() - (check.ended_at or 0.0) < self._limits.fresh_seconds

    def _count(self, who: str) -> None:
        now = time.monotonic()
        begun = self._begun.setdefault(who, deque())
        while begun and now - begun[0] > 60:
            begun.popleft()
        if len(begun) >= self._limits.per_minute:
            left = max(1, int(60 - (now - begun[0])))
            raise CheckRefused("you have begun many verifications; try again in a while", left)
        begun.append(now)
        for other in [one for one, times in self._begun.items() if now - times[-1] > 60]:
            del self._begun[other]

    def _forget(self) -> None:
        """Drops the oldest that are over."""
        for request_id in list(self._known)[: max(0, len(self._known) - self._limits.kept)]:
            if self._known[request_id].over:
                del self._known[request_id]

    async def _run(self, check: Check) -> None:
        try:
            async with self._turn:
                check.state = CheckState.RUNNING
                check.told()
                async with asyncio.timeout(self._limits.seconds):
                    async for found in self._runner(check.request_id):
                        _take(check, found)
                        check.told()
            check.state = CheckState.DONE if check.verdict else CheckState.FAILED
            check.text = check.text or "the verification ended without a verdict"
        except TimeoutError:
            check.text = f"not finished within {self._limits.seconds:.0f} s, and given up"
        except OracleError as error:
            check.text = error.message
        except Exception:
            _log.exception("a verification failed", request="0x" + check.request_id.hex())
            check.text = "a defect of this server; it was logged"
        finally:
            if check.state is not CheckState.DONE:
                check.state = CheckState.FAILED
            check.ended_at = time.time()
            check.told()


def _take(check: Check, found: Mapping[str, Any]) -> None:
    if "verdict" in found:
        check.verdict, check.text = str(found["verdict"]), str(found["text"])
    elif found.get("step") in STEPS:
        check.steps[str(found["step"])] = found


MARKS: Final = {kind.name.lower(): kind.mark for kind in Kind}
"""A tick, a cross or a dash, by a finding's outcome."""
