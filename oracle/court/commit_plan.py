"""What of a commitment depends on the program alone, worked out once: headers, places, views.

A frame holds one row's trace as it is hashed, every leaf behind its header; a run copies its
tensors into it and hashes the leaves where they lie. Gives the same digests as
`oracle.core.merkle.leaf_hashes`; for traces too long for that it makes no frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.core import merkle
from oracle.errors import TraceError
from oracle.program.instruction import Program, TensorInfo, Trace

_MOST_BYTES: Final = 4 << 20
"""Longer rows do not stay in a core's cache, and would double what a worker holds."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor's elements go in a frame: whole leaves, then what is left."""

    tensor: int
    split: int
    whole: NDArray[Any] | None
    rest: NDArray[Any] | None


class _Frame:
    """The leaves of one row, framed by their headers. One thread at a time may use it."""

    def __init__(self, program: Program) -> None:
        width = merkle.HEADER_BYTES + program.leaf_bytes
        self._framed = np.zeros((program.row_leaf_count, width), np.uint8)
        self._row = 0
        self._places: list[_Place] = []
        self._leaves = merkle.row_views(self._framed)
        for number, (info, first) in enumerate(
            zip(program.tensors, program.first_leaves, strict=True)
        ):
            self._add(number, info, first, program.leaf_bytes)

    def digests(self, number: int, row: tuple[NDArray[Any], ...]) -> list[bytes]:
        """The digests of a row's leaves; the tensors are of the program's sizes and types."""
        if number != self._row:
            self._framed[:, 4:8] = np.frombuffer(number.to_bytes(4, "big"), np.uint8)
            self._row = number
        for place in self._places:
            values = row[place.tensor]
            if place.whole is None:
                place.rest[...] = values  # type: ignore[index]
                continue
            place.whole[...] = values[: place.split].reshape(place.whole.shape)
            if place.rest is not None:
                place.rest[...] = values[place.split :]
        return [sha256(leaf).digest() for leaf in self._leaves]

    def _add(self, number: int, info: TensorInfo, first: int, leaf_bytes: int) -> None:
        count = merkle.leaf_count(info.byte_count, leaf_bytes)
        for index in range(count):
            header = merkle.leaf_header(merkle.TRACE, 0, number, index)
            self._framed[first + index, : merkle.HEADER_BYTES] = np.frombuffer(header, np.uint8)
        full, left = divmod(info.byte_count, leaf_bytes)
        whole = rest = None
        if full:
            data = self._framed[first : first + full, merkle.HEADER_BYTES :]
            whole = data.view(info.element.dtype)
        if left:
            end = merkle.HEADER_BYTES + left
            rest = self._framed[first + full, merkle.HEADER_BYTES : end].view(info.element.dtype)
            self._leaves[first + full] = self._leaves[first + full][:end]
        if count:
            split = full * leaf_bytes // info.element.item_size
            self._places.append(_Place(number, split, whole, rest))


class CommitPlan:
    """Checks and hashes the traces of one program; any number of threads may use it at once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._types = [info.element.dtype for info in program.tensors]
        self._shapes = [(info.size,) for info in program.tensors]
        self._frames: list[_Frame] = []
        self.framed = program.row_trace_bytes <= _MOST_BYTES and not any(
            program.leaf_bytes % info.element.item_size for info in program.tensors
        )
        """Whether `leaves` works: rows are short, and no element lies across two leaves."""

    def check(self, trace: Trace) -> None:
        """Raises TraceError where a trace is not one of this program."""
        for number, row in enumerate(trace.rows):
            if [values.shape for values in row] != self._shapes or [
                values.dtype for values in row
            ] != self._types:
                raise self._fault(number, row)

    def leaves(self, trace: Trace) -> bytes:
        """The digests of all leaves of a trace that was checked."""
        try:
            frame = self._frames.pop()
        except IndexError:  # the first of its kind, or the others are in use
            frame = _Frame(self._program)
        found: list[bytes] = []
        for number, row in enumerate(trace.rows):
            found += frame.digests(number, row)
        self._frames.append(frame)
        return b"".join(found)

    def _fault(self, number: int, row: tuple[NDArray[Any], ...]) -> TraceError:
        tensors = self._program.tensors
        if len(row) != len(tensors):
            return TraceError(
                f"row {number} has {len(row)} tensors, the program has {len(tensors)}"
            )
        place = next(
            place
            for place, values in enumerate(row)
            if values.shape != self._shapes[place] or values.dtype != self._types[place]
        )
        values, info = row[place], tensors[place]
        return TraceError(
            f"row {number}: tensor {info.name!r} is {values.dtype}{list(values.shape)}, "
            f"not {info.element.value}[{info.size}]"
        )
