"""Turns an async verb into a typer command: runs it, reads settings, and reports errors.

Adds the options that every verb has (`--config`, `--json`) by way of `Context`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import typer

from oracle.cli.output import fail
from oracle.cli.start import INTERRUPTED, interruptible
from oracle.errors import OracleError


def verb(app: typer.Typer, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function, async or not, as the verb `name` of `app`."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(*args: Any, **kwargs: Any) -> None:
            try:
                with interruptible():
                    outcome = function(*args, **kwargs)
                    if inspect.iscoroutine(outcome):
                        asyncio.run(_as_coroutine(outcome))
            except OracleError as error:
                fail(error)
            except KeyboardInterrupt:
                raise typer.Exit(INTERRUPTED) from None

        return app.command(name)(command)

    return register


def _as_coroutine(outcome: Any) -> Coroutine[Any, Any, None]:
    return outcome  # type: ignore[no-any-return]
