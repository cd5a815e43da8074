"""The options every verb shares, and the settings they lead to."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from oracle.cli.output import Output
from oracle.errors import ConfigurationError
from oracle.settings import Settings, load

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]

_options: ContextVar[dict[str, Any]] = ContextVar("options")


def remember(file: Path | None, **overrides: Any) -> None:
    """Keeps the global options until a verb asks for its settings."""
    _options.set({"file": file, **overrides})


def settings() -> Settings:
    """Settings by file, environment and global options. Raises ConfigurationError."""
    return load(**_options.get({}))


def output(as_json: bool) -> Output:
    """Where this verb's result goes."""
    return Output(as_json=as_json)


def operator_address(configured: Settings) -> str:
    """The operator that settings name. Raises ConfigurationError."""
    if configured.operator is None:
        raise ConfigurationError(
            "settings name no operator", hint="set operator to the address that registered it"
        )
    return configured.operator


def start_logging(configured: Settings) -> None:
    """Log lines on standard error: readable, or JSON for machines."""
    level = getattr(logging, configured.log_level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if configured.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
