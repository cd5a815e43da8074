"""One inference process as its owner sees it: started, asked, killed, and how it ended.

Calls are told apart by number, so several may wait at once; when the process ends, however it does,
all of them end with `ChildEnded`. Knows sockets, signals and exit codes, and nothing of models.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from oracle.errors import InferenceError
from oracle.inference.child import MODULE, STUCK, ChildOptions
from oracle.inference.messages import Document, Garbled, Message, Piece, decode_error, receive, send
from oracle.inference.progress import Progress, shared_memory

_SOCKET_BYTES: Final = 1 << 20
_HIDDEN: Final = ("ORACLE_", "NOTIFY_SOCKET", "WATCHDOG_")
_SECRETS: Final = ("PASSWORD", "SECRET", "TOKEN", "PRIVATE", "CREDENTIAL", "API_KEY")


class ChildEnded(Exception):
    """The process is gone. The message says how."""


class ChildProcess:
    """A running inference process. Start it from the thread whose life it is to share."""

    def __init__(
        self, process: subprocess.Popen[bytes], connection: socket.socket, progress: Progress
    ) -> None:
        self.progress = progress
        self.how_ended: str | None = None
        self._process = process
        self._connection = connection
        self._killed_for: str | None = None
        self._sending = asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._numbers = iter(range(1, sys.maxsize))
        self._greeting: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    def spawn(cls, options: ChildOptions) -> ChildProcess:
        """Starts a process, which greets when it is ready. Descriptors in `options` are made here.

        A new interpreter, and no fork: nothing that lies in this process's memory, its keys among
        it, is ever in the child's.

        Raises:
            InferenceError: the system starts none.
        """
        ours, theirs = socket.socketpair()
        shared = shared_memory()
        try:
            for one in (ours, theirs):
                for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                    one.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BYTES)
            ours.setblocking(False)
            told = replace(options, connection=theirs.fileno(), progress=shared, parent=os.getpid())
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", MODULE, told.to_json()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), shared),
                start_new_session=True,
                env=_without_secrets(os.environ),
            )
            return cls(process, ours, Progress(shared))
        except OSError as error:
            ours.close()
            raise InferenceError(
                f"no inference process can be started: {error.strerror}",
                hint="check the limits on processes and memory",
            ) from error
        finally:
            theirs.close()
            os.close(shared)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether it runs and is not about to end."""
        return self.how_ended is None and self._killed_for is None

    async def greeting(self, seconds: float) -> str:
        """Waits until it is ready; the execution provider it uses.

        Raises:
            ChildEnded: it did not start in time, or ended.
            ProviderUnavailable: the provider cannot be had.
        """
        try:
            document, _ = await asyncio.wait_for(asyncio.shield(self._greeting), seconds)
        except TimeoutError:
            self.kill(f"it was not ready after {seconds:g} s")
            document, _ = await self._greeting
        if "failed" in document:
            raise decode_error(document["failed"])
        return str(document["provider"])

    async def call(self, document: Document, pieces: Sequence[Sequence[Piece]] = ()) -> Message:
        """Asks and waits for the reply.

        Raises:
            ChildEnded: the process ended first.
            OracleError: what it says went wrong.
        """
        if not self.usable:
            await self.gone()
            raise ChildEnded(self.how_ended)
        number = next(self._numbers)
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        try:
            async with self._sending:
                with contextlib.suppress(OSError):  # its end is seen by whoever reads
                    await send(self._connection, document | {"id": number}, pieces)
            answer, arrays = await reply
        finally:
            self._waiting.pop(number, None)
        if "failed" in answer:
            raise decode_error(answer["failed"])
        return answer, arrays

    def kill(self, reason: str) -> None:
        """Ends it now, whatever it does."""
        if self.how_ended is None:
            self._killed_for = self._killed_for or reason
            self._process.kill()

    async def close(self) -> None:
        """Ends it and waits until it is gone."""
        self.kill("it was not needed any more")
        await self.gone()

    async def gone(self) -> None:
        """Waits for its end."""
        await asyncio.wait({self._reader})

    async def _read(self) -> None:
        try:
            while (message := await receive(self._connection)) is not None:
                document, _ = message
                if "id" not in document:
                    self._greeting.set_result(message)
                    continue
                waiting = self._waiting.get(document["id"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
        except (Garbled, OSError, asyncio.InvalidStateError) as error:
            self.kill(f"it sent what cannot be read: {error}")
        finally:
            self._process.kill()
            code = await asyncio.shield(asyncio.to_thread(self._process.wait))
            self.how_ended = self._killed_for or _how(code)
            self._connection.close()
            for waiting in (self._greeting, *self._waiting.values()):
                if not waiting.done():
                    waiting.set_exception(ChildEnded(self.how_ended))
            self._greeting.exception()  # somebody may have stopped waiting; that is no news


def _how(code: int) -> str:
    if code == STUCK:
        return "a run did not stop when told to"
    if code < 0:
        name = signal.Signals(-code).name
        killed = " (by the system where memory ran out, or by hand)" if name == "SIGKILL" else ""
        return f"it was ended by {name}{killed}"
    return f"it ended with {code}"


def _without_secrets(environment: os._Environ[str]) -> dict[str, str]:
    """What an interpreter and its libraries need, and nothing of ours."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(_HIDDEN) and not any(one in name.upper() for one in _SECRETS)
    }
