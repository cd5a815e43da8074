"""What is secret in an address, and how a text is shown without it.

Providers put keys into users, passwords, paths and queries, and repeat them in their errors. Knows
addresses; nothing of who asks them or who reads the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

_SHORTEST: Final = 8
"""Parts of a path, and users, that are shorter are words: `v2`, `mainnet`, `admin`."""

_SHORTEST_GIVEN: Final = 4
"""Passwords and the values of a query are secret whatever they are, but for what is in any text."""

_USERS_PASSWORD: Final = re.compile(r"^([\w+.-]+://[^:/@]*):.*@")
_PASSWORD_IN_QUERY: Final = re.compile(r"([?&](?:password|sslpassword|passfile)=)[^&]*")


def masked(url: str) -> str:
    """An endpoint's address without user, password, path, query and fragment."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "<malformed url>"
    if not host:
        return "<malformed url>"
    shown = f"[{host}]" if ":" in host else host
    suffix = f":{port}" if port else ""
    secret = parts.username or parts.password or parts.path.strip("/") or parts.query
    return f"{parts.scheme}://{shown}{suffix}{'/…' if secret else ''}"


def without_password(database: str) -> str:
    """A database's URL, or file, as it may be shown."""
    hidden = _USERS_PASSWORD.sub(r"\1:…@", database)
    return _PASSWORD_IN_QUERY.sub(r"\1…", hidden)


class Redaction:
    """Takes the secrets of some addresses out of texts."""

    def __init__(self, addresses: Iterable[str] = (), databases: Iterable[str] = ()) -> None:
        """
        Args:
            addresses: of endpoints; whatever may be a key in them is secret.
            databases: URLs of which the password is secret, and the rest is not.
        """
        shown: dict[str, str] = {}
        for url in addresses:
            shown |= dict.fromkeys(_secrets(url), "…")
            if "://" in url:
                shown[url] = masked(url)
        for url in databases:
            shown |= dict.fromkeys(_passwords(url), "…")
        self._shown = shown
        # The longest first: a whole address before its parts.
        found = sorted(shown, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, found))) if found else None

    def __call__(self, text: str) -> str:
        """The text, with what is secret masked."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._shown[match[0]], text)


def _passwords(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    named = [value for name, value in parse_qsl(parts.query) if "password" in name]
    for given in (parts.password or "", *named):
        for form in {given, unquote(given)}:
            if len(form) >= _SHORTEST_GIVEN:
                yield form


def _secrets(url: str) -> Iterator[str]:
    yield from _passwords(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    words = [*parts.path.split("/"), parts.username or "", parts.fragment]
    for word in words:
        for form in {word, unquote(word)}:
            if len(form) >= _SHORTEST:
                yield form
    for _, value in parse_qsl(parts.query):
        if len(value) >= _SHORTEST_GIVEN:
            yield value
