"""The headers that keep a page to itself: nothing from elsewhere, nothing inline, in no frame.

Set as a response is prepared, so errors and streams have them, too. Knows no route.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def secure(application: web.Application) -> None:
    """Puts the headers on every response of an application."""
    application.on_response_prepare.append(_put_on)


async def _put_on(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
