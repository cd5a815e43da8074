"""The options every verb shares, and the settings they lead to."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, TextIO, cast

import structlog
import typer

from oracle.cli.output import Output
from oracle.cli.redaction import RedactedLines, redaction_of, take_over
from oracle.settings import DEFAULT_FILES, Settings
from oracle.settings_file import load

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]

_options: ContextVar[dict[str, Any]] = ContextVar("options")


def remember(file: Path | None, **overrides: Any) -> None:
    """Keeps the global options until a verb asks for its settings."""
    _options.set({"file": file, **overrides})


def settings_file() -> Path | None:
    """The file that the global options name."""
    named: Path | None = _options.get({}).get("file")
    return named


def as_arguments() -> list[str]:
    """The global options once more, for a verb in a process of its own."""
    options = dict(_options.get({}))
    named = [("config", options.pop("file", None)), *options.items()]
    found: list[str] = []
    for name, value in named:
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                found += [f"--{name.replace('_', '-')}", str(one)]
    return found


def typed(file: Path, *words: str) -> str:
    """The command line that calls a verb with this settings file: as short as it works here."""
    found = os.environ.get("ORACLE_CONFIG") or next(
        (one for one in DEFAULT_FILES if one.is_file()), DEFAULT_FILES[0]
    )
    named = [] if Path(found).resolve() == file.resolve() else ["--config", str(file.resolve())]
    return shlex.join(["oracle", *named, *words])


def settings() -> Settings:
    """Settings by file, environment and global options. Raises ConfigurationError."""
    return load(**_options.get({}))


def output(as_json: bool) -> Output:
    """Where this verb's result goes."""
    return Output(as_json=as_json)


def operator_address(configured: Settings) -> str:
    """The operator that settings name. Raises ConfigurationError."""
    if configured.operator is None:
        raise configured.lacking(
            "settings name no operator", hint="set operator to the address that registered it"
        )
    return configured.operator


class _StandardError:
    """What it is at the time. Lines are lost where it takes none: a full log disk ends no node."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


def start_logging(configured: Settings) -> None:
    """Log lines on standard error: readable, or JSON for machines."""
    level = getattr(logging, configured.log_level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if configured.log_format == "json"
        else structlog.dev.ConsoleRenderer(
            # The other formatters show the variables, secrets among them.
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    redaction = redaction_of(configured)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            RedactedLines(redaction),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _StandardError())),
    )
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    take_over(redaction)
