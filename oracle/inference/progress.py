"""A few bytes shared with the inference process: its last step can be read there after it died.

Which requests it was running and since when is written there before each run: no message could be
sent by a process that crashes, and none has to be. Knows nothing of what is run.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import time
from typing import Final

SLOTS: Final = 32
"""Calls that can be followed at once."""

_SLOT: Final = struct.Struct("<dII")
_BYTES: Final = SLOTS * _SLOT.size


class Progress:
    """One place for each call that is under way. The moments are on the monotonic clock."""

    def __init__(self, descriptor: int) -> None:
        """Maps shared memory that `shared_memory` made; the descriptor may be closed then."""
        self._memory = mmap.mmap(descriptor, _BYTES)

    def begin(self, slot: int, first: int, last: int) -> None:
        """Says that the requests `first` to `last` of a call are run from now on."""
        _SLOT.pack_into(self._memory, slot * _SLOT.size, time.monotonic(), first, last)

    def clear(self, slot: int) -> None:
        """Makes a slot ready for the next call."""
        _SLOT.pack_into(self._memory, slot * _SLOT.size, 0.0, 0, 0)

    def running(self, slot: int) -> range:
        """The requests of the last run that a call has begun; empty before its first."""
        began, first, last = _SLOT.unpack_from(self._memory, slot * _SLOT.size)
        return range(first, last + 1) if began else range(0)

    def latest(self) -> float:
        """When the last run of any call began; 0 where none has."""
        return max(float(began) for began, _, _ in _SLOT.iter_unpack(self._memory))

    def close(self) -> None:
        self._memory.close()


def shared_memory() -> int:
    """A descriptor of memory for `Progress`, to be handed to another process."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("progress", os.MFD_CLOEXEC)
    else:  # no Linux
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, _BYTES)
    return descriptor
