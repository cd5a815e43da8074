"""What somebody is told who ends a verb that asks, by Ctrl-C, before it has its answer.

A request on chain goes on without whoever made it, and its fee is in it. Knows how far the verb
came, and ends nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from oracle.cli.output import Output
from oracle.client import OracleClient


@dataclass(slots=True)
class UnderWay:
    """How far a verb has come; filled by the verb as it goes."""

    client: OracleClient | None = None
    request_id: bytes | None = None
    interrupted: bool = False

    @property
    def words(self) -> str:
        if self.request_id is not None:
            named = f"0x{self.request_id.hex()}"
            return (
                f"interrupted: the request goes on\n  follow it with: oracle show {named}\n"
                f"  once it is answered: oracle receipt {named} --save FILE"
            )
        latest = None if self.client is None else self.client.sender.latest
        if latest is None:
            return "interrupted: nothing was sent"
        return (
            f"interrupted while transaction 0x{latest.hex()} was on its way\n"
            "  it may still be mined: look it up before asking again"
        )


@asynccontextmanager
async def told_if_interrupted(out: Output) -> AsyncIterator[UnderWay]:
    """Within, an interrupt is answered by how things stand, and goes on its way."""
    under_way = UnderWay()
    _quiet_once_interrupted(under_way)
    try:
        yield under_way
    except asyncio.CancelledError:
        under_way.interrupted = True
        out.say(under_way.words)
        raise


def _quiet_once_interrupted(under_way: UnderWay) -> None:
    """What libraries have under way at an interrupt fails, and would be printed as tracebacks."""
    # Some of it while the verb is being left, when only the task knows, and some when it is gone.
    verb = asyncio.current_task()

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not under_way.interrupted and (verb is None or not verb.cancelling()):
            loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(handler)
