"""Sees to it that what is signed can be shown: the trace of a run is kept, or can be made again.

A trace lies on the disk before its root is signed. Where it cannot, a second run must come to the
same one, and what is not kept must be few enough to be made again within the time to reveal it.
Signs nothing and moves no job.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from oracle.errors import OracleError, RunCrashed, RunTimedOut, StorageError
from oracle.ports.contracts import RegistryContract
from oracle.ports.inference import InferenceEngine
from oracle.ports.traces import LeftOut, TraceHold, TraceStore, TraceToKeep
from oracle.service.journal import short
from oracle.service.lead import elapsed_seconds
from oracle.service.remake import trace_again
from oracle.service.retain import owed_until
from oracle.service.sign import Outcome

_log = structlog.get_logger("oracle.infer")

_SHARE_OF_REVEAL_WINDOW: Final = 0.5
"""What is not kept may all be demanded at once, and is made again one by one."""

_SENDING_SECONDS: Final = 1.0
"""Calls and a transaction for each."""


class KeepTraces:
    def __init__(
        self,
        traces: TraceStore,
        registry: RegistryContract,
        engine: InferenceEngine,
        *,
        elapsed: Callable[[], float] = elapsed_seconds,
    ) -> None:
        self._traces = traces
        self._registry = registry
        self._engine = engine
        self._elapsed = elapsed

    async def keep(
        self, outcomes: Sequence[Outcome]
    ) -> tuple[list[Outcome], list[tuple[Outcome, OracleError]]]:
        """Those that may be signed, and the others, each with what is in its way."""
        traced = [done for done in outcomes if done.trace is not None]
        untraced = [done for done in outcomes if done.trace is None]
        kept, cannot = await self._kept(traced) if traced else ([], [])
        return [*untraced, *kept], cannot

    async def _kept(
        self, traced: Sequence[Outcome]
    ) -> tuple[list[Outcome], list[tuple[Outcome, OracleError]]]:
        try:
            await self._save(traced)
            return [*traced], []
        except StorageError as error:
            if len(traced) == 1:
                failure = await self._leave_out(traced[0], error)
                return ([*traced], []) if failure is None else ([], [(traced[0], failure)])
        kept: list[Outcome] = []
        cannot: list[tuple[Outcome, OracleError]] = []
        for done in traced:
            one, failed = await self._kept([done])
            kept += one
            cannot += failed
        return kept, cannot

    async def _save(self, traced: Sequence[Outcome]) -> None:
        await self._traces.save(
            [TraceToKeep(done.job.request_id, done.trace) for done in traced if done.trace]
        )
        await self._traces.keep_until([_hold(done) for done in traced])

    async def _leave_out(self, done: Outcome, full: StorageError) -> OracleError | None:
        """Why an answer whose trace is not kept is not given: silence costs twice the fee, but a
        trace that is not shown costs the bond. None where it is."""
        job, root = done.job, done.trace_root
        try:
            window = (await self._registry.model(job.request.model_id)).terms.reveal_window
            others = [one for one in await self._traces.left_out() if one.holder != job.request_id]
            begun = self._elapsed()
            await trace_again(self._registry, self._engine, job, root)
            # It is hashed once more where it is opened, and then there is a transaction to send.
            seconds = 2 * (self._elapsed() - begun) + _SENDING_SECONDS
            shortest = min([window, *(one.window for one in others)])
            if seconds + sum(one.seconds for one in others) > shortest * _SHARE_OF_REVEAL_WINDOW:
                raise StorageError(
                    f"to make it again, with {len(others)} others that are not kept, could take "
                    f"more than half of the {shortest} s to reveal one of them"
                )
            left_out = LeftOut(root, job.request_id, seconds, window)
            await self._traces.leave_out(left_out, owed_until(job.request))
        except (RunTimedOut, RunCrashed) as error:
            return error
        except OracleError as error:
            return StorageError(f"{full.message}; {error.message}", hint=full.hint)
        _log.warning(
            "a trace is not kept: if it is demanded, it is made again",
            request=short(job.request_id),
            error=full.message,
        )
        return None


def _hold(done: Outcome) -> TraceHold:
    return TraceHold(done.trace_root, done.job.request_id, owed_until(done.job.request))
