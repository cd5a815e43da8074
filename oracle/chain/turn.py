"""One at a time for a key, across all processes of this user on this machine.

Two commands that read one nonce would replace or refuse each other's transaction. Responsible for
whose turn it is and for a bound on the wait; a process that dies gives its turn back. Knows nothing
of what is done in a turn. Processes on other machines are not seen: a sender still has to expect a
nonce that is taken.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from oracle.core.types import Address
from oracle.errors import ChainUnreachable, ConfigurationError

WAIT_SECONDS: Final = 300.0
"""Longer than a transaction is waited for, since a turn may be held until one is mined."""

_PAUSE_SECONDS = 0.02


@asynccontextmanager
async def turn(
    chain_id: int, address: Address, what: str, *, wait_seconds: float = WAIT_SECONDS
) -> AsyncIterator[None]:
    """Holds the turn of (chain, address) to do `what`.

    Raises:
        ChainUnreachable: others held it for all of `wait_seconds`.
        ConfigurationError: the folder of the locks cannot be used.
    """
    lock = open_lock(lock_folder() / f"{chain_id}-{address}-{what}.lock")
    try:
        give_up_at = time.monotonic() + wait_seconds
        while not _taken(lock):
            if time.monotonic() > give_up_at:
                raise ChainUnreachable(
                    f"other processes have been sending for {address} for {wait_seconds:g} s",
                    hint="wait until they end; with a key of its own a process waits for nobody",
                )
            await asyncio.sleep(_PAUSE_SECONDS)
        yield
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_folder() -> Path:
    """A folder that only this user can write, so that nobody else can hold a turn."""
    folder = Path(tempfile.gettempdir()) / f"oracle-turns-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise _unusable(folder, error.strerror) from error
    if found.st_uid != os.getuid() or not folder.is_dir() or folder.is_symlink():
        raise _unusable(folder, "it is somebody else's")
    return folder


def open_lock(path: Path) -> int:
    """A file to lock, created where there is none. Raises ConfigurationError."""
    try:
        return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unusable(path, error.strerror) from error


def _unusable(path: Path, why: str | None) -> ConfigurationError:
    return ConfigurationError(
        f"{path} cannot be used to take turns: {why}", hint="set TMPDIR to a folder of your own"
    )
