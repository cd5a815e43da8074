"""What a node shows to whoever asks over the web."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from oracle.core.saved_receipt import SavedReceipt
from oracle.court.opening import Opening
from oracle.program.instruction import Program
from oracle.program.manifest import ProgramManifest


@dataclass(frozen=True, slots=True)
class PublishedTrace:
    """What is known of a trace without reading it."""

    root: bytes
    program_root: bytes
    rows: int
    byte_count: int


class TraceSource(Protocol):
    """What is served of the traces."""

    async def find(self, root: bytes) -> PublishedTrace | None: ...

    async def read(self, root: bytes, offset: int, length: int) -> bytes:
        """A piece of the concatenated tensors. Raises NotFound."""
        ...


class TraceOpener(Protocol):
    async def open_leaves(
        self, root: bytes, *, row: int, tensor: int, first: int, count: int
    ) -> Opening:
        """Leaves with their proof.

        Raises:
            NotFound: no such trace, or its program is not here.
            TraceError: the trace has no such row, tensor or leaves.
        """
        ...

    async def claim(self, root: bytes) -> tuple[int, bytes]:
        """What a trace root commits to: rows, and the root of the tree. Raises as `open_leaves`."""
        ...


class ProgramSource(Protocol):
    """Programs by their roots."""

    async def program(self, root: bytes) -> Program:
        """Raises NotFound."""
        ...

    async def file(self, root: bytes) -> bytes:
        """The program file, ONNX. Raises NotFound."""
        ...

    async def manifest(self, root: bytes) -> ProgramManifest:
        """What is known of it besides, its certificate among it. Raises NotFound."""
        ...


class ReceiptSource(Protocol):
    async def receipt(self, request_id: bytes) -> SavedReceipt | None:
        """The receipt of an answer of this operator, or None where there is none."""
        ...
