"""The page of one request: its story, what was asked and answered, its checks, its conviction.

The one page that asks the chain: for the gas of its transactions, and for the proof that convicted.
It asks no operator; a verification does, in a process of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any, Final

from aiohttp import web

from oracle.core.chronicle import Dispute
from oracle.core.types import Tier
from oracle.errors import NotFound
from oracle.explorer import picture, query
from oracle.explorer.begin import begin
from oracle.explorer.checks import MARKS, STEPS, Check, Checks
from oracle.explorer.decoded import MOST_ROWS, error_bar_of, labels_of, scores_of, values_of
from oracle.explorer.drawing import number_line, term_bars
from oracle.explorer.evidence import Transactions
from oracle.explorer.reading import Whole, is_final, whole
from oracle.explorer.status import Status
from oracle.explorer.story import lines_of
from oracle.storage.explorer_lookup import ExplorerLookup
from oracle.web.look import Fragments, Look, stream_fragments
from oracle.web.problems import Problem

_WATCHERS: Final = 64
_LOOK_SECONDS: Final = 1.0
_LONGEST_WATCH_SECONDS: Final = 600.0
_FOREVER: Final = "public, max-age=31536000, immutable"

_DOING: Final = {
    "request": "terms, id, and that the chain has it",
    "receipt": "the operator's signature, and whose key it was",
    "binding": "what the signature covers",
    "model": "the registered program, wherever it is to be had",
    "trace": "every number of the run, under the signed root",
    "run": "the court's rules on each number, and a run here",
    "settlement": "where the money stands",
}


class RequestPage:
    """The routes of one request."""

    def __init__(
        self,
        look: Look,
        lookup: ExplorerLookup,
        checks: Checks,
        evidence: Transactions,
        status: Status,
    ) -> None:
        self._look = look
        self._lookup = lookup
        self._checks = checks
        self._evidence = evidence
        self._status = status
        self._watching = 0
        self._closed = False

    @property
    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/requests/{id}", self.request),
            web.get("/requests/{id}/events", self.request_events),
            web.post("/requests/{id}/checks", self.begin_check),
            web.get("/requests/{id}/input/{tensor}/{row}.png", self.image),
        ]

    async def close(self, _application: web.Application) -> None:
        """Ends every stream; for the site's `on_shutdown`."""
        self._closed = True

    async def request(self, request: web.Request) -> web.Response:
        found = await whole(self._lookup, query.digest(request, "id"))
        check = self._checks.find(found.record.request_id)
        shown_id = "0x" + found.record.request_id.hex()
        ongoing = (check is not None and not check.over) or found.record.ended_block is None
        return self._look.page(
            "request.html",
            **{**await self._request(found), **_checked(found, check)},
            live=f"/requests/{shown_id}/events" if ongoing else None,
            here="requests",
        )

    async def _request(self, found: Whole) -> dict[str, Any]:
        record, entries = found.record, found.entries
        convicted = record.dispute is Dispute.CONVICTED
        gas, proven = await asyncio.gather(
            self._evidence.gas([one.transaction_hash for one in entries]),
            self._evidence.proven(entries) if convicted else _nothing(),
        )
        bar = error_bar_of(found.model)
        element = None if proven is None else proven.element
        now = await self._status.now()
        return {
            "request": record,
            "model": found.model,
            "tier": None if found.model is None else Tier(found.model.tier).name.lower(),
            "input": found.decoded_input,
            "result": found.decoded_result,
            "lines": lines_of(entries),
            "gas": gas,
            "gas_sum": sum(gas.values()),
            "bar": None if bar is None else float(bar),
            **_decided(found),
            "final": is_final(record, now),
            "now_on_chain": now,
            "proven": proven,
            "element": element,
            "line": None if element is None else number_line(element),
            "bars": []
            if element is None
            else term_bars(
                element.terms, element.others_value, element.term_count - len(element.terms)
            ),
        }

    async def begin_check(self, request: web.Request) -> web.StreamResponse:
        request_id = query.digest(request, "id")
        if await self._lookup.request(request_id) is None:
            raise NotFound(f"the index has no request 0x{request_id.hex()}")
        begin(self._checks, request, request_id)
        raise web.HTTPSeeOther(f"/requests/0x{request_id.hex()}#checks")

    async def request_events(self, request: web.Request) -> web.StreamResponse:
        request_id = query.digest(request, "id")
        if self._watching >= _WATCHERS:
            raise Problem(503, "too many watch", headers={"Retry-After": "10"})
        self._watching += 1
        try:
            return await stream_fragments(request, self._request_pieces(request_id))
        finally:
            self._watching -= 1

    async def _request_pieces(self, request_id: bytes) -> AsyncGenerator[Fragments, None]:
        """The story as it goes on and the checks as they are made, until both are over."""
        block, version, until = -1, -1, time.monotonic() + _LONGEST_WATCH_SECONDS
        while not self._closed and time.monotonic() < until:
            record = await self._lookup.request(request_id)
            if record is None:
                return  # a fork took it away
            check = self._checks.find(request_id)
            now = -1 if check is None else check.version
            if record.updated_block != block or now != version:
                names = ["standing", "story"] * (record.updated_block != block)
                yield await self._pieces(request_id, [*names, "checks"])
                block, version = record.updated_block, now
            running = check is not None and not check.over
            if not running and record.ended_block is not None:
                return
            if check is not None and running:
                await check.change(version, _LOOK_SECONDS)
            else:
                await asyncio.sleep(_LOOK_SECONDS)

    async def _pieces(self, request_id: bytes, names: list[str]) -> Fragments:
        found = await whole(self._lookup, request_id)
        values = _checked(found, self._checks.find(request_id))
        if len(names) > 1:
            values |= await self._request(found)
        return {name: self._look.render(f"pieces/{name}.html", **values) for name in names}

    async def image(self, request: web.Request) -> web.Response:
        found = await whole(self._lookup, query.digest(request, "id"))
        number, row = request.match_info["tensor"], request.match_info["row"]
        views = found.decoded_input.views
        if not (number.isdigit() and row.isdigit() and int(number) < len(views)):
            raise NotFound("there is no such image")
        if found.schema is None or int(row) >= MOST_ROWS or views[int(number)].frame is None:
            raise NotFound("there is no such image")
        spec, frame = (
            found.schema.inputs[int(number)],
            picture.frame_of(found.schema.inputs[int(number)]),
        )
        values = found.decoded_input.tensors[spec.name]
        rows = values if spec.batched else values.reshape(1, *values.shape)
        if frame is None or int(row) >= len(rows):
            raise NotFound("there is no such image")
        body = await asyncio.to_thread(picture.png, frame, rows[int(row)])
        return web.Response(
            body=body, content_type="image/png", headers={"Cache-Control": _FOREVER}
        )


def _decided(found: Whole) -> dict[str, Any]:
    """What the answer says: scores, other values, and the model's own labels."""
    schema, result = found.schema, found.decoded_result
    if schema is None or result is None:
        return {"scores": [], "values": [], "labels": []}
    return {
        "scores": scores_of(schema, result, error_bar_of(found.model)),
        "values": values_of(schema, result),
        "labels": labels_of(schema, result),
    }


def _checked(found: Whole, check: Check | None) -> dict[str, Any]:
    """What the piece with the checks shows."""
    return {
        "request": found.record,
        "check": check,
        "steps": STEPS,
        "doing": _DOING,
        "marks": MARKS,
    }


async def _nothing() -> None:
    return None
