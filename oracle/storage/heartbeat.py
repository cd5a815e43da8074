"""The node's sign of life, in a file that any process can read. Written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from oracle.core.types import Address
from oracle.errors import StorageError
from oracle.ports.health import Heartbeat


class HeartbeatFile:
    """One node's heartbeat."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, heartbeat: Heartbeat) -> None:
        """Replaces the last heartbeat; on a full disk, writes over it.

        Raises:
            StorageError: neither can be done.
        """
        text = json.dumps(asdict(heartbeat), indent=2).encode()
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_bytes(text)
            temporary.replace(self._path)
        except OSError:
            try:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
                self._write_over(text)
            except OSError as error:
                raise StorageError(
                    f"the heartbeat {self._path} cannot be written: {error.strerror}",
                    hint="free space on its disk, or mend the folder's owner and mode",
                ) from error

    def _write_over(self, text: bytes) -> None:
        """In the blocks that the file has: what is wrong is best said while it is. Not atomic."""
        descriptor = os.open(self._path, os.O_WRONLY)
        try:
            os.pwrite(descriptor, text, 0)
            os.ftruncate(descriptor, len(text))
        finally:
            os.close(descriptor)

    def read(self) -> Heartbeat | None:
        """The last heartbeat, or None where no node ever wrote one here."""
        try:
            document: dict[str, Any] = json.loads(self._path.read_text())
            return Heartbeat(**{**document, "operator": Address(document["operator"])})
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None
