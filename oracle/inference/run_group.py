"""Requests for one model that are run in one thread hop, stacked where that is allowed.

Responsible for which requests share a run, for giving each its own rows back, and for keeping one
request's failure from its neighbours. It does not know about event loops or loading.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import onnxruntime

from oracle.core.conversion import Array
from oracle.core.tensor import check_inputs
from oracle.errors import (
    InferenceError,
    RunCutShort,
    RunTimedOut,
    TensorError,
    UnusableOutput,
)
from oracle.inference.batch_probe import LARGEST_STACK
from oracle.inference.loaded_model import LoadedModel, first_nan
from oracle.inference.program_session import LoadedProgram
from oracle.inference.run import Run
from oracle.ports.inference import Inference

Outcome: TypeAlias = Inference | InferenceError | TensorError

Begins: TypeAlias = Callable[[int, int], None]
"""Told the first and the last request of a run that is about to begin."""


class RunGroup:
    """One call's requests and their outcomes.

    `work` runs in a thread; `stop` may be called from another at any time, after which `outcomes`
    is final: what had finished keeps its result, everything else has an error.
    """

    def __init__(
        self,
        loaded: LoadedModel | LoadedProgram,
        inputs: Sequence[Mapping[str, Array]],
        *,
        allow_nan: bool = False,
        begins: Begins | None = None,
    ) -> None:
        self._loaded = loaded
        self._inputs = inputs
        self._allow_nan = allow_nan
        self._begins = begins
        self._running: Sequence[int] = ()
        self._overdue: Sequence[int] = ()
        self._results: list[Outcome | None] = [None] * len(inputs)
        self._final: str | None = None
        self._lock = threading.Lock()
        self._options = onnxruntime.RunOptions()
        self.run_started = time.monotonic()
        """When the run now in progress began, on the monotonic clock."""

    @property
    def outcomes(self) -> list[Outcome]:
        """One outcome a request, in order; an error where there is no result."""
        with self._lock:
            return [
                self._unfinished(index) if result is None else result
                for index, result in enumerate(self._results)
            ]

    def _unfinished(self, index: int) -> InferenceError:
        reason = self._final or "the run did not finish"
        return RunTimedOut(reason) if index in self._overdue else RunCutShort(reason)

    def stop(self, reason: str, *, overdue: bool = False) -> None:
        """Tell the run to end before its next operator, and start no other.

        Where it is overdue, that is the fault of the requests in it, and of no other.
        """
        with self._lock:
            self._final = reason
            if overdue:
                self._overdue = self._running
        self._options.terminate = True

    def _begin(self, members: Sequence[int]) -> None:
        self._running = members
        self.run_started = time.monotonic()
        if self._begins is not None:
            self._begins(members[0], members[-1])

    def work(self) -> None:
        """Run everything; never raises for a request's own fault."""
        self.run_started = time.monotonic()
        batches: dict[int, int] = {}
        for index, tensors in enumerate(self._inputs):
            try:
                batches[index] = check_inputs(self._loaded.schema, tensors)
            except TensorError as error:
                self._settle(index, error)
        for members in self._stacks(batches):
            if self._stopped():
                return
            if len(members) > 1 and self._run_stacked(members, batches):
                continue
            for index in members:
                if self._stopped():
                    return
                self._run_single(index, batches[index])

    def _stopped(self) -> bool:
        return self._final is not None

    def _stacks(self, batches: Mapping[int, int]) -> Iterator[list[int]]:
        """Requests that share a run: in order, together at most `LARGEST_STACK` rows."""
        members: list[int] = []
        rows = 0
        for index, batch in batches.items():
            full = rows + batch > LARGEST_STACK or self._loaded.single_only is not None
            if members and full:
                yield members
                members, rows = [], 0
            members.append(index)
            rows += batch
        if members:
            yield members

    def _run_stacked(self, members: list[int], batches: Mapping[int, int]) -> bool:
        """One run for several requests; False where it failed and each must be tried alone."""
        names = [spec.name for spec in self._loaded.schema.inputs]
        stacked = {
            name: np.concatenate([self._inputs[index][name] for index in members]) for name in names
        }
        rows = sum(batches[index] for index in members)
        self._begin(members)
        try:
            run = self._loaded.run(stacked, rows, options=self._options)
        except InferenceError:
            return False
        start = 0
        for index in members:
            stop = start + batches[index]
            own = {name: values[start:stop].copy() for name, values in run.outputs.items()}
            self._keep(index, Run(own, run.seconds * batches[index] / rows))
            start = stop
        return True

    def _run_single(self, index: int, batch: int) -> None:
        self._begin((index,))
        try:
            run = self._loaded.run(self._inputs[index], batch, options=self._options)
        except InferenceError as error:
            self._settle(index, error)
        else:
            self._keep(index, run)

    def _keep(self, index: int, run: Run) -> None:
        # NaN of a program is judged by the trace, as any number is.
        if run.trace is None and not self._allow_nan:
            nan = first_nan(run.outputs)
            if nan is not None:
                hint = "the input lies outside what the model can compute"
                self._settle(index, UnusableOutput(nan, hint=hint))
                return
        facts, committed = self._loaded.session.facts_json, self._loaded.committed(run)
        self._settle(index, Inference(run.outputs, run.seconds, facts, committed))

    def _settle(self, index: int, outcome: Outcome) -> None:
        with self._lock:
            if self._final is None:
                self._results[index] = outcome
