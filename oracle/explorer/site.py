"""The explorer as one web application: pages, API, the shared look, and what both may cost.

Knows how the parts hang together, and nothing of how they are made.
"""

from __future__ import annotations

from aiohttp import web

from oracle.core.model import error_bar
from oracle.explorer.api import Api
from oracle.explorer.checks import Checks
from oracle.explorer.evidence import Transactions
from oracle.explorer.pages import Pages
from oracle.explorer.request_page import RequestPage
from oracle.explorer.status import Status
from oracle.explorer.words import number, plain, scientific, times
from oracle.storage.explorer_lookup import ExplorerLookup
from oracle.web.look import Look, secure

_LARGEST_BODY = 1 << 12


def site(
    lookup: ExplorerLookup, checks: Checks, evidence: Transactions, status: Status
) -> web.Application:
    """The application over an index that somebody else keeps up."""
    look = Look(
        "oracle.explorer",
        filters={
            "plain": plain,
            "number": number,
            "scientific": scientific,
            "times": times,
            "error_bar": error_bar,
        },
        values={"deployment": status.deployment},
    )
    pages = Pages(look, lookup, status)
    one = RequestPage(look, lookup, checks, evidence, status)
    built = web.Application(middlewares=[look.explain], client_max_size=_LARGEST_BODY)
    built.add_routes([*look.assets, *pages.routes, *one.routes])
    built.add_routes(Api(lookup, checks, status).routes)
    built.add_routes([web.get("/healthz", _Health(status).answer)])
    secure(built)
    built.on_shutdown.extend([pages.close, one.close])
    return built


class _Health:
    """Says whether the index is kept up, for whoever supervises it."""

    def __init__(self, status: Status) -> None:
        self._status = status

    async def answer(self, _request: web.Request) -> web.Response:
        found = await self._status.progress()
        body = {"status": "trouble" if found.trouble else "ok", "behind": found.behind}
        return web.json_response(body, status=503 if found.trouble else 200)
