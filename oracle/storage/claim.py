"""A data directory is one node's: claimed before anything in it is opened, free when it ends.

Responsible for refusing a second node at once, by the directory's name and the first one's process.
The system gives the claim back when a process dies, however it does; the number in the file is for
the message only. Knows nothing of what lies in the directory.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from oracle.errors import StorageError

FILE_NAME: Final = "node.lock"


@contextmanager
def claimed(data_dir: Path) -> Iterator[None]:
    """Holds a data directory.

    Raises:
        StorageError: another process holds it, or it cannot be written.
    """
    path = data_dir / FILE_NAME
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(
            f"the data directory {data_dir} cannot be used: {error.strerror}",
            hint="set data_dir to a folder that this user may write",
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StorageError(
                f"a node runs on the data directory {data_dir.absolute()} already{_holder(path)}",
                hint="`oracle node stop` ends it; a second node needs a data_dir of its own",
            ) from error
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        yield
    finally:
        os.close(lock)


def _holder(path: Path) -> str:
    try:
        return f" (process {int(path.read_text())})"
    except (OSError, ValueError):
        return ""  # it has only just begun
