"""Where an operator's services are found: what is fit to be announced, or to be followed.

An announcement is text that anybody with a stake of nothing can put on the chain, so the same rule
holds for what is set and for what is read.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from oracle.errors import InputError

MAX_ENDPOINT_BYTES: Final = 256
"""As in `OperatorStaking`."""


def checked_endpoint(text: str) -> str:
    """The text, which is an absolute http or https URL without credentials.

    Raises:
        InputError: it is none, and why.
    """
    if len(text.encode()) > MAX_ENDPOINT_BYTES:
        raise InputError(f"an endpoint has at most {MAX_ENDPOINT_BYTES} bytes")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise InputError(
            "an endpoint is printable ASCII without spaces", hint="percent-encode what is not"
        )
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises where it is no number
    except ValueError as error:
        raise InputError(f"{text!r} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"{text!r} is not an http or https URL", hint="like https://host/path")
    if parts.username is not None or parts.password is not None:
        raise InputError("an endpoint holds no credentials: everybody reads it")
    return text
