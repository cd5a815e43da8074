"""What crosses between a node and its inference process: a JSON document and raw arrays.

Nothing is pickled: the other side runs strangers' numbers through foreign native code, and what it
sends must not be able to run anything here. Arrays are laid one after the other, aligned, in one
piece a request, which is received straight into the memory that they are then views of. Knows
neither processes nor models.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from oracle.core.conversion import Array
from oracle.errors import (
    InferenceError,
    ModelFileError,
    OracleError,
    ProviderUnavailable,
    RunCutShort,
    RunTimedOut,
    TensorError,
    UnusableOutput,
)
from oracle.inference.run_group import Outcome
from oracle.ports.inference import CommittedTrace, Inference
from oracle.program.instruction import Trace

Document: TypeAlias = dict[str, Any]
Piece: TypeAlias = NDArray[np.uint8]
Message: TypeAlias = tuple[Document, list[Piece]]

_PREFIX: Final = struct.Struct("<Q")
_LONGEST_DOCUMENT: Final = 64 << 20
_LONGEST_PIECE: Final = 16 << 30
_ALIGNMENT: Final = 16
_PADDING: Final = [np.zeros(count, np.uint8) for count in range(_ALIGNMENT)]
_SENT_APART: Final = 256 << 10
"""Larger arrays are sent from where they are; smaller ones are gathered first."""

_ERRORS: Final[Mapping[str, type[OracleError]]] = {
    kind.__name__: kind
    for kind in (
        InferenceError,
        ModelFileError,
        ProviderUnavailable,
        RunCutShort,
        RunTimedOut,
        TensorError,
        UnusableOutput,
    )
}


class Garbled(Exception):
    """The other side sent something that is no message."""


# ---- on the socket


async def send(
    connection: socket.socket, document: Document, pieces: Sequence[Sequence[Piece]] = ()
) -> None:
    """Sends a message; each piece is given in parts. One call at a time."""
    lengths = [sum(part.nbytes for part in parts) for parts in pieces]
    text = json.dumps({**document, "pieces": lengths}, separators=(",", ":")).encode()
    loop = asyncio.get_running_loop()
    gathered: list[Any] = [_PREFIX.pack(len(text)), text]
    for parts in pieces:
        for part in parts:
            if part.nbytes < _SENT_APART:
                gathered.append(part.data)
                continue
            await loop.sock_sendall(connection, b"".join(gathered))
            await loop.sock_sendall(connection, part.data)
            gathered = []
    await loop.sock_sendall(connection, b"".join(gathered))


async def receive(connection: socket.socket) -> Message | None:
    """The next message; None where the other side is gone. Raises Garbled."""
    prefix = await _exactly(connection, _PREFIX.size)
    if prefix is None:
        return None
    (length,) = _PREFIX.unpack(prefix.data)
    if length > _LONGEST_DOCUMENT:
        raise Garbled(f"a document of {length} bytes")
    text = await _exactly(connection, length)
    if text is None:
        return None
    try:
        document = json.loads(bytes(text))
        lengths = [int(one) for one in document.pop("pieces")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Garbled(str(error)) from error
    pieces: list[Piece] = []
    for together in _runs_of_small(lengths):
        received = await _exactly(connection, sum(together))
        if received is None:
            return None
        if len(together) == 1:
            pieces.append(received)
            continue
        # Copied apart, so that one that is kept does not keep its neighbours.
        ends = list(accumulate(together))
        pieces += [
            received[end - each : end].copy() for end, each in zip(ends, together, strict=True)
        ]
    return document, pieces


def _runs_of_small(lengths: Iterable[int]) -> Iterator[list[int]]:
    """Pieces that are received at once: one large one, or several small ones."""
    together: list[int] = []
    for each in lengths:
        if not 0 <= each <= _LONGEST_PIECE:
            raise Garbled(f"a piece of {each} bytes")
        if together and sum(together) + each > _SENT_APART:
            yield together
            together = []
        together.append(each)
    if together:
        yield together


async def _exactly(connection: socket.socket, count: int) -> Piece | None:
    received = np.empty(count, np.uint8)
    view, done = received.data, 0
    loop = asyncio.get_running_loop()
    while done < count:
        try:
            read = await loop.sock_recv_into(connection, view[done:])
        except ConnectionError:
            return None
        if not read:
            return None
        done += read
    return received


# ---- arrays


def packed(arrays: Iterable[Array]) -> tuple[list[tuple[str, tuple[int, ...]]], list[Piece]]:
    """Arrays of numbers as (type, shape) each, and the parts of one piece."""
    described, parts = [], []
    for array in arrays:
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        described.append((array.dtype.str, array.shape))
        parts.append(flat)
        if excess := flat.nbytes % _ALIGNMENT:
            parts.append(_PADDING[_ALIGNMENT - excess])
    return described, parts


def unpacked(described: Sequence[tuple[str, Sequence[int]]], piece: Piece) -> list[Array]:
    """The arrays of a piece, views of it. Raises Garbled."""
    arrays: list[Array] = []
    start = 0
    for name, shape in described:
        kind = np.dtype(name)
        if kind.kind not in "biuf":
            raise Garbled(f"an array of {name}")
        count = 1
        for length in shape:
            count *= length
        try:
            arrays.append(np.frombuffer(piece, kind, count, start).reshape(shape))
        except ValueError as error:
            raise Garbled(str(error)) from error
        size = count * kind.itemsize
        start += size + -size % _ALIGNMENT
    return arrays


# ---- what a run came to


def encode_error(error: OracleError) -> Document:
    """An error as a document: its nearest kind that the other side knows."""
    kind = next((one.__name__ for one in type(error).__mro__ if one.__name__ in _ERRORS), None)
    return {"error": kind or "InferenceError", "message": error.message, "hint": error.hint}


def decode_error(document: Mapping[str, Any]) -> OracleError:
    """The error of a document. Raises Garbled."""
    try:
        return _ERRORS[document["error"]](str(document["message"]), hint=document["hint"])
    except (KeyError, TypeError) as error:
        raise Garbled(f"no error: {document}") from error


def encode_outcomes(outcomes: Sequence[Outcome]) -> tuple[Document, list[list[Piece]]]:
    """Outcomes as a document and one piece each. What many have in common is said once."""
    sessions: dict[str, int] = {}
    layouts: dict[tuple[Any, ...], int] = {}
    told: list[Document] = []
    pieces: list[list[Piece]] = []
    for outcome in outcomes:
        if not isinstance(outcome, Inference):
            told.append(encode_error(outcome))
            pieces.append([])
            continue
        arrays = list(outcome.outputs.values())
        committed = outcome.trace
        rows = committed.trace.rows if committed is not None else ()
        for row in rows:
            arrays += row
        described, parts = packed(arrays)
        layout = (tuple(outcome.outputs), len(rows), tuple(described))
        one: Document = {
            "seconds": outcome.seconds,
            "session": sessions.setdefault(outcome.session, len(sessions)),
            "layout": layouts.setdefault(layout, len(layouts)),
        }
        if committed is not None:
            one["trace"] = [committed.root.hex(), committed.program_root.hex()]
        told.append(one)
        pieces.append(parts)
    return {"outcomes": told, "sessions": list(sessions), "layouts": list(layouts)}, pieces


def decode_outcomes(document: Document, pieces: Sequence[Piece]) -> list[Outcome]:
    """What `encode_outcomes` was given; arrays are views of the pieces. Raises Garbled."""
    try:
        layouts = document["layouts"]
        found = []
        for one, piece in zip(document["outcomes"], pieces, strict=True):
            found.append(
                _decoded_error(one)
                if "error" in one
                else _decoded(one, piece, document["sessions"], layouts)
            )
        return found
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise Garbled(f"no outcomes: {error}") from error


def _decoded_error(document: Document) -> InferenceError | TensorError:
    error = decode_error(document)
    if isinstance(error, InferenceError | TensorError):
        return error
    raise Garbled(f"no outcome: {document}")


def _decoded(one: Document, piece: Piece, sessions: Sequence[str], layouts: list[Any]) -> Inference:
    names, rows, described = layouts[one["layout"]]
    arrays = unpacked(described, piece)
    outputs = dict(zip(names, arrays, strict=False))
    committed = None
    if "trace" in one:
        root, program_root = (bytes.fromhex(text) for text in one["trace"])
        rest = arrays[len(names) :]
        width = len(rest) // max(1, rows)
        split = tuple(tuple(rest[at * width : (at + 1) * width]) for at in range(rows))
        committed = CommittedTrace(root, program_root, Trace(split))
    return Inference(outputs, float(one["seconds"]), sessions[one["session"]], committed)
