"""What an operator's endpoint can do to a watcher: nothing but make it run the model itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from aiohttp import web

from oracle.client.trace_reader import ReadLimits
from oracle.core.case import Case, CaseState
from oracle.core.model import Model
from oracle.core.receipt import AnswerCommitment
from oracle.core.request import RequestState
from oracle.core.schema import ElementType
from oracle.court.commitment import commit
from oracle.program.encoding import encode
from oracle.watcher.examine import Examine
from oracle.watcher.policy import WatcherPolicy
from oracle.watcher.subject import OpenedProgram, Subject
from tests.service.fakes import INPUT as MESSAGE
from tests.service.fakes import OPERATOR, OUTPUT, good, model, request
from tests.support.small_programs import small_program, small_trace
from tests.watcher.test_own_run import Machine

LIMITS = ReadLimits(
    piece_seconds=0.3, attempts=2, pause_seconds=0.01, answer_bytes=1 << 16, trace_bytes=1 << 20
)
FLOATS = (ElementType.FLOAT32, len(MESSAGE) // 4)
PROGRAM = small_program((FLOATS, FLOATS))
ENCODED = encode(PROGRAM)
TRACE = small_trace(PROGRAM)
ROOT = commit(PROGRAM, ENCODED.root, TRACE).trace_root
DATA = b"".join(one.tobytes() for one in TRACE.rows[0])

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Subjects:
    """Knows one answer, whose result is not this machine's."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    async def subject(self, case: Case) -> Subject:
        asked: Model = model()
        terms = SimpleNamespace(tier=None, program_root=ENCODED.root, epsilon=0, reveal_window=5)
        asked = cast("Model", SimpleNamespace(terms=terms, schema=asked.schema))
        commitment = AnswerCommitment(OPERATOR, b"\x01" * 32, ROOT)
        posted = (OUTPUT + np.float32(1)).astype(np.float32).tobytes()
        return Subject(case.request_id, request(), MESSAGE, posted, commitment, asked)

    async def endpoint(self, operator: object) -> str:
        return self._endpoint

    async def program(self, asked: Model, endpoint: str | None) -> OpenedProgram:
        return OpenedProgram(b"", PROGRAM, ENCODED)


class View:
    async def state(self, request_id: bytes) -> Any:
        return SimpleNamespace(state=RequestState.ANSWERED)


def examine(endpoint: str) -> Examine:
    return Examine(
        cast("Any", View()),
        cast("Any", Subjects(endpoint)),
        lambda: Machine(good()),
        WatcherPolicy(start_block=1),
        LIMITS,
    )


@asynccontextmanager
async def endpoint(handler: Handler) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def endless(asked: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(asked)
    while True:
        await response.write(bytes(1 << 14))


async def trickle(asked: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(asked)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.05)


async def page(asked: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>welcome</html>", content_type="text/html")


async def elsewhere(asked: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})


async def packed(asked: web.Request) -> web.StreamResponse:
    return web.Response(body=bytes(64), headers={"Content-Encoding": "gzip"})


def saying(text: str) -> Handler:
    async def handler(asked: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type="application/json")

    return handler


def serving(data: bytes, stated: str | None = None) -> Handler:
    """A description in order, and these bytes as the trace."""

    async def handler(asked: web.Request) -> web.StreamResponse:
        if not asked.path.endswith("/data"):
            return web.json_response({"rows": 1})
        span = stated or f"bytes 0-{len(data) - 1}/{len(data)}"
        return web.Response(status=206, body=data, headers={"Content-Range": span})

    return handler


WHOLE = f"bytes 0-{len(DATA) - 1}/{len(DATA)}"


@pytest.mark.parametrize(
    "handler",
    [
        endless,
        trickle,
        page,
        elsewhere,
        packed,
        saying("[" * 50_000),
        saying('{"rows": ' + "9" * 5_000 + "}"),
        *(
            saying(f'{{"rows": {rows}}}')
            for rows in ("0", "-1", "true", '"1"', "NaN", "1e99", "[]")
        ),
        saying('{"rows": 2}'),
        serving(DATA + DATA),
        serving(DATA + b"more", WHOLE),
        serving(DATA[:-1], WHOLE),
        serving(bytes(len(DATA))),
    ],
)
async def test_whatever_is_served_instead_the_answer_is_looked_into_in_time(
    handler: Handler,
) -> None:
    async with asyncio.timeout(120), endpoint(handler) as url:
        case = await examine(url).step(Case(b"\x03" * 32, OPERATOR, 1, b"\x04" * 32))
    assert case.state is CaseState.WITHHELD, case
    assert "the trace is not served" in case.reason
    assert len(case.reason) < 1_000


async def test_a_trace_as_signed_is_judged() -> None:
    async with endpoint(serving(DATA)) as url:
        case = await examine(url).step(Case(b"\x03" * 32, OPERATOR, 1, b"\x04" * 32))
    assert case.state is CaseState.ACCUSED, "random bits are no run of the input"
    assert case.reason.startswith("the trace is of another input"), case.reason


async def test_whoever_kept_a_watcher_waiting_is_not_asked_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("oracle.watcher.examine._PATIENCE_SECONDS", 0.2)
    asked = 0

    async def counted(one: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return await trickle(one)

    async with endpoint(counted) as url:
        looking = examine(url)
        for _ in range(3):
            case = await looking.step(Case(b"\x03" * 32, OPERATOR, 1, b"\x04" * 32))
            assert case.state is CaseState.WITHHELD
    assert asked == LIMITS.attempts
    assert "a moment ago" in case.reason
