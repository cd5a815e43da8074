"""The other end of systemd's notify protocol: what a node tells whoever has started it.

Responsible for the socket, and for handing on each piece of news. `oracle.bootstrap.supervisor` is
the node's end. Knows no process.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

_MOST_BYTES: Final = 65_536


class Listener:
    """A socket in a folder of its own.

    Attributes:
        environment: the variables that have a node report here.
    """

    def __init__(self, path: Path, watchdog_seconds: float) -> None:
        self.environment: Mapping[str, str] = {
            "NOTIFY_SOCKET": str(path),
            "WATCHDOG_USEC": str(round(watchdog_seconds * 1e6)),
        }
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._socket.bind(str(path))

    async def hear(self) -> Mapping[str, str]:
        """The next news, by name."""
        data = await asyncio.get_running_loop().sock_recv(self._socket, _MOST_BYTES)
        lines = data.decode(errors="replace").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def close(self) -> None:
        self._socket.close()


@asynccontextmanager
async def listening(watchdog_seconds: float) -> AsyncIterator[Listener]:
    """Listens, in a folder that only this user can enter, until the context ends."""
    with tempfile.TemporaryDirectory(prefix="oracle-up-") as folder:
        listener = Listener(Path(folder) / "notify", watchdog_seconds)
        try:
            yield listener
        finally:
            listener.close()
