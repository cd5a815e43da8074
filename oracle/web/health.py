"""`/health` and `/ready`: a judgement as an HTTP status, with its reasons as JSON.

    GET /health     200 where the process does its job, 503 where it is stalled
    GET /ready      200 where it takes on new work, too

Judges nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from oracle.core.health import Health, Reason


def health_routes(judge: Callable[[], Health]) -> list[web.RouteDef]:
    """The two routes. Args: judge: says how it is at this moment."""

    async def health(_request: web.Request) -> web.Response:
        found = judge()
        return _answer(found, well=found.does_its_job)

    async def ready(_request: web.Request) -> web.Response:
        found = judge()
        return _answer(found, well=found.takes_on_work)

    return [web.get("/health", health), web.get("/ready", ready)]


def _answer(found: Health, *, well: bool) -> web.Response:
    return web.json_response(
        {
            "status": found.status,
            "stalled": _told(found.stalled),
            "resting": _told(found.resting),
            "wanting": _told(found.wanting),
        },
        status=200 if well else 503,
        headers={"Cache-Control": "no-store"},
    )


def _told(reasons: Sequence[Reason]) -> list[dict[str, str]]:
    return [{"cause": one.cause, "what": one.what, "next": one.next_step} for one in reasons]
