"""The pages but a request's own: home, lists, models, operators, searches; from the index alone.

Gathers what each shows; how it looks is the templates' business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from aiohttp import web

from oracle.core.chronicle import OfferRecord, OperatorRecord, Standing
from oracle.core.types import Tier
from oracle.errors import NotFound
from oracle.explorer import query
from oracle.explorer.decoded import error_bar_of, schema_of
from oracle.explorer.reading import models_of, named_model
from oracle.explorer.status import Status
from oracle.storage.explorer_lookup import ExplorerLookup
from oracle.web.look import Fragments, Live, Look

RECENT: Final = 12
_WATCHERS: Final = 64
_LOOK_SECONDS: Final = 1.0


class Pages:
    """The routes that people look at."""

    def __init__(self, look: Look, lookup: ExplorerLookup, status: Status) -> None:
        self._look = look
        self._lookup = lookup
        self._status = status
        self._style = (files("oracle.explorer") / "static" / "explorer.css").read_bytes()
        self.live = Live(self._home_pieces, every_seconds=_LOOK_SECONDS, most=_WATCHERS)

    @property
    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.home),
            web.get("/events", self.live.watch),
            web.get("/search", self.search),
            web.get("/requests", self.requests),
            web.get("/models", self.models),
            web.get("/models/{id}", self.model),
            web.get("/operators", self.operators),
            web.get("/operators/{address}", self.operator),
            web.get("/disputes", self.disputes),
            web.get("/explorer.css", self.style),
        ]

    async def close(self, application: web.Application) -> None:
        """Ends every stream; for the site's `on_shutdown`."""
        await self.live.close(application)

    # ---- home and search

    async def home(self, _request: web.Request) -> web.Response:
        return self._look.page("home.html", **await self._home(), live="/events", here="home")

    async def _home(self) -> dict[str, Any]:
        totals, recent = await asyncio.gather(self._lookup.totals(), self._lookup.recent(RECENT))
        return {
            "totals": totals,
            "recent": recent,
            "models": await models_of(self._lookup, recent),
            "progress": await self._status.progress(),
            "now_on_chain": await self._status.now(),
            "deployment": self._status.deployment,
        }

    async def _home_pieces(self) -> Fragments:
        values = await self._home()
        return {
            name: self._look.render(f"pieces/{name}.html", **values)
            for name in ("totals", "recent")
        }

    async def search(self, request: web.Request) -> web.StreamResponse:
        text = query.text(request, "q")
        if not text:
            raise web.HTTPSeeOther("/")
        found = await self._lookup.search(text)
        only = [
            *(f"/requests/0x{one.request_id.hex()}" for one in found.requests),
            *(f"/models/0x{one.model_id.hex()}" for one in found.models),
            *(f"/operators/{one.operator}" for one in found.operators),
        ]
        if len(only) == 1:
            raise web.HTTPSeeOther(only[0])
        return self._look.page(
            "search.html",
            text=text,
            found=found,
            models=await models_of(self._lookup, found.requests),
            now_on_chain=await self._status.now(),
            tiers=_TIERS,
            here="search",
        )

    # ---- requests

    async def requests(self, request: web.Request) -> web.Response:
        named = query.text(request, "model")
        model, unknown = None, None
        try:
            model = await named_model(self._lookup, named)
        except NotFound as error:
            unknown = error.message
        wanted, limit = query.wanted(request, model), query.limit(request)
        found = (
            []
            if unknown
            else await self._lookup.requests(wanted, before=query.before(request), limit=limit)
        )
        last = found[-1] if len(found) == limit else None
        after = None if last is None else f"{last.created_block}-{last.created_log}"
        return self._look.page(
            "requests.html",
            found=found,
            models=await models_of(self._lookup, found),
            wanted=wanted,
            named=named,
            unknown=unknown,
            standings=[one.value for one in Standing],
            older=_older(request, after),
            newest=_newest(request),
            now_on_chain=await self._status.now(),
            here="requests",
        )

    async def disputes(self, request: web.Request) -> web.Response:
        limit = query.limit(request)
        found = await self._lookup.disputes(before=query.before(request), limit=limit)
        last = found[-1] if len(found) == limit else None
        after = None if last is None else f"{last.dispute_block}-{last.dispute_log}"
        return self._look.page(
            "disputes.html",
            found=found,
            models=await models_of(self._lookup, found),
            older=_older(request, after),
            newest=_newest(request),
            now_on_chain=await self._status.now(),
            here="disputes",
        )

    # ---- models and operators

    async def models(self, request: web.Request) -> web.Response:
        limit = query.limit(request)
        found = await self._lookup.models(before=query.before(request), limit=limit)
        last = found[-1] if len(found) == limit else None
        after = None if last is None else f"{last.registered_block}-{last.registered_log}"
        return self._look.page(
            "models.html",
            found=found,
            tallies=await self._lookup.tallies("model", [one.model_id.hex() for one in found]),
            prices=await self._lookup.cheapest([one.model_id for one in found]),
            tiers=_TIERS,
            older=_older(request, after),
            newest=_newest(request),
            here="models",
        )

    async def model(self, request: web.Request) -> web.Response:
        model_id = query.digest(request, "id")
        found = await self._lookup.model(model_id)
        if found is None:
            raise NotFound(f"the index has no model 0x{model_id.hex()}")
        offers = await self._lookup.offers(model_id=model_id, limit=50)
        serving = await self._operators_of(offers)
        recent = await self._lookup.recent(RECENT, model_id=model_id)
        tallies = await self._lookup.tallies("model", [model_id.hex()])
        bar = error_bar_of(found)
        return self._look.page(
            "model.html",
            model=found,
            tier=_TIERS[found.tier],
            schema=schema_of(found),
            bar=None if bar is None else float(bar),
            offers=offers,
            serving=serving,
            tally=tallies.get(model_id.hex()),
            standing=await self._lookup.tallies("operator", [one.operator for one in offers]),
            recent=recent,
            models={model_id: found},
            now_on_chain=await self._status.now(),
            here="models",
        )

    async def _operators_of(self, offers: Sequence[OfferRecord]) -> Mapping[str, OperatorRecord]:
        whose = dict.fromkeys(one.operator for one in offers)
        return await self._lookup.operators_of(list(whose))

    async def operators(self, request: web.Request) -> web.Response:
        limit = query.limit(request)
        found = await self._lookup.operators(before=query.before_stake(request), limit=limit)
        last = found[-1] if len(found) == limit else None
        return self._look.page(
            "operators.html",
            found=found,
            tallies=await self._lookup.tallies("operator", [one.operator for one in found]),
            older=_older(request, None if last is None else f"{last.stake}-{last.operator}"),
            newest=_newest(request),
            here="operators",
        )

    async def operator(self, request: web.Request) -> web.Response:
        address = query.account(request, "address")
        found = await self._lookup.operator(address)
        if found is None:
            raise NotFound(f"{address} is not an operator")
        offers = await self._lookup.offers(operator=address, limit=50)
        recent = await self._lookup.recent(RECENT, operator=address)
        models = await self._lookup.models_of(
            [*(one.model_id for one in offers), *(one.model_id for one in recent)]
        )
        tallies = await self._lookup.tallies("operator", [address])
        return self._look.page(
            "operator.html",
            operator=found,
            offers=offers,
            models=models,
            tally=tallies.get(address),
            recent=recent,
            tiers=_TIERS,
            now_on_chain=await self._status.now(),
            here="operators",
        )

    async def style(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=self._style,
            content_type="text/css",
            charset="utf-8",
            headers={"Cache-Control": "public, max-age=300"},
        )


_TIERS: Final = {int(one): one.name.lower() for one in Tier}


def _older(request: web.Request, after: str | None) -> str | None:
    """The address of the next page; None where this is the last."""
    return None if after is None else _at(request, {"before": after})


def _newest(request: web.Request) -> str | None:
    """The address of the first page; None where this is it."""
    return _at(request, {}) if "before" in request.query else None


def _at(request: web.Request, place: Mapping[str, str]) -> str:
    kept = {name: value for name, value in request.query.items() if value and name != "before"}
    return str(request.rel_url.with_query({**kept, **place}))
