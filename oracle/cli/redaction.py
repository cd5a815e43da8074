"""Log lines without secrets: what settings hold of them is masked in whatever a line says.

The last of several walls: our messages are made without secrets, and libraries' are not.
Responsible for other packages' lines, too, and for the traceback that ends a process.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any, TextIO

import structlog

from oracle.core.redaction import Redaction
from oracle.settings import Settings


def redaction_of(configured: Settings) -> Redaction:
    """What settings hold of secrets: the addresses, and the database's password."""
    named = (configured.rpc_url, configured.ws_url, configured.signer_url)
    addresses = [url for text in named if text is not None for url in text.split()]
    return Redaction(addresses, [configured.database] if configured.database else [])


class RedactedLines:
    """A processor of structlog's: masks every text of a line, however deep."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction

    def __call__(
        self, _logger: Any, _method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        for name, value in line.items():
            line[name] = self._redacted(value)
        return line

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redaction(value)
        if isinstance(value, Mapping):
            return {name: self._redacted(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._redacted(item) for item in value]
        return value


class _Forwarding(logging.Handler):
    """Other packages' lines, as lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        level = logging.getLevelName(record.levelno).lower()
        log = structlog.get_logger(record.name)
        say = getattr(log, level, log.warning)
        say(record.getMessage(), logger=record.name, exc_info=record.exc_info or None)


class _Plain(logging.StreamHandler[TextIO]):
    """Warnings as they are said, on standard error."""


def speak_plainly() -> None:
    """Has warnings printed, until a verb that logs takes over."""
    handler = _Plain(sys.stderr)
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)


def take_over(redaction: Redaction) -> None:
    """Has other packages' warnings, and the traceback that ends the process, redacted, too."""
    root = logging.getLogger()
    for known in [one for one in root.handlers if isinstance(one, _Forwarding | _Plain)]:
        root.removeHandler(known)
    root.addHandler(_Forwarding(logging.WARNING))

    def at_the_end(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        sys.stderr.write(redaction("".join(traceback.format_exception(kind, error, trace))))

    sys.excepthook = at_the_end
