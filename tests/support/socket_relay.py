"""Passes bytes between a port of its own and another, as a process that can be stopped and killed.

A websocket through it goes deaf with SIGSTOP and is cut with SIGKILL, while the chain behind it
goes on. Knows nothing of what passes.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class SocketRelay:
    """The process, from the outside."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self.port = 0
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self._target_port), str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        self.port = int(process.stdout.readline())
        return process

    def suspend(self) -> None:
        """Connections stay open, and nothing passes."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def cut(self) -> None:
        """Ends all connections and takes no more."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def restart(self) -> None:
        """Takes connections again, on the same port."""
        self._process = self._start()


@contextmanager
def socket_relay(target_port: int) -> Iterator[SocketRelay]:
    """A running relay to a port of this machine."""
    relay = SocketRelay(target_port)
    try:
        yield relay
    finally:
        relay.cut()


async def _serve(target_port: int, port: int) -> None:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target_port)
        ways = [_pass(reader, far_writer), _pass(far_reader, writer)]
        await asyncio.wait(
            [asyncio.create_task(way) for way in ways], return_when=asyncio.FIRST_COMPLETED
        )
        for one in (writer, far_writer):
            one.close()

    server = await asyncio.start_server(relay, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
