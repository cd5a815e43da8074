"""The page's routes, and the live pieces behind them.

    GET  /                     ?window=hour|day|week
    GET  /events               the same, as server-sent events
    GET  /jobs/{id}            one job's story
    GET  /jobs/{id}/events
    POST /jobs/{id}/retry      with a token only
    POST /drain                with a token only

Responsible for what is asked and answered. Knows the ports, and nothing of what is behind them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

import structlog
from aiohttp import web

from oracle.errors import OracleError
from oracle.ports.overview import JobStory, OperatorActions, Overview, OverviewSource
from oracle.web import parameters
from oracle.web.look import Fragments, Live, Look, stream_fragments
from oracle.web.page import shown
from oracle.web.page.actions import Token
from oracle.web.private import Part
from oracle.web.problems import Problem

_log = structlog.get_logger("oracle.page")

WINDOWS: Final = {"hour": (60.0, 60), "day": (1_200.0, 72), "week": (7_200.0, 84)}
"""Stretches of time: seconds of a part, and how many parts."""

PIECES: Final = (
    *("health", "figures", "queue", "jobs", "speed"),
    *("money", "bond", "models", "endpoints", "troubles"),
)
"""Parts of the page that are sent anew when they change, by the ids of their elements."""

_STORIES: Final = 8
_SECONDS: Final = 1.0


def page_part(
    source: OverviewSource, *, actions: OperatorActions | None = None, token: Token | None = None
) -> Part:
    """The routes. Those that act exist only where there are actions and a token for them."""
    pages = _Pages(source, with_actions=actions is not None and token is not None)
    routes = [
        web.get("/", pages.overview),
        web.get("/events", pages.events),
        web.get("/jobs/{id}", pages.job),
        web.get("/jobs/{id}/events", pages.job_events),
    ]
    if actions is not None and token is not None:
        deeds = _Deeds(pages.look, actions, token)
        routes += [
            web.post("/jobs/{id}/retry", deeds.retry),
            web.post("/drain", deeds.drain),
        ]
    return Part(routes, pages.close)


class _Pages:
    def __init__(self, source: OverviewSource, *, with_actions: bool) -> None:
        self.look = Look("oracle.web.page")
        self._source = source
        self._with_actions = with_actions
        self._live = {name: Live(self._maker(name), every_seconds=_SECONDS) for name in WINDOWS}
        self._closing = asyncio.Event()
        self._stories = 0

    async def overview(self, request: web.Request) -> web.Response:
        window = _window(request)
        found = await self._source.overview(*WINDOWS[window])
        return self.look.page(
            "overview.html",
            live=f"/events?window={window}",
            with_actions=self._with_actions,
            **_values(found, window),
        )

    async def events(self, request: web.Request) -> web.StreamResponse:
        return await self._live[_window(request)].watch(request)

    async def job(self, request: web.Request) -> web.Response:
        request_id = parameters.digest(request, "id")
        told = await self._source.story(request_id)
        return self.look.page(
            "job.html",
            live=f"/jobs/0x{request_id.hex()}/events",
            with_actions=self._with_actions,
            **_story_values(told),
        )

    async def job_events(self, request: web.Request) -> web.StreamResponse:
        request_id = parameters.digest(request, "id")
        if self._closing.is_set() or self._stories >= _STORIES:
            raise Problem(503, "too many jobs are watched", headers={"Retry-After": "5"})
        await self._source.story(request_id)  # an unknown one is refused
        self._stories += 1
        try:
            return await stream_fragments(request, self._tellings(request_id))
        finally:
            self._stories -= 1

    async def close(self) -> None:
        """Ends every stream."""
        self._closing.set()
        for live in self._live.values():
            await live.close()

    def _maker(self, window: str) -> Any:
        async def make() -> Fragments:
            values = _values(await self._source.overview(*WINDOWS[window]), window)
            return {name: self.look.render(f"pieces/{name}.html", **values) for name in PIECES}

        return make

    async def _tellings(self, request_id: bytes) -> AsyncGenerator[Fragments, None]:
        while not self._closing.is_set():
            try:
                values = _story_values(await self._source.story(request_id))
                yield {"story": self.look.render("pieces/story.html", **values)}
            except OracleError as error:
                _log.warning("a job cannot be read", error=error.message)
            try:
                await asyncio.wait_for(self._closing.wait(), _SECONDS)
            except TimeoutError:
                continue


class _Deeds:
    """What changes something; each asks for the token first."""

    def __init__(self, look: Look, actions: OperatorActions, token: Token) -> None:
        self._look = look
        self._actions = actions
        self._token = token

    async def retry(self, request: web.Request) -> web.Response:
        request_id = parameters.digest(request, "id")
        await self._token.demand(request)
        came_to = await self._actions.retry(request_id)
        shown_id = f"0x{request_id.hex()}"
        _log.info("retried from the page", request=shown_id[:12])
        return self._done("Tried again", came_to, f"/jobs/{shown_id}")

    async def drain(self, request: web.Request) -> web.Response:
        await self._token.demand(request)
        _log.info("drained from the page")
        return self._done("Draining", self._actions.drain(), "/")

    def _done(self, title: str, came_to: str, back: str) -> web.Response:
        return self._look.page("done.html", title=title, came_to=came_to, back=back)


def _window(request: web.Request) -> str:
    window = request.query.get("window", "hour")
    if window not in WINDOWS:
        raise Problem(400, f"window is one of {', '.join(WINDOWS)}", parameter="window")
    return window


def _values(overview: Overview, window: str) -> dict[str, Any]:
    return {"overview": overview, "window": window, "windows": list(WINDOWS), "shown": shown}


def _story_values(told: JobStory) -> dict[str, Any]:
    return {"told": told, "shown": shown}
