"""What a node does with its endpoints beyond asking them: its log, its trouble, its doorbell."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import structlog

from oracle.chain.doorbell import Doorbell, DoorbellPolicy
from oracle.core.event import BlockRef
from oracle.ports.health import EndpointReport
from oracle.settings import Settings

_log = structlog.get_logger("oracle.rpc")

_DEAF_POLLS = 5
_DEAF_SECONDS = 15.0


def log_endpoint(level: str, endpoint: str, what: str) -> None:
    """One line of the node's log for each change of an endpoint."""
    getattr(_log, level)("endpoint", endpoint=endpoint, what=what)


def endpoint_trouble(reports: Sequence[EndpointReport]) -> str | None:
    """What an operator must mend though others serve: an endpoint of another chain."""
    wrong = [one["why"] or one["address"] for one in reports if one["state"] == "wrong chain"]
    return f"never used: {'; '.join(wrong)}; mend or remove it in rpc_url" if wrong else None


@asynccontextmanager
async def ringing(
    settings: Settings, chain_id: int, ring: Callable[[], None], head: Callable[[], BlockRef | None]
) -> AsyncIterator[Doorbell | None]:
    """A doorbell at `ws_url`, if settings name one, for as long as the context lasts."""
    if settings.ws_url is None:
        yield None
        return

    def seen() -> int | None:
        last = head()
        return None if last is None else last.number

    deaf = max(_DEAF_SECONDS, _DEAF_POLLS * settings.poll_seconds)
    policy = DoorbellPolicy(deaf, timeout_seconds=settings.rpc_timeout_seconds)
    doorbell = Doorbell(settings.ws_url, chain_id, ring, seen, log_endpoint, policy)
    listening = asyncio.create_task(doorbell.run())
    try:
        yield doorbell
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
