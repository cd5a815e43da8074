"""The reference of the command line, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from tables import cell, code, table

from oracle.cli.main import app
from oracle.cli.verbs import VERBS, load


def page() -> str:
    """Every verb with its arguments and options."""
    root = typer.main.get_command(app)
    parts = [
        "# Command line\n",
        "Every verb takes `--json` where a script might read what it prints, and `--help`. "
        "Exit codes: [errors](errors.md).\n",
        "## Options in front of every verb\n",
        _parameters(root),
    ]
    for name in sorted(VERBS):
        parts += _command(load(name), f"oracle {name}", 2)
    return "\n".join(parts)


def _command(command: Any, name: str, level: int) -> Iterator[str]:
    yield f"{'#' * level} {name}\n"
    yield cell(command.help or "") + "\n"
    inner = getattr(command, "commands", None)
    if inner is None:
        words = command.collect_usage_pieces(_context(command))
        yield f"```text\n{' '.join([name, *words])}\n```\n"
        if command.params:
            yield _parameters(command)
        return
    for each in sorted(inner):
        yield from _command(inner[each], f"{name} {each}", level + 1)


def _parameters(command: Any) -> str:
    context = _context(command)
    records = [record for one in command.params if (record := one.get_help_record(context))]
    rows = [[code(shown), cell(text.replace("*", "\\*"))] for shown, text in records]
    return table(["argument or option", "meaning"], rows)


def _context(command: Any) -> Any:
    return command.context_class(command)
