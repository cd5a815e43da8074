"""What an address of the explorer asks for: ids, filters and places, each refused in words.

Responsible for letting nothing else through. Knows no route.
"""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from oracle.core.chronicle import ModelRecord, Standing
from oracle.core.types import Address, address, bytes32
from oracle.errors import InputError
from oracle.storage.explorer_lookup import MOST_ROWS, Place, RequestFilter
from oracle.web.problems import Problem

PAGE_ROWS: Final = 50
LONGEST_SEARCH: Final = 100

_PLACE: Final = re.compile(r"([0-9]{1,15})-([0-9]{1,9})")
_STAKE: Final = re.compile(r"([0-9]{1,29})-(0x[0-9a-fA-F]{40})")


def digest(request: web.Request, name: str) -> bytes:
    """The 32 bytes of the path. Raises Problem."""
    try:
        return bytes32(request.match_info[name], what="id")
    except InputError as error:
        raise Problem(404, error.message) from None


def account(request: web.Request, name: str) -> Address:
    """The address of the path. Raises Problem."""
    try:
        return address(request.match_info[name])
    except InputError as error:
        raise Problem(404, error.message) from None


def text(request: web.Request, name: str) -> str:
    """A parameter's text, without what surrounds it; empty where it is not given."""
    return request.query.get(name, "").replace("\0", "").strip()[:LONGEST_SEARCH]


def limit(request: web.Request) -> int:
    """How many rows are wanted. Raises Problem."""
    given = text(request, "limit") or str(PAGE_ROWS)
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= MOST_ROWS:
        raise Problem(400, f"limit is not a number from 1 to {MOST_ROWS}", parameter="limit")
    return int(given)


def before(request: web.Request) -> Place | None:
    """The place that a page begins after, as the last one named it. Raises Problem."""
    given = text(request, "before")
    if not given:
        return None
    found = _PLACE.fullmatch(given)
    if found is None:
        raise Problem(400, "before is not a place: take it from `next`", parameter="before")
    return int(found[1]), int(found[2])


def before_stake(request: web.Request) -> tuple[int, Address] | None:
    """As `before`, of operators. Raises Problem."""
    given = text(request, "before")
    if not given:
        return None
    found = _STAKE.fullmatch(given)
    if found is None:
        raise Problem(400, "before is not a place: take it from `next`", parameter="before")
    return int(found[1]), address(found[2])


def wanted(request: web.Request, model: ModelRecord | None) -> RequestFilter:
    """The filter of a list of requests; the model was looked up already. Raises Problem."""
    state = text(request, "state")
    if state and state not in {one.value for one in Standing}:
        known = ", ".join(one.value for one in Standing)
        raise Problem(400, f"state is none of {known}", parameter="state")
    return RequestFilter(
        state=Standing(state) if state else None,
        model_id=None if model is None else model.model_id,
        operator=_address(request, "operator"),
        requester=_address(request, "requester"),
    )


def _address(request: web.Request, name: str) -> Address | None:
    given = text(request, name)
    if not given:
        return None
    try:
        return address(given)
    except InputError as error:
        raise Problem(400, f"{name}: {error.message}", parameter=name) from None
