"""Where files and traces may come from: a named file, a folder of models, a URI, an endpoint.

Each is a source of `sources`. None of them is believed; what they give is checked by its root.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from oracle.client.trace_reader import ReadLimits, TraceReader
from oracle.core.types import Tier
from oracle.errors import InputError, TraceError, TraceUnavailable
from oracle.program.instruction import Program, Trace
from oracle.verify.fetch import fetch
from oracle.verify.trace_file import read_trace

LARGEST_FILE: Final = 256 * 2**20
FETCH_SECONDS: Final = 120.0
SLOWEST_BYTES_A_SECOND: Final = 1 << 20
"""A large trace is given this much more time."""


def read_file(path: Path, largest: int = LARGEST_FILE) -> bytes:
    """A file of a bearable size. Raises InputError."""
    try:
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > largest:
        raise InputError(f"{path} has more than {largest:,} bytes")
    return data


@dataclass(frozen=True, slots=True)
class NamedFile:
    """The very file that the caller says is the model."""

    path: Path
    named: bool = True

    @property
    def name(self) -> str:
        return str(self.path)

    async def read(self, root: bytes, tier: Tier) -> bytes | None:
        return await asyncio.to_thread(read_file, self.path)


@dataclass(frozen=True, slots=True)
class Folder:
    """The models of this installation; `look` gives a file by its root, or None."""

    look: Callable[[bytes, Tier], bytes | None]
    name: str = "the models here"
    named: bool = False

    async def read(self, root: bytes, tier: Tier) -> bytes | None:
        return await asyncio.to_thread(self.look, root, tier)


@dataclass(frozen=True, slots=True)
class Uri:
    """Where the registrar says that the file can be fetched; other schemes than HTTP are none."""

    uri: str
    seconds: float = FETCH_SECONDS
    named: bool = False
    public_only: bool = False

    @property
    def name(self) -> str:
        return f"the registered URI {self.uri}"

    async def read(self, root: bytes, tier: Tier) -> bytes | None:
        if not self.uri.startswith(("http://", "https://")):
            return None
        return await fetch(
            self.uri, largest=LARGEST_FILE, seconds=self.seconds, public_only=self.public_only
        )


@dataclass(frozen=True, slots=True)
class EndpointPrograms:
    """The programs that an operator serves."""

    endpoint: str
    limits: ReadLimits = field(default_factory=lambda: ReadLimits(piece_seconds=FETCH_SECONDS))
    named: bool = False

    @property
    def name(self) -> str:
        return f"the endpoint {self.endpoint}"

    async def read(self, root: bytes, tier: Tier) -> bytes | None:
        if tier is Tier.UNPROVEN:
            return None
        async with TraceReader(self.endpoint, self.limits) as reader:
            return await reader.program_file(root, max_bytes=LARGEST_FILE)


@dataclass(frozen=True, slots=True)
class EndpointTraces:
    """The traces that an operator serves; a trace that comes too slowly is not served."""

    endpoint: str
    limits: ReadLimits = field(default_factory=ReadLimits)
    seconds: float = FETCH_SECONDS

    @property
    def name(self) -> str:
        return f"the endpoint {self.endpoint}"

    async def read(self, trace_root: bytes, program: Program, rows: int) -> Trace:
        size = program.row_trace_bytes * rows
        seconds = self.seconds + size / SLOWEST_BYTES_A_SECOND
        async with TraceReader(self.endpoint, self.limits) as reader:
            try:
                async with asyncio.timeout(seconds):
                    data = await reader.data(trace_root, size)
            except TimeoutError:
                raise TraceUnavailable(
                    f"it has not sent {size:,} bytes within {seconds:.0f} s"
                ) from None
        return read_trace(program, bytes(data), rows)


@dataclass(frozen=True, slots=True)
class TraceFile:
    """The very file that the caller says is the trace."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    async def read(self, trace_root: bytes, program: Program, rows: int) -> Trace:
        largest = program.row_trace_bytes * rows
        try:
            data = await asyncio.to_thread(read_file, self.path, largest)
        except InputError as error:
            raise TraceError(error.message) from None
        return read_trace(program, data, rows)
