"""Inputs that are images, as PNG files made here. Decides what is an image by its shape and name.

A stranger's bytes become pixels and nothing else. Knows no request.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.core.schema import TensorSpec

LARGEST_SIDE: Final = 512
_SMALLEST_SIDE: Final = 4
_NAMES: Final = ("pixel", "image", "img", "picture", "digit", "photo")


@dataclass(frozen=True, slots=True)
class Frame:
    """How a row is laid out as an image; `first` says that its channels come first."""

    height: int
    width: int
    channels: int
    first: bool


def frame_of(spec: TensorSpec) -> Frame | None:
    """The frame of an input that looks like an image; None for one that does not.

    Two axes, or three with one or three channels, are an image; a flat row is one where its name
    says so and it is a square.
    """
    match spec.row_shape:
        case (size,) if any(one in spec.name.lower() for one in _NAMES):
            side = math.isqrt(size)
            found = Frame(side, side, 1, False) if side * side == size else None
        case (height, width):
            found = Frame(height, width, 1, False)
        case (1 | 3 as channels, height, width):
            found = Frame(height, width, channels, True)
        case (height, width, 1 | 3 as channels):
            found = Frame(height, width, channels, False)
        case _:
            found = None
    if found is None:
        return None
    fits = all(_SMALLEST_SIDE <= one <= LARGEST_SIDE for one in (found.height, found.width))
    return found if fits else None


def png(frame: Frame, row: NDArray[Any]) -> bytes:
    """One row as a PNG: the least value black, or 0 where none is below it, the greatest white."""
    shape = (frame.height, frame.width, frame.channels)
    if frame.first:
        values = row.reshape(frame.channels, frame.height, frame.width).transpose(1, 2, 0)
    else:
        values = row.reshape(shape)
    scaled = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = min(0.0, float(scaled.min())), float(scaled.max())
    span = high - low
    if not span or not math.isfinite(span):
        levels = np.zeros(shape, np.uint8)
    else:
        levels = np.rint((scaled - low) / span * 255).astype(np.uint8)
    flat = np.ascontiguousarray(levels).reshape(frame.height, frame.width * frame.channels)
    lines = np.pad(flat, ((0, 0), (1, 0)))  # filter 0 before each line
    kind = 0 if frame.channels == 1 else 2
    head = struct.pack(">IIBBBBB", frame.width, frame.height, 8, kind, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", head),
            _chunk(b"IDAT", zlib.compress(lines.tobytes())),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    check = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)
