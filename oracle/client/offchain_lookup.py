"""Fetches what a view asks its caller to fetch (ERC-3668), from the URLs that an operator named.

Responsible for what a stranger's URL may cost: https and public addresses only, but for a chain on
this machine; no redirect, so much time, so many bytes. Believes nothing: the contract checks it.
"""

from __future__ import annotations

import json
import re
from contextlib import AbstractAsyncContextManager
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from oracle.chain.views_contract import OffchainLookup
from oracle.client.public_address import PrivateAddress, connector
from oracle.core.endpoint import checked_endpoint
from oracle.errors import InputError, PaymentRequired, ViewRefused

_SECONDS: Final = 30.0
_LARGEST_ANSWER: Final = 1 << 20
"""Bytes; the largest result as hexadecimal digits, four times over."""

_LOOK_SECONDS: Final = 10.0
_NOBODY: Final = "0x" + "00" * 20
_NOTHING: Final = "0x00"
_SHOWN: Final = 200
_AMOUNT: Final = re.compile(r"[0-9]{1,29}", re.ASCII)
"""Base units, of at most 96 bits."""
_LOCAL: Final = ("127.0.0.1", "localhost", "::1")


class Unanswered(ViewRefused):
    """No gateway said anything that counts: none was reached, or none is well."""


class _NextGateway(Exception):
    """This one gives nothing; another may."""


def is_local(url: str) -> bool:
    """Whether a URL leads to this machine by its name: a devnet's."""
    return urlsplit(url).hostname in _LOCAL


async def fetch(lookup: OffchainLookup, *, public_only: bool) -> bytes:
    """What the first gateway gives that gives anything.

    Args:
        public_only: whether http and private addresses are refused.

    Raises:
        PaymentRequired: a gateway wants to be paid; not checked, it may be a lie.
        ViewRefused: a gateway refused for good.
        Unanswered: none gave anything; says what each said.
    """
    failures = []
    async with aiohttp.ClientSession(
        connector=connector(public_only=public_only),
        auto_decompress=False,
        headers={"Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=_SECONDS),
    ) as session:
        for template in lookup.urls:
            try:
                return await _ask(session, template, lookup, public_only)
            except _NextGateway as failure:
                failures.append(f"{_named(template)}: {failure}")
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failures.append(f"{_named(template)}: {connection_cause(error, _SECONDS)}")
    here = any(is_local(template) for template in lookup.urls)
    raise Unanswered(
        "no gateway gives an answer: " + "; ".join(failures),
        hint="a gateway on this machine is an operator's node: is it running, with views set? "
        "`oracle node status`"
        if here
        else "try again, ask another operator, or send a request",
    )


async def _ask(
    session: aiohttp.ClientSession, template: str, lookup: OffchainLookup, public_only: bool
) -> bytes:
    sender, data = lookup.sender.lower(), "0x" + lookup.call_data.hex()
    try:
        checked_endpoint(template)
    except InputError as error:
        raise _NextGateway(error.message) from None
    if public_only and urlsplit(template).scheme != "https":
        raise _NextGateway("not https")
    async with _asked(session, template, sender, data) as response:
        body = await _bounded(response)
        if response.status == 402:
            raise _payment(body, _named(template))
        if response.status == 404 and not _said(body):
            raise ViewRefused(
                f"{_named(template)} has no gateway for views (HTTP 404): its operator answers no "
                "model in views now",
                hint="ask another operator, or send a request: `oracle request`",
            )
        if 400 <= response.status < 500:
            raise ViewRefused(f"{_named(template)} refuses: {_message(body, response.status)}")
        if not 200 <= response.status < 300:
            raise _NextGateway(_message(body, response.status))
    try:
        given = json.loads(body)["data"]
        return bytes.fromhex(given.removeprefix("0x"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _NextGateway('it answers something else than {"data": "0x…"}') from None


async def gateway_trouble(template: str) -> str | None:
    """What is found instead of a gateway at an operator's own URL; None where one answers.

    It is asked something that no gateway can answer: even its refusal has the form of one.
    """
    timeout = aiohttp.ClientTimeout(total=_LOOK_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(
                auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout
            ) as session,
            _asked(session, template, _NOBODY, _NOTHING) as response,
        ):
            body = await _bounded(response)
            if _said(body) or (response.status == 200 and b'"data"' in body):
                return None
            return f"no gateway for views answers there, but HTTP {response.status}"
    except _NextGateway as failure:
        return str(failure)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        cause = connection_cause(error, _LOOK_SECONDS)
        return f"nothing answers there when it is asked from here: {cause}"


def _asked(
    session: aiohttp.ClientSession, template: str, sender: str, data: str
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    """A question in the form that the URL wants: ERC-3668, client lookup protocol."""
    if "{data}" not in template:
        url = template.replace("{sender}", sender)
        return session.post(url, json={"data": data, "sender": sender}, allow_redirects=False)
    url = template.replace("{sender}", sender).replace("{data}", data)
    return session.get(url, allow_redirects=False)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _LARGEST_ANSWER:
            raise _NextGateway(f"it answers more than {_LARGEST_ANSWER} bytes")
    return bytes(body)


def connection_cause(error: Exception, limit_seconds: float) -> str:
    """Why a connection came to nothing, without its library's own words for where it led."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, PrivateAddress):
        return str(cause.strerror)
    if isinstance(cause, ConnectionRefusedError):
        return "nobody listens there (connection refused)"
    if isinstance(cause, TimeoutError):
        return f"no answer within {limit_seconds:g} s"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__


def _payment(body: bytes, gateway: str) -> ViewRefused:
    """What a gateway wants to be paid, if it says so in a form that can be read."""
    shown = f"{gateway} refuses: {_message(body, 402)}"
    try:
        document = json.loads(body)
        paid = document["paid"]
        return PaymentRequired(
            shown,
            reason=str(document.get("reason"))[:_SHOWN],
            price=_amount(document["price"]),
            total=_amount(paid["total"]),
            signature=bytes.fromhex((paid["signature"] or "").removeprefix("0x")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ViewRefused(shown)


def _amount(text: object) -> int:
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
        raise ValueError("no amount")
    return int(text)


def _message(body: bytes, status: int) -> str:
    """What the gateway says, fit to be printed, and its status."""
    said = _said(body)
    return f"{said} (HTTP {status})" if said else f"HTTP {status}"


def _said(body: bytes) -> str:
    """A stranger's text, fit to be printed; empty where it says nothing."""
    try:
        found: Any = json.loads(body)["message"]
    except (ValueError, TypeError, KeyError, RecursionError):
        found = None
    if not isinstance(found, str):
        return ""
    return "".join(one for one in found[:_SHOWN] if one.isprintable())


def _named(template: str) -> str:
    return urlsplit(template).netloc or template[:_SHOWN]
