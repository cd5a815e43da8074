"""A data directory is one process's: claimed before anything in it is opened, free when it ends.

Responsible for refusing a second one at once, by the directory's name and the first one's process.
The system gives the claim back when a process dies, however it does. The file tells who held it
last: that one has ended for certain, and what it held elsewhere may be taken over at once. What
fails before it has written anything leaves no directory behind. Knows nothing of what lies in it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from oracle.errors import StorageError

FILE_NAME: Final = "node.lock"


@dataclass(frozen=True, slots=True)
class Claim:
    """A directory that is held.

    Attributes:
        holder: a name of this claim's own, for people too: host, process, and chance.
        former: the name of the last claim, whose process has ended; None where it is not known.
    """

    holder: str
    former: str | None


@contextmanager
def claimed(
    data_dir: Path,
    *,
    runs: str = "a node runs on the data directory {data_dir}",
    hint: str = "end it first: `oracle node stop`",
) -> Iterator[Claim]:
    """Holds a data directory.

    Args:
        runs: what is said to run where another holds it already; `{data_dir}` is its path.
        hint: what to do then.

    Raises:
        StorageError: another process holds it, or it cannot be written.
    """
    path = data_dir / FILE_NAME
    made = [one for one in (data_dir, *data_dir.parents) if not os.path.exists(one)]
    lock = _locked(path, f"{runs.format(data_dir=data_dir.absolute())} already", hint)
    try:
        place = _place(lock)
        claim = Claim(f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}", _former(lock))
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n{claim.holder}\n{place}\n".encode(), 0)
        try:
            yield claim
        except BaseException:
            _remove(made, path)
            raise
    finally:
        os.close(lock)


def _locked(path: Path, held: str, hint: str) -> int:
    while True:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(
                f"the data directory {path.parent} cannot be used: {error.strerror}",
                hint="set data_dir to a folder that this user may write",
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise StorageError(f"{held}{_holder(path)}", hint=hint) from error
        if _still_there(lock, path):
            return lock
        os.close(lock)  # a start that failed has just taken its folder along


def _still_there(lock: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except FileNotFoundError:
        return False


def _remove(made: Sequence[Path], path: Path) -> None:
    """What failed before it had anything to keep leaves no folder behind that it has made."""
    with suppress(OSError):  # somebody else uses a folder above
        if made and set(path.parent.iterdir()) == {path}:
            path.unlink()
            for one in made:
                one.rmdir()


def _place(lock: int) -> str:
    """What a copy of the file, on this machine or another, has otherwise."""
    found = os.fstat(lock)
    return f"{socket.gethostname()} {found.st_dev} {found.st_ino}"


def _former(lock: int) -> str | None:
    """Who held this very file last: in a copy, the one that it names may well live."""
    lines = os.pread(lock, 1_000, 0).decode(errors="replace").splitlines()
    return lines[1] if len(lines) == 3 and lines[2] == _place(lock) else None


def _holder(path: Path) -> str:
    try:
        return f" (process {int(path.read_text().partition(chr(10))[0])})"
    except (OSError, ValueError):
        return ""  # it has only just begun
