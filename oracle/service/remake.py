"""Makes the trace of an answer again, from the input that it answers.

A program gives one trace of an input, so one that is not on the disk is not lost while the machine
still gives every bit of it: its root tells whether it does. Keeps nothing but the last one, for the
demands that follow the first; knows no disk, and neither who asks nor why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from oracle.core import merkle
from oracle.core.job import Job
from oracle.core.tensor import decode_inputs
from oracle.court.commitment import Commitment, commit
from oracle.court.opening import Opening, open_trace
from oracle.errors import NotFound, OracleError, TraceMismatch
from oracle.ports.contracts import RegistryContract
from oracle.ports.inference import CommittedTrace, InferenceEngine
from oracle.ports.publishing import ProgramSource
from oracle.program.instruction import Program, Trace
from oracle.service.lead import elapsed_seconds

_KEPT_SECONDS: Final = 600.0
"""One demand seldom comes alone: who looks for a fraud asks on, by what it was shown."""


async def trace_again(
    registry: RegistryContract, engine: InferenceEngine, job: Job, root: bytes
) -> CommittedTrace:
    """The trace under `root`, by one more run of a job's input.

    Raises:
        TraceMismatch: it came out otherwise, or as no trace.
        OracleError: it cannot be run: the model, the process, or the chain.
    """
    model = await registry.model(job.request.model_id)
    inputs = decode_inputs(model.schema, job.input)
    (found,) = await engine.run_each(
        model.terms.program_root, model.schema, [inputs], model.terms.tier
    )
    if isinstance(found, OracleError):
        raise found
    if found.trace is None or found.trace.root != root:
        came = "none" if found.trace is None else f"0x{found.trace.root.hex()}"
        raise TraceMismatch(
            f"the trace 0x{root.hex()} comes out otherwise on this machine now: {came}",
            hint="run it where it was run: the same machine, versions and settings",
        )
    return found.trace


class Remake:
    """Opens traces that are not here any more."""

    def __init__(
        self,
        registry: RegistryContract,
        engine: InferenceEngine,
        programs: ProgramSource,
        *,
        elapsed: Callable[[], float] = elapsed_seconds,
    ) -> None:
        self._registry = registry
        self._engine = engine
        self._programs = programs
        self._elapsed = elapsed
        self._asked_at = elapsed()
        self._last: MadeAgain | None = None

    def forget_old(self) -> None:
        """Lets go what nobody has asked for of late: it may be large."""
        if self._elapsed() - self._asked_at > _KEPT_SECONDS:
            self._last = None

    async def opener(self, job: Job, root: bytes) -> MadeAgain:
        """The trace of a job, made again, to be opened. Raises as `trace_again`, and NotFound."""
        if self._last is None or self._last.commitment.trace_root != root:
            self._last = None  # what is not asked for any more makes room first
            made = await trace_again(self._registry, self._engine, job, root)
            program = await self._programs.program(made.program_root)
            commitment = await asyncio.to_thread(commit, program, made.program_root, made.trace)
            self._last = MadeAgain(program, made.trace, commitment)
        self._asked_at = self._elapsed()
        return self._last


@dataclass(frozen=True, slots=True)
class MadeAgain:
    """A trace in memory, to be opened: a `TraceOpener` of it alone."""

    program: Program
    made: Trace
    commitment: Commitment

    @property
    def committed(self) -> CommittedTrace:
        """As it is kept."""
        of = self.commitment
        return CommittedTrace(of.trace_root, of.program_root, self.made)

    async def claim(self, root: bytes) -> tuple[int, bytes]:
        """As `TraceOpener`."""
        self._require(root)
        return self.commitment.rows, merkle.root_of(self.commitment.levels)

    async def open_leaves(
        self, root: bytes, *, row: int, tensor: int, first: int, count: int
    ) -> Opening:
        """As `TraceOpener`."""
        self._require(root)

        def opened() -> Opening:
            return open_trace(
                self.program,
                self.made,
                self.commitment,
                row=row,
                tensor=tensor,
                first=first,
                count=count,
            )

        return await asyncio.to_thread(opened)

    def _require(self, root: bytes) -> None:
        if root != self.commitment.trace_root:
            raise NotFound(f"trace 0x{root.hex()} is another one")
