"""A verification begun over HTTP: refused in words, and for no other site's page."""

from __future__ import annotations

from aiohttp import web

from oracle.explorer.checks import Check, CheckRefused, Checks
from oracle.web.problems import Problem

_OURS = ("same-origin", "none")


def begin(checks: Checks, request: web.Request, request_id: bytes) -> Check:
    """Begins one for whoever asks. Raises Problem."""
    if request.headers.get("Sec-Fetch-Site", "none") not in _OURS:
        raise Problem(403, "a page of another site asked for this")
    try:
        return checks.begin(request_id, request.remote or "")
    except CheckRefused as refused:
        raise Problem(429, refused.reason, headers={"Retry-After": str(refused.seconds)}) from None
