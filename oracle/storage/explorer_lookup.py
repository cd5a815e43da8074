"""What people look up in the explorer's index: lists by pages, searches, and one thing whole.

A page is one stretch of an index, found by the place that the last one ended at, so that the last
page is as quick as the first. Reads over a connection of its own, beside the follower's. Read-only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select, tuple_

from oracle.core.chronicle import (
    Entry,
    ModelRecord,
    OfferRecord,
    OperatorRecord,
    RequestRecord,
    Standing,
    Tally,
)
from oracle.core.event import BlockRef
from oracle.core.types import Address, address
from oracle.storage.database import Database
from oracle.storage.explorer_store import entry_of_row
from oracle.storage.explorer_tables import (
    blocks,
    entries,
    models,
    offers,
    operators,
    requests,
    tallies,
)

MOST_ROWS: Final = 200

R = TypeVar("R")

Place = tuple[int, int]
"""Where a row of a list stands: block and log."""


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which requests are wanted. What is None does not matter."""

    state: Standing | None = None
    model_id: bytes | None = None
    operator: Address | None = None
    requester: Address | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """What there is."""

    tally: Tally
    models: int
    operators: int


@dataclass(frozen=True, slots=True)
class Matches:
    """What a search found, a few of each."""

    requests: Sequence[RequestRecord]
    models: Sequence[ModelRecord]
    operators: Sequence[OperatorRecord]


