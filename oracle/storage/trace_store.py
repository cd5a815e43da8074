"""Keeps every trace until the last challenge window over it has closed, within a disk budget.

Files first, index second, so that a process killed anywhere leaves whole traces and strays that the
next start removes. What is owed no more is kept for a day for those who come late, and makes room
before that where it is wanted, the oldest first; what is owed is never dropped, and a trace that
does not fit is refused loudly; that one is owed and not kept is on record too. What is owed is told
by the time of the last sweep, not by this machine's clock. Knows nothing of answers or of HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from oracle.errors import NotFound, StorageError, TraceStoreFull
from oracle.ports.clock import Clock
from oracle.ports.publishing import PublishedTrace
from oracle.ports.traces import LeftOut, TraceHold, TraceToKeep, TraceUsage
from oracle.program.instruction import Program, Trace
from oracle.storage import trace_index
from oracle.storage.database import Database
from oracle.storage.trace_files import TraceFiles, byte_count, charged

_log = structlog.get_logger("oracle.traces")

Result = TypeVar("Result")

_LATECOMERS_SECONDS: Final = 86_400
_MADE_AGAIN: Final = (
    "raise trace_budget_bytes; a trace that is not kept is made again when it is demanded"
)


class FileTraceStore:
    """Traces in a folder; one process at a time. Use `open_trace_store`."""

    def __init__(self, files: TraceFiles, index: Database, clock: Clock, budget_bytes: int) -> None:
        self._files = files
        self._index = index
        self._clock = clock
        self._budget = budget_bytes
        self._writing = asyncio.Lock()
        self._swept_as_of = 0.0
        self._under_way: set[asyncio.Task[Any]] = set()
        self._broken: str | None = None
        self._no_room: tuple[int, str] | None = None
        self._too_large: tuple[int, str] | None = None
        self._lost: set[bytes] = set()

    @property
    def trouble(self) -> str | None:
        """What the operator must see to; None where all is well.

        What could not be written is said until something is; what had no room, until a sweep finds
        room for it; what is larger than the whole budget, for as long as the process runs.
        """
        said: list[str] = []
        if self._lost:
            some = ", ".join(f"0x{root.hex()[:8]}…" for root in sorted(self._lost)[:3])
            said.append(
                f"{len(self._lost)} traces that are owed are gone from the disk, and are made "
                f"again where they are demanded: {some}"
            )
        if self._broken is not None:
            said.append(self._broken)
        said += [why for _, why in filter(None, (self._too_large, self._no_room))]
        return "; ".join(said) or None

    async def save(self, traces: Sequence[TraceToKeep]) -> None:
        """Keeps traces, all or none, durably when this returns; each is held by its request.

        A trace that is here already is only held once more.

        Raises:
            TraceStoreFull: they do not fit the budget beside what is still owed.
            StorageError: the disk is full or broken.
        """
        await self._uninterrupted(self._save(traces))

    async def leave_out(self, one: LeftOut, owed_until: float) -> None:
        """Records that a trace is owed and not kept here.

        Raises:
            StorageError: the disk is full or broken.
        """
        await self._index.run(lambda connection: trace_index.leave_out(connection, one, owed_until))

    async def left_out(self) -> Sequence[LeftOut]:
        """What is owed and not kept here, as of the last sweep."""
        as_of = self._swept_as_of
        return await self._index.read(lambda connection: trace_index.unkept(connection, as_of))

    async def keep_until(self, holds: Sequence[TraceHold]) -> None:
        """Says until when requests hold their traces, kept or not; one may be moved either way."""
        _require_times(holds)
        known = await self._index.run(lambda connection: trace_index.hold(connection, holds))
        if known < len(holds):
            _log.warning("holds of traces that are not here", count=len(holds) - known)

    async def holds(self) -> Sequence[TraceHold]:
        """Those that were not over at the last sweep, of what was left out, too."""
        as_of = self._swept_as_of
        return await self._index.read(lambda connection: trace_index.owed(connection, as_of))

    async def sweep(self, now: float) -> int:
        """Drops the traces that nobody has held for a day at `now`, by the chain's clock.

        What was left out is forgotten as soon as it is over.
        """
        return await self._uninterrupted(self._sweep(now))

    async def usage(self) -> TraceUsage:
        as_of = self._swept_as_of
        (count, used, held), unkept = await self._index.read(
            lambda c: (trace_index.sums(c, as_of), trace_index.unkept(c, as_of))
        )
        return TraceUsage(count, used, held, self._budget, self.trouble, len(unkept))

    async def find(self, root: bytes) -> PublishedTrace | None:
        return await self._index.read(lambda connection: trace_index.find(connection, root))

    async def read(self, root: bytes, offset: int, length: int) -> bytes:
        """A piece of a trace. Raises NotFound where it is not kept, or not any more."""
        try:
            return await asyncio.to_thread(self._files.read, root, offset, length)
        except StorageError:
            if self._files.size(root) is None:
                raise NotFound(f"trace 0x{root.hex()} is not kept here") from None
            raise

    async def load(self, root: bytes, program: Program) -> Trace:
        """A trace, its tensors views of the file.

        Raises:
            NotFound: it is not kept here.
            StorageError: the file is damaged.
        """
        found = await self.find(root)
        if found is None:
            raise NotFound(f"trace 0x{root.hex()} is not kept here")
        return await asyncio.to_thread(self._files.load, root, program, found.rows)

    async def close(self) -> None:
        """Lets what was begun end."""
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._index.close()
        self._files.close()

    async def _save(self, traces: Sequence[TraceToKeep]) -> None:
        async with self._writing:
            sizes = {one.root: byte_count(one.committed.trace) for one in traces}
            known = set()
            for root, size in sizes.items():
                if await self.find(root) is not None and self._files.size(root) == size:
                    known.add(root)
            new = {one.root: one.committed.trace for one in traces if one.root not in known}
            # Held first where they are here already, so that making room does not drop them.
            await self._add([one for one in traces if one.root in known], sizes)
            if not new:
                return
            await self._make_room([charged(sizes[root]) for root in new])
            try:
                await asyncio.to_thread(self._files.write, new)
                await self._add([one for one in traces if one.root in new], sizes)
            except StorageError as error:
                self._broken = f"a trace could not be written: {error.message}"
                raise
            self._broken = None
            self._lost -= new.keys()

    async def _add(self, traces: Sequence[TraceToKeep], sizes: dict[bytes, int]) -> None:
        at = self._clock.now()
        rows = [
            (
                PublishedTrace(
                    one.root,
                    one.committed.program_root,
                    len(one.committed.trace.rows),
                    sizes[one.root],
                ),
                one.holder,
                charged(sizes[one.root]),
            )
            for one in traces
        ]
        if rows:
            await self._index.run(lambda connection: trace_index.add(connection, rows, at))

    async def _make_room(self, sizes: Sequence[int]) -> None:
        as_of, wanted, largest = self._swept_as_of, sum(sizes), max(sizes)
        if largest > self._budget:
            why = f"a trace is larger than trace_budget_bytes: {largest} of {self._budget}"
            self._too_large = _larger(self._too_large, (largest, why))
            raise TraceStoreFull(why, hint=_MADE_AGAIN)
        _, used, held = await self._index.read(lambda c: trace_index.sums(c, as_of))
        if held + wanted > self._budget:
            why = f"no room for {wanted} bytes of traces: {held} of {self._budget} are still owed"
            # Of several, one at a time may fit: what is waited for is room for the largest.
            self._no_room = _larger(self._no_room, (largest, why))
            raise TraceStoreFull(why, hint=_MADE_AGAIN)
        excess = used + wanted - self._budget
        if excess <= 0:
            return
        drop: list[bytes] = []
        for root, size in await self._index.read(lambda c: trace_index.expired(c, as_of)):
            if excess <= 0:
                break
            drop.append(root)
            excess -= size
        await self._drop(drop)

    async def _sweep(self, now: float) -> int:
        async with self._writing:
            self._swept_as_of = now
            long_over = now - _LATECOMERS_SECONDS
            roots = [
                root
                for root, _ in await self._index.read(
                    lambda connection: trace_index.expired(connection, long_over)
                )
            ]
            await self._drop(roots)
            await self._index.run(lambda connection: trace_index.forget_unkept(connection, now))
            if self._no_room is not None:
                _, _, held = await self._index.read(lambda c: trace_index.sums(c, now))
                if held + self._no_room[0] <= self._budget:
                    self._no_room = None
            return len(roots)

    async def _drop(self, roots: Sequence[bytes]) -> None:
        """The index first: a file without a row is a stray, a row without a file a loss."""
        if not roots:
            return
        await self._index.run(lambda connection: trace_index.remove(connection, roots))
        for root in roots:
            await asyncio.to_thread(self._files.remove, root)
        self._lost -= set(roots)
        _log.info("traces dropped", count=len(roots))

    async def _uninterrupted(self, work: Coroutine[Any, Any, Result]) -> Result:
        """A caller that is cancelled leaves the work to end by itself."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    def recover(self) -> None:
        """Puts files and index in line after whatever ended the last process."""
        known = self._index.run_blocking(trace_index.everything)
        strays = self._files.remove_all_but({one.root for one in known})
        self._lost = {one.root for one in known if self._files.size(one.root) != one.byte_count}
        if strays or self._lost:
            _log.warning("traces recovered", strays=strays, lost=len(self._lost))


def _larger(before: tuple[int, str] | None, now: tuple[int, str]) -> tuple[int, str]:
    """Of two refusals with their sizes, the one that takes more room to mend; else the latest."""
    return now if before is None or now[0] >= before[0] else before


def _require_times(holds: Sequence[TraceHold]) -> None:
    if any(one.owed_until is None for one in holds):
        raise ValueError("a hold ends at a time that is known")


def open_trace_store(folder: Path, *, budget_bytes: int, clock: Clock) -> FileTraceStore:
    """Opens the traces of a data directory, and makes good what a killed process left.

    Raises:
        StorageError: in use by another process, of another version, or not readable.
    """
    files = TraceFiles(folder)
    try:
        index = Database(folder / "index.sqlite")
        try:
            index.run_blocking(trace_index.prepare)
            store = FileTraceStore(files, index, clock, budget_bytes)
            store.recover()
            return store
        except BaseException:
            index.close_blocking()
            raise
    except BaseException:
        files.close()
        raise
