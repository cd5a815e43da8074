"""The gateway of ERC-3668 on the wire: what wallets send, what they get, and from which origins.

    POST /views                    {"sender": "0x…", "data": "0x…"}
    GET  /views/{sender}/{data}    the same, where it fits a URL

Both answer {"data": "0x…"}, or {"message": "…"} with a status that says whether to go on to the
next gateway: 4xx not, 5xx yes. A 402 says what is to be paid, too: {"reason", "price", "paid":
{"total", "signature"}}, amounts in base units as decimal text. Who may ask how often, and who has
paid, is decided behind the port. Knows no ABI.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aiohttp import web

from oracle.errors import (
    InputError,
    NotFound,
    OracleError,
    PaymentInvalid,
    PaymentRequired,
    RateLimited,
    ViewRefused,
)
from oracle.ports.views import ViewGateway
from oracle.web.gate import Gate
from oracle.web.problems import Problem

_log = structlog.get_logger("oracle.web")

LARGEST_BODY: Final = 1 << 18
"""Bytes; the largest input of a request, as hexadecimal digits, with all that is around it."""

_BODY_SECONDS: Final = 10.0

_ANY_ORIGIN: Final = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
"""A wallet in a browser asks from wherever the dApp is. No cookie and no key is involved."""

_PREFLIGHT: Final = _ANY_ORIGIN | {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "86400",
}

_SENDER: Final = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_DATA: Final = re.compile(r"0x((?:[0-9a-fA-F]{2})+)", re.ASCII)


class ViewPages:
    def __init__(self, views: ViewGateway, gate: Gate, proxied: bool) -> None:
        """Args: proxied: whether a proxy in front names the client in X-Forwarded-For."""
        self._views = views
        self._gate = gate
        self._proxied = proxied

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/views", self.posted),
            web.get("/views/{sender}/{data}", self.in_url),
            web.options("/views", _preflight),
            web.options("/views/{sender}/{data}", _preflight),
        ]

    async def posted(self, request: web.Request) -> web.Response:
        return await self._respond(request, _in_body)

    async def in_url(self, request: web.Request) -> web.Response:
        return await self._respond(request, _in_url)

    async def _respond(
        self, request: web.Request, read: Callable[[web.Request], Awaitable[bytes]]
    ) -> web.Response:
        try:
            async with self._gate.entered():
                data = await read(request)
                found = await self._views.respond(data, self._client(request))
        except PaymentRequired as required:
            return _payable(required)
        except RateLimited as limited:
            wait = {"Retry-After": str(max(1, round(limited.seconds)))}
            return _refusal(429, limited.message, wait)
        except ViewRefused as refused:
            return _refusal(503, refused.message, {"Retry-After": "1"})
        except NotFound as error:
            return _refusal(404, error.message)
        except PaymentInvalid as error:
            return _refusal(400, error.message, more={"reason": "signature"})
        except InputError as error:
            return _refusal(400, error.message)
        except Problem as problem:
            return _refusal(problem.status, problem.reason, problem.headers)
        except OracleError as error:
            _log.error("no view", error=error.message)
            return _refusal(503, "this cannot be answered now")
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            _log.exception("a defect of the server", path="/views")
            return _refusal(500, "a defect of this server; it was logged")
        return web.json_response({"data": "0x" + found.hex()}, headers=_ANY_ORIGIN)

    def _client(self, request: web.Request) -> str:
        """Who asks. The header's last entry is what our own proxy saw; others may be made up."""
        named = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        return named if self._proxied and named else request.remote or "?"


async def _in_body(request: web.Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > LARGEST_BODY:
                    raise Problem(413, f"a question has at most {LARGEST_BODY} bytes")
    except TimeoutError:
        raise Problem(408, "the question did not come in time") from None
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(400, "the question is not JSON") from None
    if not isinstance(document, dict):
        raise Problem(400, 'the question is not {"sender": …, "data": …}')
    return _question(document.get("sender"), document.get("data"))


async def _in_url(request: web.Request) -> bytes:
    info = request.match_info
    return _question(info["sender"], info["data"].removesuffix(".json"))


async def _preflight(_request: web.Request) -> web.Response:
    return web.Response(status=204, headers=_PREFLIGHT)


def _question(sender: object, data: object) -> bytes:
    """The calldata. Who raised the lookup is not looked at: what is signed names the caller, and
    a contract that passes the lookup on under its own address is none of ours to refuse."""
    if not isinstance(sender, str) or not _SENDER.fullmatch(sender):
        raise Problem(400, "sender is not 0x and 40 hexadecimal digits")
    found = _DATA.fullmatch(data) if isinstance(data, str) else None
    if found is None:
        raise Problem(400, "data is not 0x and pairs of hexadecimal digits")
    return bytes.fromhex(found[1])


def _payable(required: PaymentRequired) -> web.Response:
    signature = "0x" + required.signature.hex() if required.signature else None
    more = {
        "reason": required.reason,
        "price": str(required.price),
        "paid": {"total": str(required.total), "signature": signature},
    }
    return _refusal(402, required.message, more=more)


def _refusal(
    status: int,
    message: str,
    headers: dict[str, str] | None = None,
    *,
    more: dict[str, Any] | None = None,
) -> web.Response:
    return web.json_response(
        {"message": message} | (more or {}), status=status, headers=_ANY_ORIGIN | (headers or {})
    )
