"""The JSON API: the same facts as the pages, under names that stay.

    GET /api/status
    GET /api/requests               ?state=&model=&operator=&requester=&before=&limit=
    GET /api/requests/{id}
    GET /api/models, /api/models/{id}
    GET /api/operators, /api/operators/{address}
    GET /api/disputes
    GET /api/search                 ?q=
    GET, POST /api/requests/{id}/checks

Lists end with `next`, to be given as `before`. Knows the index, and no template.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from oracle.errors import NotFound
from oracle.explorer import documents, query
from oracle.explorer.begin import begin
from oracle.explorer.checks import Checks
from oracle.explorer.decoded import error_bar_of, scores_of
from oracle.explorer.reading import Whole, is_final, models_of, named_model, whole
from oracle.explorer.status import Status
from oracle.storage.explorer_lookup import ExplorerLookup, Place


class Api:
    """The routes under /api."""

    def __init__(self, lookup: ExplorerLookup, checks: Checks, status: Status) -> None:
        self._lookup = lookup
        self._checks = checks
        self._status = status

    @property
    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/status", self.status),
            web.get("/api/requests", self.requests),
            web.get("/api/requests/{id}", self.request),
            web.get("/api/requests/{id}/checks", self.check),
            web.post("/api/requests/{id}/checks", self.begin_check),
            web.get("/api/models", self.models),
            web.get("/api/models/{id}", self.model),
            web.get("/api/operators", self.operators),
            web.get("/api/operators/{address}", self.operator),
            web.get("/api/disputes", self.disputes),
            web.get("/api/search", self.search),
        ]

    async def status(self, _request: web.Request) -> web.Response:
        totals = await self._lookup.totals()
        return web.json_response(
            {
                **await self._status.document(),
                "requests": documents.tally_document(totals.tally),
                "models": totals.models,
                "operators": totals.operators,
            }
        )

    async def requests(self, request: web.Request) -> web.Response:
        model = await named_model(self._lookup, query.text(request, "model"))
        limit = query.limit(request)
        found = await self._lookup.requests(
            query.wanted(request, model), before=query.before(request), limit=limit
        )
        places = [(one.created_block, one.created_log) for one in found]
        return await self._listed(found, limit, places)

    async def disputes(self, request: web.Request) -> web.Response:
        limit = query.limit(request)
        found = await self._lookup.disputes(before=query.before(request), limit=limit)
        places = [(one.dispute_block or 0, one.dispute_log or 0) for one in found]
        return await self._listed(found, limit, places)

    async def _listed(self, found: Any, limit: int, places: list[Place]) -> web.Response:
        models = await models_of(self._lookup, found)
        last = places[-1] if places and len(places) == limit else None
        return web.json_response(
            {
                "requests": [
                    documents.request_document(one, models.get(one.model_id)) for one in found
                ],
                "next": None if last is None else f"{last[0]}-{last[1]}",
            }
        )

    async def request(self, request: web.Request) -> web.Response:
        found = await whole(self._lookup, query.digest(request, "id"))
        now = await self._status.now()
        record = found.record
        return web.json_response(
            {
                **documents.request_document(record, found.model),
                "final": is_final(record, now),
                "input": documents.message_document(found.decoded_input, found.input),
                "result": None
                if found.decoded_result is None or found.result is None
                else documents.message_document(found.decoded_result, found.result),
                "decisions": _decisions(found),
                "events": [documents.entry_document(one) for one in found.entries],
            }
        )

    async def check(self, request: web.Request) -> web.Response:
        check = self._checks.find(query.digest(request, "id"))
        if check is None:
            raise NotFound("this answer was not verified lately; POST to begin")
        return web.json_response(check.facts())

    async def begin_check(self, request: web.Request) -> web.Response:
        request_id = query.digest(request, "id")
        if await self._lookup.request(request_id) is None:
            raise NotFound(f"the index has no request 0x{request_id.hex()}")
        return web.json_response(begin(self._checks, request, request_id).facts(), status=202)

    async def models(self, request: web.Request) -> web.Response:
        limit = query.limit(request)
        found = await self._lookup.models(before=query.before(request), limit=limit)
        tallies = await self._lookup.tallies("model", [one.model_id.hex() for one in found])
        last = found[-1] if len(found) == limit else None
        return web.json_response(
            {
                "models": [
                    documents.model_document(one, tallies.get(one.model_id.hex())) for one in found
                ],
                "next": None if last is None else f"{last.registered_block}-{last.registered_log}",
            }
        )

    async def model(self, request: web.Request) -> web.Response:
        model_id = query.digest(request, "id")
        found = await self._lookup.model(model_id)
        if found is None:
            raise NotFound(f"there is no model 0x{model_id.hex()}")
        tallies = await self._lookup.tallies("model", [model_id.hex()])
        offers = await self._lookup.offers(model_id=model_id)
        return web.json_response(
            documents.model_document(found, tallies.get(model_id.hex()), offers)
        )

    async def operators(self, request: web.Request) -> web.Response:
        limit = query.limit(request)
        found = await self._lookup.operators(before=query.before_stake(request), limit=limit)
        tallies = await self._lookup.tallies("operator", [one.operator for one in found])
        last = found[-1] if len(found) == limit else None
        return web.json_response(
            {
                "operators": [
                    documents.operator_document(one, tallies.get(one.operator)) for one in found
                ],
                "next": None if last is None else f"{last.stake}-{last.operator}",
            }
        )

    async def operator(self, request: web.Request) -> web.Response:
        address = query.account(request, "address")
        found = await self._lookup.operator(address)
        if found is None:
            raise NotFound(f"{address} is not an operator")
        tallies = await self._lookup.tallies("operator", [address])
        offers = await self._lookup.offers(operator=address)
        return web.json_response(documents.operator_document(found, tallies.get(address), offers))

    async def search(self, request: web.Request) -> web.Response:
        text = query.text(request, "q")
        if not text:
            return web.json_response({"requests": [], "models": [], "operators": []})
        found = await self._lookup.search(text)
        models = await models_of(self._lookup, found.requests)
        return web.json_response(
            {
                "requests": [
                    documents.request_document(one, models.get(one.model_id))
                    for one in found.requests
                ],
                "models": [documents.model_document(one, None) for one in found.models],
                "operators": [documents.operator_document(one, None) for one in found.operators],
            }
        )


def _decisions(found: Whole) -> list[dict[str, Any]]:
    if found.schema is None or found.decoded_result is None:
        return []
    bar = error_bar_of(found.model)
    return [
        {
            "output": one.name,
            "label": one.label,
            "margin": one.margin,
            "twice_error_bar": one.twice,
            "clear": one.clear,
        }
        for one in scores_of(found.schema, found.decoded_result, bar)
    ]
