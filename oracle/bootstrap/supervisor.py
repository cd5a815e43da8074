"""Tells systemd, or whatever speaks its notify protocol, how the node is doing.

READY, STOPPING and STATUS are news; WATCHDOG is a promise, and is kept back while any step of the
node has not come back for longer than it may take, so that the supervisor ends it. The protocol is
datagrams of `NAME=value` lines to the socket in NOTIFY_SOCKET (sd_notify(3)).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

_log = structlog.get_logger("oracle.node")

_LOOK_SECONDS = 1.0


class Supervised(Protocol):
    """A node, as far as this is concerned."""

    @property
    def draining(self) -> bool: ...

    def hung(self) -> Mapping[str, float]:
        """Steps that have not come back in their time, with the seconds since."""
        ...

    def summary(self) -> str:
        """How it is doing, in one line."""
        ...


class Supervisor:
    """Where the news go. Nothing goes wrong here for want of a listener."""

    def __init__(self, address: str, watchdog_seconds: float | None = None) -> None:
        # An abstract address is written with an @ and begins with a zero byte.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self.watchdog_seconds = watchdog_seconds

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Supervisor | None:
        """The one that started this process; None where none did, or it wants no news."""
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return None
        watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        try:
            seconds = int(environment["WATCHDOG_USEC"]) / 1e6 if watched else None
        except (KeyError, ValueError):
            seconds = None
        return cls(address, seconds)

    def tell(self, **news: str) -> None:
        """Sends one datagram."""
        text = "\n".join(f"{name}={value}" for name, value in news.items())
        with contextlib.suppress(OSError):
            self._socket.sendto(text.encode(), self._address)

    def close(self) -> None:
        self._socket.close()


@asynccontextmanager
async def reporting(node: Supervised, to: Supervisor | None) -> AsyncIterator[None]:
    """Reports on a node that is ready, until the context ends."""
    if to is None:
        yield
        return
    to.tell(READY="1", STATUS=node.summary())
    task = asyncio.create_task(_report(node, to))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        to.tell(STOPPING="1", STATUS="ended")
        to.close()


async def _report(node: Supervised, to: Supervisor) -> None:
    pause = min(_LOOK_SECONDS, (to.watchdog_seconds or 3 * _LOOK_SECONDS) / 3)
    told_stopping = False
    was_hung: set[str] = set()
    while True:
        news = {"STATUS": node.summary()}
        if node.draining and not told_stopping:
            news["STOPPING"], told_stopping = "1", True
        hung = node.hung()
        if hung.keys() - was_hung:
            _log.critical("a step hangs", steps=dict(hung), watchdog=to.watchdog_seconds)
        was_hung = set(hung)
        if to.watchdog_seconds is not None and not hung:
            news["WATCHDOG"] = "1"
        to.tell(**news)
        await asyncio.sleep(pause)