class ExplorerLookup:
    """Look-ups in one index."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- lists

    async def requests(
        self, wanted: RequestFilter, *, before: Place | None = None, limit: int = 50
    ) -> Sequence[RequestRecord]:
        """The latest requests that are wanted, newest first; those before a place."""
        place = (requests.c.created_block, requests.c.created_log)
        query = select(requests).where(*_conditions(wanted))
        if before is not None:
            query = query.where(tuple_(*place) < before)
        query = query.order_by(place[0].desc(), place[1].desc()).limit(min(limit, MOST_ROWS))
        return [_request(row) for row in await self._rows(query)]

    async def recent(
        self, limit: int, *, model_id: bytes | None = None, operator: Address | None = None
    ) -> Sequence[RequestRecord]:
        """The latest requests, of all, of a model or of an operator."""
        return await self.requests(RequestFilter(model_id=model_id, operator=operator), limit=limit)

    async def disputes(
        self, *, before: Place | None = None, limit: int = 50
    ) -> Sequence[RequestRecord]:
        """Requests whose answers were disputed, the latest dispute first."""
        place = (requests.c.dispute_block, requests.c.dispute_log)
        query = select(requests).where(requests.c.dispute.is_not(None))
        if before is not None:
            query = query.where(tuple_(*place) < before)
        query = query.order_by(place[0].desc(), place[1].desc()).limit(min(limit, MOST_ROWS))
        return [_request(row) for row in await self._rows(query)]

    async def models(
        self, *, before: Place | None = None, limit: int = 50
    ) -> Sequence[ModelRecord]:
        """The latest models, newest first."""
        place = (models.c.registered_block, models.c.registered_log)
        query = select(models)
        if before is not None:
            query = query.where(tuple_(*place) < before)
        query = query.order_by(place[0].desc(), place[1].desc()).limit(min(limit, MOST_ROWS))
        return [_model(row) for row in await self._rows(query)]

    async def operators(
        self, *, before: tuple[int, Address] | None = None, limit: int = 50
    ) -> Sequence[OperatorRecord]:
        """Operators, the largest stake first; `before` is stake and address of the last one."""
        query = select(operators)
        if before is not None:
            stake, last = before
            query = query.where(
                or_(
                    operators.c.stake < stake,
                    (operators.c.stake == stake) & (operators.c.operator < last),
                )
            )
        query = query.order_by(operators.c.stake.desc(), operators.c.operator.desc())
        return [_operator(row) for row in await self._rows(query.limit(min(limit, MOST_ROWS)))]

    # ---- one thing

    async def request(self, request_id: bytes) -> RequestRecord | None:
        query = select(requests).where(requests.c.request_id == request_id)
        return next((_request(row) for row in await self._rows(query)), None)

    async def entries(self, request_id: bytes) -> Sequence[Entry]:
        """The story of a request, in chain order, with its data."""
        query = (
            select(entries)
            .where(entries.c.request_id == request_id)
            .order_by(entries.c.block_number, entries.c.log_index)
            .limit(_MOST_ENTRIES)
        )
        return [entry_of_row(row, row.data or b"") for row in await self._rows(query)]

    async def model(self, model_id: bytes) -> ModelRecord | None:
        return (await self.models_of([model_id])).get(model_id)

    async def model_named(self, name: str) -> ModelRecord | None:
        """The latest live model of exactly this name, or of those that are not live."""
        query = (
            select(models)
            .where(models.c.name == name)
            .order_by(
                models.c.deprecated_at.is_not(None),
                models.c.registered_block.desc(),
                models.c.registered_log.desc(),
            )
            .limit(1)
        )
        return next((_model(row) for row in await self._rows(query)), None)

    async def models_of(self, model_ids: Sequence[bytes]) -> Mapping[bytes, ModelRecord]:
        """Some models by their ids."""
        query = select(models).where(models.c.model_id.in_(set(model_ids)))
        return {row.model_id: _model(row) for row in await self._rows(query)}

    async def operator(self, operator: Address) -> OperatorRecord | None:
        query = select(operators).where(operators.c.operator == operator)
        return next((_operator(row) for row in await self._rows(query)), None)

    async def operators_of(self, addresses: Sequence[Address]) -> Mapping[str, OperatorRecord]:
        """Some operators by their addresses."""
        query = select(operators).where(operators.c.operator.in_(set(addresses)))
        return {row.operator: _operator(row) for row in await self._rows(query)}

    async def offers(
        self,
        *,
        model_id: bytes | None = None,
        operator: Address | None = None,
        limit: int = MOST_ROWS,
    ) -> Sequence[OfferRecord]:
        """Standing offers, cheapest first."""
        query = select(offers).where(offers.c.capacity > 0)
        if model_id is not None:
            query = query.where(offers.c.model_id == model_id)
        if operator is not None:
            query = query.where(offers.c.operator == operator)
        query = query.order_by(offers.c.price, offers.c.operator).limit(limit)
        return [OfferRecord(**row._mapping) for row in await self._rows(query)]

    async def cheapest(self, model_ids: Sequence[bytes]) -> Mapping[bytes, int]:
        """The lowest price of each model that is on offer."""
        query = (
            select(offers.c.model_id, func.min(offers.c.price).label("price"))
            .where(offers.c.model_id.in_(set(model_ids)), offers.c.capacity > 0)
            .group_by(offers.c.model_id)
        )
        return {row.model_id: row.price for row in await self._rows(query)}

    # ---- sums

    async def totals(self) -> Totals:
        """What there is, of all."""

        def work(connection: Connection) -> Totals:
            return Totals(
                _tallies(connection, "all", [""]).get("", Tally()),
                connection.scalar(select(func.count()).select_from(models)) or 0,
                connection.scalar(select(func.count()).select_from(operators)) or 0,
            )

        return await self._database.read(work)

    async def tallies(self, scope: str, keys: Sequence[str]) -> Mapping[str, Tally]:
        """What requests of operators or of models add up to; a key that has none is left out."""
        return await self._database.read(lambda connection: _tallies(connection, scope, keys))

    async def cursor(self) -> BlockRef | None:
        """The block that the index is as of."""
        query = select(blocks).order_by(blocks.c.number.desc()).limit(1)
        rows = await self._rows(query)
        return next((BlockRef(row.number, row.hash, row.timestamp) for row in rows), None)

    # ---- search

    async def search(self, text: str, *, limit: int = 20) -> Matches:
        """By the beginning of an id, by an address, or by a part of a model's name."""
        digits = text[2:] if text[:2].lower() == "0x" else text
        if digits and all(one in _HEX for one in digits.lower()) and len(digits) <= 64:
            found = await self._by_digits(digits.lower(), limit)
            if text[:2].lower() == "0x" or found.requests or found.models or found.operators:
                return found
        return Matches((), await self._by_name(text, limit), ())

    async def _by_digits(self, digits: str, limit: int) -> Matches:
        low, high = (bytes.fromhex(digits.ljust(64, end)) for end in "0f")
        by_id = select(requests).where(requests.c.request_id.between(low, high)).limit(limit)
        by_model = select(models).where(models.c.model_id.between(low, high)).limit(limit)
        whose: Sequence[OperatorRecord] = []
        if len(digits) <= 40:
            start, end = "0x" + digits, "0x" + digits + "g"  # the first that does not begin so
            folded = operators.c.operator.collate("NOCASE")
            query = select(operators).where(folded >= start, folded < end).limit(limit)
            whose = [_operator(row) for row in await self._rows(query)]
        asked = await self._of_address(address("0x" + digits), limit) if len(digits) == 40 else []
        return Matches(
            asked or [_request(row) for row in await self._rows(by_id)],
            [_model(row) for row in await self._rows(by_model)],
            whose,
        )

    async def _of_address(self, who: Address, limit: int) -> list[RequestRecord]:
        """Requests by or to an address, newest first."""
        found = {
            one.request_id: one
            for wanted in (RequestFilter(operator=who), RequestFilter(requester=who))
            for one in await self.requests(wanted, limit=limit)
        }
        newest = sorted(found.values(), key=_place_of, reverse=True)
        return newest[:limit]

    async def _by_name(self, text: str, limit: int) -> Sequence[ModelRecord]:
        query = (
            select(models)
            .where(models.c.name.icontains(text, autoescape=True))
            .order_by(func.length(models.c.name), models.c.registered_block.desc())
            .limit(limit)
        )
        return [_model(row) for row in await self._rows(query)]

    async def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        return await self._database.read(lambda connection: connection.execute(query).all())


_HEX: Final = frozenset("0123456789abcdef")
_MOST_ENTRIES: Final = 1_000
"""Of one request: demands may follow demands, and a page must end."""


def _place_of(record: RequestRecord) -> Place:
    return record.created_block, record.created_log


def _conditions(wanted: RequestFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.state is not None:
        found.append(requests.c.state == wanted.state)
    if wanted.model_id is not None:
        found.append(requests.c.model_id == wanted.model_id)
    if wanted.operator is not None:
        found.append(requests.c.operator == wanted.operator)
    if wanted.requester is not None:
        found.append(requests.c.requester == wanted.requester)
    return found


def _request(row: Row[Any]) -> RequestRecord:
    return RequestRecord(**row._mapping)


def _model(row: Row[Any]) -> ModelRecord:
    return ModelRecord(**row._mapping)


def _operator(row: Row[Any]) -> OperatorRecord:
    return OperatorRecord(**row._mapping)


def _tallies(connection: Connection, scope: str, keys: Sequence[str]) -> Mapping[str, Tally]:
    query = select(tallies).where(tallies.c.scope == scope, tallies.c.key.in_(set(keys)))
    return {row.key: Tally(*row[2:]) for row in connection.execute(query)}
