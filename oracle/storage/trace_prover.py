"""Proofs of stored traces on demand: reads, hashes, and remembers the trees it made.

One tree is made at a time, off the event loop, and the memory for remembered trees is bounded, so
that whoever asks can neither fill the memory nor take more than one core. A stored trace that no
longer has its root is never shown.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from oracle.core import merkle
from oracle.court.commitment import Commitment, commit
from oracle.court.opening import Opening, open_trace, trace_place
from oracle.errors import NotFound, StorageError
from oracle.ports.publishing import ProgramSource
from oracle.program.instruction import Program, Trace
from oracle.storage.trace_store import FileTraceStore

DEFAULT_CACHE_BYTES = 64 << 20


class TraceProver:
    """Opens leaves of the traces of one store."""

    def __init__(
        self,
        store: FileTraceStore,
        programs: ProgramSource,
        *,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        threads: int = 1,
    ) -> None:
        self._store = store
        self._programs = programs
        self._cache_bytes = cache_bytes
        self._threads = threads
        self._trees: OrderedDict[bytes, Commitment] = OrderedDict()
        self._making = asyncio.Lock()

    async def open_leaves(
        self, root: bytes, *, row: int, tensor: int, first: int, count: int
    ) -> Opening:
        """Leaves with their proof.

        Raises:
            NotFound: no such trace, or its program is not here.
            TraceError: the trace has no such row, tensor or leaves.
            StorageError: what is stored is not what was committed.
        """
        found = await self._store.find(root)
        if found is None:
            raise NotFound(f"trace 0x{root.hex()} is not kept here")
        program = await self._programs.program(found.program_root)
        # A bad question costs no tree.
        trace_place(program, found.rows, row, tensor).check(first, count)
        trace = await self._store.load(root, program)
        commitment = self._remembered(root) or await self._make(
            root, found.program_root, program, trace
        )

        def opened() -> Opening:
            return open_trace(
                program, trace, commitment, row=row, tensor=tensor, first=first, count=count
            )

        return await asyncio.to_thread(opened)

    async def claim(self, root: bytes) -> tuple[int, bytes]:
        """The rows of a trace, and the root of the tree over them. Raises as `open_leaves`."""
        found = await self._store.find(root)
        if found is None:
            raise NotFound(f"trace 0x{root.hex()} is not kept here")
        commitment = self._remembered(root)
        if commitment is None:
            program = await self._programs.program(found.program_root)
            trace = await self._store.load(root, program)
            commitment = await self._make(root, found.program_root, program, trace)
        return commitment.rows, merkle.root_of(commitment.levels)

    async def _make(
        self, root: bytes, program_root: bytes, program: Program, trace: Trace
    ) -> Commitment:
        async with self._making:
            known = self._remembered(root)
            if known is not None:
                return known
            commitment = await asyncio.to_thread(
                commit, program, program_root, trace, threads=self._threads
            )
            if commitment.trace_root != root:
                raise StorageError(
                    f"trace 0x{root.hex()} is damaged: it hashes to 0x{commitment.trace_root.hex()}"
                )
            self._remember(root, commitment)
            return commitment

    def _remembered(self, root: bytes) -> Commitment | None:
        tree = self._trees.get(root)
        if tree is not None:
            self._trees.move_to_end(root)
        return tree

    def _remember(self, root: bytes, commitment: Commitment) -> None:
        self._trees[root] = commitment
        held = sum(_size(one) for one in self._trees.values())
        while held > self._cache_bytes and len(self._trees) > 1:
            _, oldest = self._trees.popitem(last=False)
            held -= _size(oldest)


def _size(commitment: Commitment) -> int:
    return sum(map(len, commitment.levels))
