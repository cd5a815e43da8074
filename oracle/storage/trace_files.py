"""Traces as files: the rows' tensors one after the other, by root, whole or not at all.

Responsible for bytes on the disk and for what happens when it fails. Knows no index, no budget and
no time; does its work on the caller's thread.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.court.commitment import raw_bytes
from oracle.errors import StorageError
from oracle.program.instruction import Program, Trace

_SUFFIX = ".trace"
_INCOMING = ".incoming-"
_BLOCK_BYTES = 4_096
_SYNCS_AT_ONCE = 8


def byte_count(trace: Trace) -> int:
    """Bytes of the file."""
    return sum(values.nbytes for row in trace.rows for values in row)


def charged(size: int) -> int:
    """What a file of this size takes on the disk, near enough."""
    return max(1, -(-size // _BLOCK_BYTES)) * _BLOCK_BYTES


class TraceFiles:
    """A folder of traces that one process writes."""

    def __init__(self, folder: Path) -> None:
        """Raises StorageError where the folder cannot be used, or another process uses it."""
        self._folder = folder
        with _explained(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise StorageError(
                f"the traces in {folder} are in use by another process",
                hint="is a second node running on this data directory?",
            ) from error

    def close(self) -> None:
        os.close(self._lock)

    def path(self, root: bytes) -> Path:
        """Where a trace lies, or would lie."""
        return trace_path(self._folder, root)

    def size(self, root: bytes) -> int | None:
        """Bytes of a trace's file; None where there is none."""
        try:
            return self.path(root).stat().st_size
        except FileNotFoundError:
            return None

    def write(self, traces: dict[bytes, Trace]) -> None:
        """Writes traces durably; on any failure, none of those that it had begun remains half.

        Raises:
            StorageError: the disk is full or broken.
        """
        begun: list[Path] = []
        try:
            with _explained(self._folder):
                pairs = []
                for root, trace in traces.items():
                    beside = self._folder / f"{_INCOMING}{root.hex()}"
                    begun.append(beside)
                    pairs.append((beside, self.path(root)))
                    _write_rows(beside, trace)
                with ThreadPoolExecutor(min(_SYNCS_AT_ONCE, max(1, len(pairs)))) as pool:
                    list(pool.map(_sync, begun))
                for beside, target in pairs:
                    beside.replace(target)
                _sync(self._folder)
        except BaseException:
            for path in begun:
                with suppress(OSError):  # what failed is told, not that its rest stays
                    path.unlink(missing_ok=True)
            raise

    def read(self, root: bytes, offset: int, length: int) -> bytes:
        """A piece of a trace; shorter where the file ends."""
        with _explained(self._folder), self.path(root).open("rb", buffering=0) as file:
            return os.pread(file.fileno(), length, offset)

    def load(self, root: bytes, program: Program, rows: int) -> Trace:
        """A trace whose tensors are views of the file, not writable.

        Raises:
            StorageError: the file has not the size of such a trace.
        """
        return load_trace(self.path(root), program, rows)

    def remove(self, root: bytes) -> None:
        """Deletes a trace; one that is being read stays readable to its reader."""
        with _explained(self._folder):
            self.path(root).unlink(missing_ok=True)

    def remove_all_but(self, roots: set[bytes]) -> int:
        """Deletes what a killed process left half done; how many files."""
        known = {self.path(root).name for root in roots}
        removed = 0
        with _explained(self._folder):
            for path in self._folder.iterdir():
                ours = path.suffix == _SUFFIX or path.name.startswith(_INCOMING)
                if ours and path.name not in known:
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed


def trace_path(folder: Path, root: bytes) -> Path:
    """Where a trace lies in a folder of them."""
    if len(root) != 32:
        raise StorageError(f"a trace root is 32 bytes, not {len(root)}")
    return folder / f"{root.hex()}{_SUFFIX}"


def load_trace(path: Path, program: Program, rows: int) -> Trace:
    """A trace file's tensors as views of it, not writable; no lock is needed.

    Raises:
        StorageError: it is not there, or has not the size of such a trace.
    """
    wanted = program.row_trace_bytes * rows
    with _explained(path.parent):
        size = path.stat().st_size
        if size != wanted:
            raise StorageError(f"{path.name} has {size} bytes, {rows} rows of its program {wanted}")
        whole = np.memmap(path, np.uint8, mode="r") if wanted else np.empty(0, np.uint8)
    step = program.row_trace_bytes
    return Trace(tuple(_views(whole, row * step, program) for row in range(rows)))


def _views(whole: NDArray[np.uint8], start: int, program: Program) -> tuple[NDArray[Any], ...]:
    views: list[NDArray[Any]] = []
    for info in program.tensors:
        # A memory map's slices carry the map along; plain arrays over it are lighter.
        piece = np.asarray(whole[start : start + info.byte_count])
        views.append(
            np.frombuffer(piece, info.element.dtype)
            if info.size
            else np.empty(0, info.element.dtype)
        )
        start += info.byte_count
    return tuple(views)


def _write_rows(path: Path, trace: Trace) -> None:
    with path.open("wb", buffering=1 << 20) as file:
        for row in trace.rows:
            for values in row:
                file.write(raw_bytes(values))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StorageError(
            f"the disk of {folder} is full"
            if full
            else f"the traces in {folder} cannot be reached: {error.strerror}",
            hint="free space, or move the data directory; no trace that is owed was dropped"
            if full
            else "check the folder's owner and mode, and the disk",
        ) from error
