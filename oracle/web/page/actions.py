"""The token that actions ask for: read from a file, compared in constant time, guessed slowly.

Knows nothing of what the actions do.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from pathlib import Path
from typing import Final

from aiohttp import web

from oracle.errors import ConfigurationError
from oracle.web.problems import Problem, busy

_SHORTEST: Final = 16
_WRONG_SECONDS: Final = 0.5


class Token:
    """What somebody must know to act. Holds a digest of it, and nothing longer."""

    def __init__(self, text: str) -> None:
        self._digest = _digest(text)
        self._one_at_a_time = asyncio.Lock()

    def __repr__(self) -> str:
        return "<token>"

    async def demand(self, request: web.Request) -> None:
        """Raises Problem where the form does not have it; takes a while about a wrong one."""
        if self._one_at_a_time.locked():
            raise busy()
        async with self._one_at_a_time:
            given = (await request.post()).get("token", "")
            right = isinstance(given, str) and hmac.compare_digest(_digest(given), self._digest)
            if not right:
                await asyncio.sleep(_WRONG_SECONDS)
                raise Problem(403, "that is not the token of private_token_file")


def read_token(path: Path) -> Token:
    """The token in a file.

    Raises:
        ConfigurationError: it cannot be read, others can read it, or it is too short.
    """
    hint = "head -c 24 /dev/urandom | base64, into a file that only you can read (chmod 600)"
    try:
        text = path.read_text().strip()
        open_to_all = path.stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"private_token_file {path} cannot be read: {error}", hint=hint
        ) from None
    if open_to_all:
        raise ConfigurationError(f"private_token_file {path} can be read by others", hint=hint)
    if len(text) < _SHORTEST:
        raise ConfigurationError(
            f"the token in {path} is shorter than {_SHORTEST} characters", hint=hint
        )
    return Token(text)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.strip().encode("utf-8", "replace")).digest()
