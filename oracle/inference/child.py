"""The inference process: a model engine behind a socket, run as a module by `child_process`.

It has what it is sent, and nothing else: models come as bytes, no key and no database is in its
memory, its environment or its open files. It ends with whoever started it, ends itself where a run
does not stop when told to, and is the first that the system ends where memory runs out.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import resource
import signal
import socket
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from oracle.core.schema import ModelSchema
from oracle.core.types import Tier
from oracle.errors import InferenceError, OracleError
from oracle.inference.engine import EngineSettings, Loaded, LocalEngine
from oracle.inference.messages import (
    Document,
    Piece,
    encode_error,
    encode_outcomes,
    receive,
    send,
    unpacked,
)
from oracle.inference.progress import Progress
from oracle.inference.provider import ProviderSetting, select_provider
from oracle.inference.session import SessionSettings

MODULE: Final = "oracle.inference.child"
STUCK: Final = 70
"""Exit code of a process one of whose runs did not stop."""

_STOPPING_SECONDS: Final = 2.0
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True)
class ChildOptions:
    """What a child is told when it is started. The descriptors are inherited."""

    connection: int
    progress: int
    parent: int
    provider: ProviderSetting = "cpu"
    memory_bytes: int | None = None
    engine: EngineSettings = field(default_factory=EngineSettings)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ChildOptions:
        fields = json.loads(text)
        session = SessionSettings(**fields["engine"].pop("session"))
        engine = EngineSettings(**fields.pop("engine"), session=session)
        return cls(**fields, engine=engine)


class _Sent:
    """Models by their digests, while they are being loaded."""

    def __init__(self) -> None:
        self.files: dict[bytes, bytes] = {}

    def read(self, sha256: bytes) -> bytes:
        return self.files[sha256]

    def read_program(self, root: bytes) -> bytes:
        return self.files[root]


class Child:
    """Does what it is asked, several things at once."""

    def __init__(
        self, connection: socket.socket, progress: Progress, engine: LocalEngine, sent: _Sent
    ) -> None:
        self._connection = connection
        self._progress = progress
        self._engine = engine
        self._sent = sent
        self._sending = asyncio.Lock()
        self._under_way: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Returns when the other side is gone."""
        while (message := await receive(self._connection)) is not None:
            task = asyncio.create_task(self._answer(*message))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _answer(self, document: Document, pieces: list[Piece]) -> None:
        reply: tuple[Document, list[list[Piece]]]
        try:
            match document["verb"]:
                case "find":
                    reply = {"found": self._find(document) is not None}, []
                case "load":
                    await self._load(document, pieces)
                    reply = {}, []
                case _:
                    reply = await self._run(document, pieces)
        except OracleError as error:
            reply = {"failed": encode_error(error)}, []
        except Exception as error:  # a defect here must not end what others wait for
            cause = InferenceError(f"the inference process failed: {type(error).__name__}: {error}")
            reply = {"failed": encode_error(cause)}, []
        async with self._sending:
            await send(self._connection, reply[0] | {"id": document["id"]}, reply[1])
        if self._engine.stuck:
            await asyncio.sleep(_STOPPING_SECONDS)
            if self._engine.stuck:
                os._exit(STUCK)

    def _find(self, document: Document) -> Loaded | None:
        root, schema_hash = (bytes.fromhex(document[name]) for name in ("root", "schema_hash"))
        return self._engine.find(root, schema_hash, Tier(document["tier"]))

    async def _load(self, document: Document, pieces: list[Piece]) -> None:
        root = bytes.fromhex(document["root"])
        schema = ModelSchema.from_json(document["schema"])
        self._sent.files[root] = pieces[0].tobytes()
        try:
            await self._engine.load(root, schema, Tier(document["tier"]))
        finally:
            del self._sent.files[root]

    async def _run(
        self, document: Document, pieces: list[Piece]
    ) -> tuple[Document, list[list[Piece]]]:
        loaded = self._find(document)
        if loaded is None:
            return {"absent": True}, []
        slot: int = document["slot"]
        outcomes = await self._engine.run_loaded(
            loaded,
            [_tensors(one, piece) for one, piece in zip(document["inputs"], pieces, strict=True)],
            begins=lambda first, last: self._progress.begin(slot, first, last),
        )
        return encode_outcomes(outcomes)


def _tensors(described: Any, piece: Piece) -> dict[str, Any]:
    names, kinds = described
    return dict(zip(names, unpacked(kinds, piece), strict=True))


async def _serve(options: ChildOptions) -> None:
    connection = socket.socket(fileno=options.connection)
    connection.setblocking(False)
    sent = _Sent()
    try:
        provider = select_provider(options.provider)
    except OracleError as error:
        await send(connection, {"failed": encode_error(error)})
        return
    engine = LocalEngine(sent, provider=provider, settings=options.engine)
    await send(connection, {"provider": provider.name})
    await Child(connection, Progress(options.progress), engine, sent).serve()


def _give_up_much(options: ChildOptions) -> None:
    """Ends with the parent, leaves signals to it, and takes no more memory than it may."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if options.memory_bytes is not None:
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = options.memory_bytes
        limit = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
    if os.getppid() != options.parent:
        os._exit(0)  # it died before it could be seen dying


def main() -> None:
    """Reads the options from the command line and serves."""
    options = ChildOptions.from_json(sys.argv[1])
    _give_up_much(options)
    with contextlib.suppress(ConnectionError):
        asyncio.run(_serve(options))
    os._exit(0)  # at once, whatever still runs


if __name__ == "__main__":
    main()
